"""What PyTorch gets out of this machine, as JSON: a core, or with GPU=1 two GPUs, their links and NCCL.

gflops: of one thread, or of one GPU with TF32, in a product of two matrices, float32; copy_gbs: a copy on the GPU, read
and written; host_gbs: from and to locked host memory; allreduce, allgather: {bytes of the result: microseconds}.
"""

import functools
import json
import os
import sys
import tempfile
import time

import torch
import torch.distributed as dist

SIZES = [1 << bits for bits in range(10, 29, 2)]


def best(function, repeat=20):
    """Return the least seconds of a call."""
    done = torch.cuda.synchronize if torch.cuda.is_available() else int  # int(): nothing
    times = []
    for _ in range(repeat):
        done()
        start = time.perf_counter()
        function()
        done()
        times.append(time.perf_counter() - start)
    return min(times)


def on_gpus(rank, folder, ranks=2):
    torch.cuda.set_device(rank)
    torch.backends.cuda.matmul.allow_tf32 = True
    dist.init_process_group("nccl", init_method=f"file://{folder}/store", rank=rank, world_size=ranks)
    a, b = torch.randn((2, 8192, 8192), device="cuda")
    found = {"torch_gflops": 2 * 8192**3 / best(lambda: a @ b) / 1e9}
    c = torch.empty_like(a)
    found["copy_gbs"] = 2 * a.nbytes / best(lambda: c.copy_(a)) / 1e9
    host = torch.empty((8192, 8192), pin_memory=True)
    dist.barrier()
    found["to_gpu_gbs"] = host.nbytes / best(lambda: a.copy_(host, non_blocking=True)) / 1e9
    found["to_host_gbs"] = host.nbytes / best(lambda: host.copy_(a, non_blocking=True)) / 1e9
    for kind in ("allreduce", "allgather"):
        found[kind] = {}
        for size in SIZES:
            result = torch.ones(size // 4, device="cuda")
            given = torch.ones(size // 4 // ranks, device="cuda")
            exchange = functools.partial(dist.all_gather_into_tensor, result, given)
            if kind == "allreduce":
                exchange = functools.partial(dist.all_reduce, result)
            for _ in range(3):
                exchange()
            dist.barrier()
            found[kind][size] = best(exchange) * 1e6
    if rank == 0:
        found.update(torch=torch.__version__, nccl=".".join(map(str, torch.cuda.nccl.version())))
        with open(f"{folder}/found", "w") as file:
            json.dump(found, file)
    dist.destroy_process_group()


if __name__ == "__main__":
    if os.environ.get("GPU"):
        with tempfile.TemporaryDirectory() as folder:
            torch.multiprocessing.spawn(on_gpus, (folder,), 2)
            with open(f"{folder}/found") as file:
                print(file.read())
        sys.exit()
    torch.set_num_threads(1)
    a, b = torch.randn((2, 2048, 2048))
    print(json.dumps({"torch_gflops": 2 * 2048**3 / best(lambda: a @ b) / 1e9, "torch": torch.__version__}))
