"""A rank of PyTorch, timed by compare.py: peer_torch.py ADDRESS WORK MODELS HOW

HOW is `eager` or `compiled` (torch.compile of what lies between the collectives), with gloo on the CPU or NCCL on the
GPU, data from and to the host's locked memory; or `onnx`: the same stages exported to ONNX Runtime, and mpi4py.
"""

import io
import logging
import os
import sys
import warnings

import minilm
import work

rank, ranks = (int(os.environ[f"OMPI_COMM_WORLD_{name}"]) for name in ("RANK", "SIZE"))
address, name, folder, how = sys.argv[1:]
gpu = bool(os.environ.get("GPU"))
if not gpu:
    os.environ["OMP_NUM_THREADS"] = "1"
    if how == "onnx":  # gloo's own threads want another core: pinned it took four times as long
        work.pin(rank, ranks)
import torch
import torch.distributed as dist
import torch.nn.functional as F

torch.set_num_threads(1)
torch.set_grad_enabled(False)
torch.backends.cuda.matmul.allow_tf32 = True  # as TensorRT does
device = f"cuda:{rank}" if gpu else "cpu"


class Stage(torch.nn.Module):
    """What lies between two collectives: a function of this rank's arrays and of what the stage is given."""

    def __init__(self, function, arrays):
        super().__init__()
        self.function, tensors = function, (torch.tensor(array) for array in arrays)
        self.weights = torch.nn.ParameterList(tensors).to(device)

    def forward(self, *given):
        return self.function(*self.weights, *given)


def as_how(stage):
    """Return the stage as `how` has it."""
    if how == "onnx":
        return on_onnx_runtime(stage)
    if how == "eager":
        return stage
    if gpu:
        return torch.compile(stage, mode="max-autotune-no-cudagraphs")
    from torch._inductor import config

    config.freezing = True  # weights in the order that the products take them
    return torch.compile(stage)


def on_onnx_runtime(stage):
    """Return what runs the stage there, exported when it is first called."""
    sessions = []

    def run(*tensors):
        if not sessions:
            sessions.append(exported(stage, tensors))
        names = (value.name for value in sessions[0].get_inputs())
        made = sessions[0].run(None, dict(zip(names, (tensor.numpy() for tensor in tensors))))
        made = [torch.from_numpy(array) for array in made]
        return made[0] if len(made) == 1 else made

    return run


def exported(stage, tensors):
    import onnxruntime

    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)
    file, options = io.BytesIO(), onnxruntime.SessionOptions()
    torch.onnx.export(stage, tensors, dynamo=True, verbose=False).save(file)
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(file.getvalue(), options, providers=["CPUExecutionProvider"])


def matmul(total, gather, given):
    stage = as_how(Stage(lambda w, x: x @ w, [work.columns(name, rank)]).eval())

    def predict():
        (x,) = given()
        return gather(stage(x)).reshape(ranks, x.shape[0], -1).permute(1, 0, 2).reshape(x.shape[0], -1)

    return predict


def embeddings(total, gather, given):
    positions, arrays = minilm.load(folder, rank, ranks)
    batch, length = work.MINILMS[name]
    positions = torch.from_numpy(positions[:length]).repeat(batch, 1).to(device)
    stages = [as_how(Stage(*stage).eval()) for stage in zip(minilm.functions(F, rank), arrays)]

    def predict():
        ids, mask = given()
        return minilm.predict(stages, positions, total, ids, mask.to(torch.float32))

    return predict


def main():
    tensors = [torch.from_numpy(array) for array in work.inputs(name)]
    about, barrier = f"PyTorch {torch.__version__}", dist.barrier
    if gpu:
        torch.cuda.set_device(rank)
        tensors = [tensor.pin_memory() for tensor in tensors]
    if how == "onnx":
        import onnxruntime
        from mpi4py import MPI

        comm, about = MPI.COMM_WORLD, f"ONNX Runtime {onnxruntime.__version__}, mpi4py"
        barrier = comm.Barrier
    else:
        store = f"file://{address}.store"
        dist.init_process_group("nccl" if gpu else "gloo", init_method=store, rank=rank, world_size=ranks)

    def given():
        return [tensor.to(device, non_blocking=True) for tensor in tensors] if gpu else tensors

    def total(x):
        if how == "onnx":
            comm.Allreduce(MPI.IN_PLACE, x.numpy())
        else:
            dist.all_reduce(x)
        return x

    def gather(x):
        everyone = torch.empty((ranks * len(x), x.shape[1]), dtype=x.dtype, device=x.device)
        if how == "onnx":
            comm.Allgather(x.numpy(), everyone.numpy())
        else:
            dist.all_gather_into_tensor(everyone, x)
        return everyone

    function = (matmul if name in work.MATMULS else embeddings)(total, gather, given)
    back = torch.empty(function().shape, pin_memory=gpu)

    def predict():
        if not gpu:
            return function().numpy()
        back.copy_(function(), non_blocking=True)
        torch.cuda.synchronize()
        return back.numpy()

    work.serve(address, rank, barrier, predict, about)
    if how != "onnx":
        dist.destroy_process_group()


main()
