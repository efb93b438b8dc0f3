"""A rank of what a user would pick instead, timed by compare.py: peers.py MODELS WORK HOW PIPE

HOW is `eager` or `compiled` (PyTorch, torch.compile of what lies between the collectives; gloo on the CPU, with GPU=1
NCCL, data from and to the host's locked memory), `onnx` (the same stages exported to ONNX Runtime, with mpi4py),
`numpy` (the products, with mpi4py), `expected`: PyTorch in float64 on one rank writes MODELS/WORK/expected.npy, or
`limits`: what the machine can do at most, all ranks at once, each on a core or a GPU of its own.
"""

import functools
import io
import logging
import os
import sys

os.environ.update(OPENBLAS_NUM_THREADS="1", OMP_NUM_THREADS="1")
import minilm
import numpy as np
import onnxruntime
import torch
import torch.distributed as dist
import work
from mpi4py import MPI

comm = MPI.COMM_WORLD
models, name, how, pipe = sys.argv[1:]
TORCH, GPU = how not in ("onnx", "numpy"), bool(os.environ.get("GPU")) and how in ("eager", "compiled", "limits")
device = f"cuda:{comm.rank}" if GPU else "cpu"
dtype = torch.float64 if how == "expected" else torch.float32


class Stage(torch.nn.Module):
    """What lies between two collectives: a function of this rank's arrays and of what the stage is given."""

    def __init__(self, function, arrays):
        super().__init__()
        self.function = function
        self.weights = torch.nn.ParameterList(map(torch.tensor, arrays)).to(device, dtype)

    def forward(self, *given):
        return self.function(*self.weights, *given)


def stage(function, arrays):
    """Return the stage as HOW runs it: on arrays with `numpy` and `onnx`, otherwise on tensors."""
    if how == "numpy":
        return functools.partial(function, *arrays)
    made = Stage(function, arrays).eval()
    if how == "onnx":
        return on_onnx_runtime(made)
    torch._inductor.config.freezing = not GPU  # weights in the order that the products take them
    return torch.compile(made, mode="max-autotune-no-cudagraphs" if GPU else None) if how == "compiled" else made


def on_onnx_runtime(made):
    """Return what runs the stage there, exported when it is first called."""
    sessions = []

    def run(*arrays):
        if not sessions:
            file, options = io.BytesIO(), onnxruntime.SessionOptions()
            torch.onnx.export(made, tuple(map(torch.from_numpy, arrays)), dynamo=True, verbose=False).save(file)
            options.intra_op_num_threads = options.inter_op_num_threads = 1
            sessions.append(onnxruntime.InferenceSession(file.getvalue(), options))
        names = (value.name for value in sessions[0].get_inputs())
        outputs = sessions[0].run(None, dict(zip(names, arrays)))
        return outputs if len(outputs) > 1 else outputs[0]

    return run


def total(x):
    """Sum up over the ranks."""
    if TORCH:
        dist.all_reduce(x)
    else:
        comm.Allreduce(MPI.IN_PLACE, x)
    return x


def gather(x):
    """Return all ranks' columns (M, N) side by side."""
    shape = comm.size, *x.shape
    if TORCH:
        everyone = x.new_empty(shape)
        dist.all_gather_into_tensor(everyone.flatten(0, 1), x)
    else:
        everyone = np.empty(shape, x.dtype)
        comm.Allgather(x, everyone)
    return everyone.swapaxes(0, 1).reshape(len(x), -1)


def load():
    """Return this rank's model, a function of the inputs."""
    if name.startswith("matmul"):
        whole = np.random.RandomState(2023).standard_normal(work.shape(name)[1:])  # as models/export_matmul.py
        columns = np.split(whole, comm.size, axis=1)[comm.rank].astype(np.float32, order="C")
        product = stage(lambda w, x: x @ w, [columns])
        return lambda x: gather(product(x))
    positions, stages = minilm.load(models, comm.rank, comm.size)
    batch, length = work.shape(name)
    positions = np.tile(positions[:length], (batch, 1))
    positions = torch.from_numpy(positions).to(device, dtype) if TORCH else positions
    return functools.partial(minilm.predict, [stage(*one) for one in stages], positions, total)


def from_host(function, tensors):
    """Return predict() of a function of tensors on the GPU, from and to the host's locked memory."""
    locked, result = [tensor.pin_memory() for tensor in tensors], None

    def predict():
        nonlocal result
        made = function(*(tensor.to(device, non_blocking=True) for tensor in locked))
        result = torch.empty(made.shape, pin_memory=True) if result is None else result
        result.copy_(made, non_blocking=True)
        torch.cuda.synchronize()
        return result.numpy()

    return predict


def least(function, *arguments):
    """Return the seconds of the fastest of 20 calls, which all ranks make."""
    return min(work.ms(lambda: (function(*arguments), GPU and torch.cuda.synchronize())) for _ in range(20)) / 1e3


def limits():
    """Yield lines about the machine."""
    size = 8192 if GPU else 2048
    a, b = torch.randn((2, size, size), device=device)
    yield f"- product of two {size}×{size} matrices: {2e-9 * size**3 / least(torch.matmul, a, b):.0f} GFLOP/s each"
    a, b = torch.ones((2, 1 << 26), device=device)
    yield f"- copy, read and written: {2e-9 * a.nbytes / least(a.copy_, b):.1f} GB/s each"
    if GPU:
        host = torch.empty(1 << 26, pin_memory=True)
        rates = [1e-9 * host.nbytes / least(*copy) for copy in ((a.copy_, host), (host.copy_, a))]
        yield "- from and to locked memory of the host: {:.1f} and {:.1f} GB/s each".format(*rates)
    for count in (1 << 8, 1 << 18, 1 << 22):
        what = (dist.all_reduce, a[:count]) if GPU else (comm.Allreduce, MPI.IN_PLACE, a[:count].numpy())
        yield f"- sum of {4 * count >> 10} KiB over the ranks: {1e6 * least(*what):.1f} µs"


def main():
    torch.set_num_threads(1)
    torch.set_grad_enabled(False)
    logging.disable(logging.WARNING)  # of the export to ONNX
    if GPU:
        torch.cuda.set_device(device)
        torch.backends.cuda.matmul.allow_tf32 = True  # as TensorRT does
    if TORCH:
        store = f"file://{pipe}.store"
        dist.init_process_group("nccl" if GPU else "gloo", init_method=store, rank=comm.rank, world_size=comm.size)
    if how not in ("eager", "compiled"):  # gloo's own threads want another core: pinned it took four times as long
        work.pin(comm)
    if how == "limits":
        for line in limits():
            print(line, file=sys.stdout if comm.rank == 0 else io.StringIO(), flush=True)
    else:
        function, (*given, last) = load(), work.inputs(name)
        given.append(last.astype(str(dtype).split(".")[1]))  # the mask, too
        given = [torch.from_numpy(array) for array in given] if TORCH else given
        if how == "expected":
            np.save(f"{models}/{name}/expected.npy", function(*given))
        else:
            predict = from_host(function, given) if GPU else lambda: np.asarray(function(*given))
            work.serve(comm, predict, f"{models}/{name}/expected.npy", pipe)
    if TORCH:
        dist.destroy_process_group()


main()
