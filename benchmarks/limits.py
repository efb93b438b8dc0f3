"""What two CPU ranks, or two GPUs with GPU=1, can do on this machine, as JSON: mpirun -n 2 python3 limits.py

gflops: of one core, or of one GPU with TF32, in a product of two matrices, float32; copy_gbs: a copy, read and written,
by one core and by one of each rank at once, or on a GPU; to_gpu_gbs, to_host_gbs: from and to locked memory of the
host; allreduce, allgather: {bytes of the result: microseconds}. Times are the slowest rank's, the least of many: what
others on the machine disturb least.
"""

import functools
import json
import os
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


def of_cpus():
    work.pin(comm.rank, comm.size)
    torch.set_num_threads(1)
    found = {"mpi": MPI.Get_library_version().split(",")[0], "torch": torch.__version__}
    for key, busy in (("one", comm.rank == 0), ("together", True)):
        source, target = np.ones((2, 32 << 20))
        copy = functools.partial(np.copyto, target, source) if busy else int
        found[f"copy_gbs_{key}"] = 2 * source.nbytes / best(copy, 5) / 1e9
    found["copy_gbs_together"] *= comm.size
    a, b, c = np.ones((3, 2048, 2048), np.float32)
    tensors = [torch.from_numpy(each) for each in (a, b, c)]
    for name, product in (("numpy", lambda: np.matmul(a, b, out=c)), ("torch", lambda: tensors[0] @ tensors[1])):
        found[f"{name}_gflops"] = 2 * 2048**3 / best(int if comm.rank else product, 5) / 1e9
    for kind, function in (("allreduce", comm.Allreduce), ("allgather", comm.Allgather)):
        found[kind] = {}
        for size in (1 << bits for bits in range(6, 25, 2)):
            result = np.ones(size // 4, np.float32)
            given = result.copy() if kind == "allreduce" else result[: len(result) // comm.size].copy()
            found[kind][size] = best(functools.partial(function, given, result)) * 1e6
    return found


def of_gpus():
    torch.cuda.set_device(comm.rank)
    torch.backends.cuda.matmul.allow_tf32 = True
    store = f"file://{comm.bcast(os.getcwd())}/{comm.bcast(os.getpid())}.store"
    dist.init_process_group("nccl", init_method=store, rank=comm.rank, world_size=comm.size)
    found = {"torch": torch.__version__, "nccl": ".".join(map(str, torch.cuda.nccl.version()))}
    found["mpi"] = MPI.Get_library_version().split(",")[0]
    a, b, c = torch.randn((3, 8192, 8192), device="cuda")
    host = torch.empty((8192, 8192), pin_memory=True)
    found["torch_gflops"] = 2 * 8192**3 / best(lambda: a @ b) / 1e9
    found["copy_gbs"] = 2 * a.nbytes / best(lambda: c.copy_(a)) / 1e9
    found["to_gpu_gbs"] = host.nbytes / best(lambda: a.copy_(host, non_blocking=True)) / 1e9
    found["to_host_gbs"] = host.nbytes / best(lambda: host.copy_(a, non_blocking=True)) / 1e9
    for kind in ("allreduce", "allgather"):
        found[kind] = {}
        for size in (1 << bits for bits in range(10, 29, 2)):
            result, part = (torch.ones(size // 4 // count, device="cuda") for count in (1, comm.size))
            exchange = functools.partial(dist.all_gather_into_tensor, result, part)
            if kind == "allreduce":
                exchange = functools.partial(dist.all_reduce, result)
            best(exchange, 3, 0)
            found[kind][size] = best(exchange) * 1e6
    dist.destroy_process_group()
    return found


found = of_gpus() if GPU else of_cpus()
if comm.rank == 0:
    print(json.dumps(found))
