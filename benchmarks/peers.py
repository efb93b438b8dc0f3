"""A rank of what a user would pick instead, timed by compare.py: peers.py MODELS WORK HOW [PIPE]

HOW is `eager` or `compiled` (PyTorch, torch.compile of what lies between the collectives; gloo on the CPU, with GPU=1
NCCL, data from and to the host's locked memory), `onnx` (the same stages exported to ONNX Runtime, with mpi4py),
`numpy` (with mpi4py), or `expected`: NumPy in float64 on one rank writes MODELS/WORK/expected.npy.
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
import torch.nn.functional
import work
from mpi4py import MPI
from scipy.special import erf

comm, GPU = MPI.COMM_WORLD, bool(os.environ.get("GPU"))
models, name, how, *pipe = sys.argv[1:]
dtype = np.float64 if how == "expected" else np.float32
TORCH = ("eager", "compiled")
device = f"cuda:{comm.rank}" if GPU else "cpu"


class F:
    """What minilm.py takes of torch.nn.functional, in NumPy, some of it in place."""

    def embedding(ids, table):
        return table[ids]

    def linear(x, weight, bias=None):
        y = x @ weight.T
        return y if bias is None else np.add(y, bias, out=y)

    def layer_norm(x, shape, gamma, beta, epsilon):
        x -= x.mean(-1, keepdims=True)
        x *= 1 / np.sqrt((x * x).mean(-1, keepdims=True) + epsilon)
        x *= gamma
        return np.add(x, beta, out=x)

    def scaled_dot_product_attention(q, k, v, attn_mask):
        score = q @ k.swapaxes(2, 3)
        score *= q.shape[-1] ** -0.5
        score += attn_mask
        score -= score.max(-1, keepdims=True)
        np.exp(score, out=score)
        score /= score.sum(-1, keepdims=True)
        return score @ v

    def gelu(x):
        x *= (erf(x * 0.5**0.5) + 1) * 0.5
        return x

    def normalize(x, dim):
        return x / np.linalg.norm(x, axis=dim, keepdims=True)


class Stage(torch.nn.Module):
    """What lies between two collectives: a function of this rank's arrays and of what the stage is given."""

    def __init__(self, function, arrays):
        super().__init__()
        self.function = function
        self.weights = torch.nn.ParameterList(map(torch.tensor, arrays)).to(device)

    def forward(self, *given):
        return self.function(*self.weights, *given)


def stage(function, arrays):
    """Return the stage as HOW runs it, on tensors with PyTorch, otherwise on arrays."""
    if how in ("numpy", "expected"):
        return functools.partial(function, *(array.astype(dtype) for array in arrays))
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
    if isinstance(x, np.ndarray):
        comm.Allreduce(MPI.IN_PLACE, x)
    else:
        dist.all_reduce(x)
    return x


def gather(x):
    """Return all ranks' columns (M, N) side by side."""
    shape = comm.size, *x.shape
    if isinstance(x, np.ndarray):
        everyone = np.empty(shape, x.dtype)
        comm.Allgather(x, everyone)
    else:
        everyone = torch.empty(shape, device=device)
        dist.all_gather_into_tensor(everyone.flatten(0, 1), x)
    return everyone.swapaxes(0, 1).reshape(len(x), -1)


def product():
    made = stage(lambda w, x: x @ w, [work.columns(name, comm.rank, comm.size)])
    return lambda x: gather(made(x))


def embeddings():
    positions, arrays = minilm.load(models, comm.rank, comm.size)
    batch, length = work.MINILMS[name]
    positions = np.tile(positions[:length], (batch, 1)).astype(dtype)
    if how in TORCH:
        positions = torch.from_numpy(positions).to(device)
    functions = minilm.functions(F if how in ("numpy", "expected") else torch.nn.functional, comm.rank)
    return functools.partial(minilm.predict, list(map(stage, functions, arrays)), positions, total)


def from_host(function, arrays):
    """Return predict() of a function of tensors on the GPU, from and to the host's locked memory."""
    locked = [torch.from_numpy(array).pin_memory() for array in arrays]

    def on_gpu():
        return function(*(tensor.to(device, non_blocking=True) for tensor in locked))

    def predict():
        result.copy_(on_gpu(), non_blocking=True)
        torch.cuda.synchronize()
        return result.numpy()

    result = torch.empty(on_gpu().shape, pin_memory=True)
    return predict


def main():
    torch.set_num_threads(1)
    torch.set_grad_enabled(False)
    logging.disable(logging.WARNING)  # of the export to ONNX
    if GPU:
        torch.cuda.set_device(device)
        torch.backends.cuda.matmul.allow_tf32 = True  # as TensorRT does
    if how in TORCH:
        store = f"file://{pipe[0]}.store"
        dist.init_process_group("nccl" if GPU else "gloo", init_method=store, rank=comm.rank, world_size=comm.size)
    else:  # gloo's own threads want another core: pinned it took four times as long
        work.pin(comm)
    arrays, expected = work.inputs(name), f"{models}/{name}/expected.npy"
    arrays[-1] = arrays[-1].astype(dtype)  # the mask, too
    function = product() if name in work.MATMULS else embeddings()
    given = [torch.from_numpy(array) for array in arrays] if how in TORCH else arrays
    predict = from_host(function, arrays) if GPU and how in TORCH else lambda: np.asarray(function(*given))
    about = {"onnx": f"ONNX Runtime {onnxruntime.__version__}, mpi4py", "numpy": f"NumPy {np.__version__}, mpi4py"}
    if how == "expected":
        np.save(expected, function(*arrays))
    else:
        work.serve(comm, predict, about.get(how, f"PyTorch {torch.__version__}"), expected, *pipe)
    if how in TORCH:
        dist.destroy_process_group()


main()
