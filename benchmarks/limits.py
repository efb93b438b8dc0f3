"""What two CPU ranks, or two GPUs with GPU=1, can do on this machine, as JSON: mpirun -n 2 python3 limits.py

gflops: of one core, or of one GPU with TF32, in a product of two matrices, float32; copy_gbs: a copy, read and written,
by one core and by one of each rank at once, or on a GPU; to_gpu_gbs, to_host_gbs: from and to locked memory of the
host; allreduce, allgather: {bytes of the result: microseconds}. Times are the slowest rank's, the least of many: what
others on the machine disturb least.
"""

import json
import os
import tempfile
import time

os.environ.update(OPENBLAS_NUM_THREADS="1", OMP_NUM_THREADS="1")
import numpy as np
import torch
import torch.distributed as dist
import work
from mpi4py import MPI

GPU = bool(os.environ.get("GPU"))
comm = MPI.COMM_WORLD


def best(function, least=20, seconds=0.2, done=torch.cuda.synchronize if GPU else int):  # int(): nothing
    """Return the least seconds of a call."""
    times, end = [], time.perf_counter() + seconds
    while len(times) < least or comm.bcast(time.perf_counter() < end):
        done()
        comm.Barrier()
        start = time.perf_counter()
        function()
        done()
        times.append(time.perf_counter() - start)
    return min(np.max(comm.allgather(times), axis=0))


def collectives(exponents, ones, **kinds):
    """Return {kind: {bytes: microseconds}}; each is called with the result, and a rank's whole and part of it."""
    found = {kind: {} for kind in kinds}
    for kind, function in kinds.items():
        for size in (1 << exponent for exponent in exponents):
            arrays = [ones(count) for count in (size // 4, size // 4, size // 4 // comm.size)]
            found[kind][size] = best(lambda: function(*arrays)) * 1e6  # noqa: B023  (called here)
    return found


def of_cpus():
    work.pin(comm.rank, comm.size)
    torch.set_num_threads(1)
    source, target = np.ones((2, 32 << 20))
    a, b, c = np.ones((3, 2048, 2048), np.float32)
    tensors = [torch.from_numpy(array) for array in (a, b)]

    def of_one(function):
        return best(int if comm.rank else function, 5)

    return {
        "copy_gbs_one": 2 * source.nbytes / of_one(lambda: np.copyto(target, source)) / 1e9,
        "copy_gbs_together": comm.size * 2 * source.nbytes / best(lambda: np.copyto(target, source), 5) / 1e9,
        "numpy_gflops": 2 * 2048**3 / of_one(lambda: np.matmul(a, b, out=c)) / 1e9,
        "torch_gflops": 2 * 2048**3 / of_one(lambda: tensors[0] @ tensors[1]) / 1e9,
        **collectives(
            range(6, 25, 2),
            lambda count: np.ones(count, np.float32),
            allreduce=lambda result, whole, part: comm.Allreduce(whole, result),
            allgather=lambda result, whole, part: comm.Allgather(part, result),
        ),
    }


def of_gpus(folder):
    torch.cuda.set_device(comm.rank)
    torch.backends.cuda.matmul.allow_tf32 = True
    dist.init_process_group("nccl", init_method=f"file://{folder}/store", rank=comm.rank, world_size=comm.size)
    a, b, c = torch.randn((3, 8192, 8192), device="cuda")
    host = torch.empty((8192, 8192), pin_memory=True)
    return {
        "nccl": ".".join(map(str, torch.cuda.nccl.version())),
        "torch_gflops": 2 * 8192**3 / best(lambda: a @ b) / 1e9,
        "copy_gbs": 2 * a.nbytes / best(lambda: c.copy_(a)) / 1e9,
        "to_gpu_gbs": host.nbytes / best(lambda: a.copy_(host, non_blocking=True)) / 1e9,
        "to_host_gbs": host.nbytes / best(lambda: host.copy_(a, non_blocking=True)) / 1e9,
        **collectives(
            range(10, 29, 2),
            lambda count: torch.ones(count, device="cuda"),
            allreduce=lambda result, whole, part: dist.all_reduce(result),
            allgather=lambda result, whole, part: dist.all_gather_into_tensor(result, part),
        ),
    }


with tempfile.TemporaryDirectory() as folder:
    found = of_gpus(comm.bcast(folder)) if GPU else of_cpus()
    comm.Barrier()
if comm.rank == 0:
    print(json.dumps({"mpi": MPI.Get_library_version().split(",")[0], "torch": torch.__version__, **found}))
