"""What a core, the memory and MPI do on this machine: mpirun -n 2 python3 limits.py prints it as JSON.

gflops: of one core, in NumPy's product of two 2048 x 2048 matrices, float32; copy_gbs: a copy of 256 MiB, read and
written, by one core and by one core of each rank at once; allreduce, allgather: {bytes of the result: microseconds}.
"""

import functools
import json
import os
import time

os.environ.update(OPENBLAS_NUM_THREADS="1", OMP_NUM_THREADS="1")
import numpy as np
import work
from mpi4py import MPI

SIZES = [1 << bits for bits in range(6, 25, 2)]
comm = MPI.COMM_WORLD
work.pin(comm.rank, comm.size)


def best(function, least=5, seconds=0.3):
    """Return the least seconds of a call, the slowest rank's: what others on the machine disturb least."""
    times = []
    end = time.perf_counter() + seconds
    while len(times) < least or comm.bcast(time.perf_counter() < end):
        comm.Barrier()
        start = time.perf_counter()
        function()
        times.append(time.perf_counter() - start)
    return min(np.max(comm.allgather(times), axis=0))


def main():
    found = {}
    if comm.rank == 0:
        a, b = np.ones((2, 2048, 2048), np.float32)
        c = np.empty_like(a)
    for key, busy in (("one", comm.rank == 0), ("together", True)):
        source, target = np.ones((2, 32 << 20))
        copy = functools.partial(np.copyto, target, source) if busy else int  # int(): nothing
        found[f"copy_gbs_{key}"] = 2 * source.nbytes / best(copy) / 1e9
    found["copy_gbs_together"] *= comm.size
    found["numpy_gflops"] = 2 * 2048**3 / best(lambda: comm.rank or np.matmul(a, b, out=c)) / 1e9
    for kind in ("allreduce", "allgather"):
        found[kind] = {}
        for size in SIZES:
            result = np.ones(size // 4, np.float32)
            given = result.copy() if kind == "allreduce" else result[: len(result) // comm.size].copy()
            function = comm.Allreduce if kind == "allreduce" else comm.Allgather
            found[kind][size] = best(functools.partial(function, given, result), 20, 0.2) * 1e6
    if comm.rank == 0:
        found["mpi"] = MPI.Get_library_version().split(",")[0]
        print(json.dumps(found))


main()
