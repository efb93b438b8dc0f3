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

comm, GPU = MPI.COMM_WORLD, bool(os.environ.get("GPU"))
done = torch.cuda.synchronize if GPU else int  # int(): nothing


def best(function, *arguments, ranks=2):
    """Return the least seconds of a call on so many of the ranks."""

    def call():
        if comm.rank < ranks:
            function(*arguments)
        done()

    times, end = [], time.perf_counter() + 0.3
    while len(times) < 5 or comm.bcast(time.perf_counter() < end):
        comm.Barrier()
        times.append(work.ms(call) / 1e3)
    return min(np.max(comm.allgather(times), axis=0))


def microseconds(exponents, ones, allreduce, allgather):
    """Return {"allreduce": {bytes of the result: microseconds}, "allgather": ...}."""
    arrays = {2**n: (ones(2**n // 4), ones(2**n // 4), ones(2**n // 8)) for n in exponents}
    return {
        "allreduce": {size: best(allreduce, whole, result) * 1e6 for size, (whole, result, _) in arrays.items()},
        "allgather": {size: best(allgather, part, result) * 1e6 for size, (_, result, part) in arrays.items()},
    }


def of_cpus():
    work.pin(comm)
    torch.set_num_threads(1)
    source, target = np.ones((2, 32 << 20))
    a, b, c = np.ones((3, 2048, 2048), np.float32)
    return {
        "copy_gbs_one": 2 * source.nbytes / best(np.copyto, target, source, ranks=1) / 1e9,
        "copy_gbs_together": 4 * source.nbytes / best(np.copyto, target, source) / 1e9,
        "numpy_gflops": 2 * 2048**3 / best(np.matmul, a, b, c, ranks=1) / 1e9,
        "torch_gflops": 2 * 2048**3 / best(torch.matmul, torch.from_numpy(a), torch.from_numpy(b), ranks=1) / 1e9,
        **microseconds(range(6, 25, 2), lambda count: np.ones(count, np.float32), comm.Allreduce, comm.Allgather),
    }


def of_gpus(store):
    torch.cuda.set_device(comm.rank)
    torch.backends.cuda.matmul.allow_tf32 = True
    dist.init_process_group("nccl", init_method=f"file://{store}", rank=comm.rank, world_size=comm.size)
    a, b, c = torch.randn((3, 8192, 8192), device="cuda")
    host = torch.empty((8192, 8192), pin_memory=True)
    return {
        "nccl": ".".join(map(str, torch.cuda.nccl.version())),
        "torch_gflops": 2 * 8192**3 / best(torch.matmul, a, b) / 1e9,
        "copy_gbs": 2 * a.nbytes / best(c.copy_, a) / 1e9,
        "to_gpu_gbs": host.nbytes / best(a.copy_, host, True) / 1e9,  # True: without waiting
        "to_host_gbs": host.nbytes / best(host.copy_, a, True) / 1e9,
        **microseconds(
            range(10, 29, 2),
            lambda count: torch.ones(count, device="cuda"),
            lambda whole, result: dist.all_reduce(result),
            lambda part, result: dist.all_gather_into_tensor(result, part),
        ),
    }


with tempfile.TemporaryDirectory() as folder:
    found = of_gpus(comm.bcast(f"{folder}/store")) if GPU else of_cpus()
    comm.Barrier()
if comm.rank == 0:
    print(json.dumps({"mpi": MPI.Get_library_version().split(",")[0], "torch": torch.__version__, **found}))
