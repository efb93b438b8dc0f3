"""A rank of PyTorch, timed by compare.py: peer_torch.py ADDRESS WORK WEIGHTS.safetensors HOW

HOW is `eager` or `compiled` (torch.compile of what lies between the collectives), with gloo on the CPU or NCCL on the
GPU, data from and to the host's locked memory; or `onnx`: the same stages exported to ONNX Runtime, and mpi4py.
Started with RANK and WORLD_SIZE, or by mpirun.
"""

import logging
import os
import sys
import warnings

rank, ranks = (int(os.environ.get(own, os.environ.get(f"OMPI_COMM_WORLD_{own}", "0" if own == "RANK" else "1")))
               for own in ("RANK", "SIZE"))  # fmt: skip
address, name, path, how = sys.argv[1:]
gpu = bool(os.environ.get("GPU"))
import work  # noqa: E402  (here and below: after what their imports read)

if not gpu:
    os.environ["OMP_NUM_THREADS"] = "1"
    if how == "onnx":  # gloo's own threads want another core: pinned it took four times as long
        work.pin(rank, ranks)
import torch  # noqa: E402  (as above)
import torch.distributed as dist  # noqa: E402  (as above)
import torch.nn.functional as F  # noqa: E402  (as above)

torch.set_num_threads(1)
torch.set_grad_enabled(False)
torch.backends.cuda.matmul.allow_tf32 = True  # as TensorRT does
device = f"cuda:{rank}" if gpu else "cpu"


# The stages: what lies between the collectives


class Product(torch.nn.Module):
    def __init__(self, w):
        super().__init__()
        self.w = torch.nn.Parameter(w)

    def forward(self, x):
        return x @ self.w


class Embedding(torch.nn.Module):
    """The rows of this rank's part of the vocabulary, zeros for the others'."""

    def __init__(self, weights):
        super().__init__()
        table = weights["embeddings.word_embeddings.weight"]
        size = -(-len(table) // ranks)
        mine = table[rank * size : (rank + 1) * size]
        self.first, self.rows = rank * size, size
        self.table = torch.nn.Parameter(F.pad(mine, (0, 0, 1, size - len(mine) + 1)))

    def forward(self, ids):
        return F.embedding((ids - (self.first - 1)).clamp(0, self.rows + 1), self.table).reshape(-1, work.WIDTH)


class Linear(torch.nn.Module):
    """Columns of a layer with its bias, or rows of one without."""

    def __init__(self, weights, keys, axis):
        super().__init__()
        self.weight = torch.nn.Parameter(
            torch.cat([weights[f"{key}.weight"].chunk(ranks, axis)[rank] for key in keys]).contiguous()
        )
        bias = torch.cat([weights[f"{key}.bias"].chunk(ranks)[rank] for key in keys]) if axis == 0 else None
        self.bias = bias if bias is None else torch.nn.Parameter(bias.contiguous())

    def forward(self, x):
        return F.linear(x, self.weight, self.bias)


class Norm(torch.nn.Module):
    """LayerNorm(x + sum + bias)."""

    def __init__(self, weights, key, bias):
        super().__init__()
        self.gamma, self.beta, self.bias = (
            torch.nn.Parameter(each.clone()) for each in (weights[f"{key}.weight"], weights[f"{key}.bias"], bias)
        )

    def forward(self, x, total):
        return F.layer_norm(x + (total + self.bias), (work.WIDTH,), self.gamma, self.beta, 1e-12)


class Attention(torch.nn.Module):
    def __init__(self, weights, key, norm, batch, length):
        super().__init__()
        self.norm, self.shape = norm, (batch, length, 3, work.HEADS // ranks, work.WIDTH // work.HEADS)
        self.qkv = Linear(weights, [f"{key}.attention.self.{each}" for each in ("query", "key", "value")], 0)
        self.out = Linear(weights, [f"{key}.attention.output.dense"], 1)

    def forward(self, x, total, mask):
        x = self.norm(x, total)
        q, k, v = self.qkv(x).reshape(self.shape).permute(2, 0, 3, 1, 4)
        y = F.scaled_dot_product_attention(q, k, v, attn_mask=mask)
        return x, self.out(y.transpose(1, 2).reshape(x.shape[0], -1))


class FeedForward(torch.nn.Module):
    def __init__(self, weights, key, norm):
        super().__init__()
        self.norm = norm
        self.up, self.down = (
            Linear(weights, [f"{key}.intermediate.dense"], 0),
            Linear(weights, [f"{key}.output.dense"], 1),
        )

    def forward(self, x, total):
        x = self.norm(x, total)
        return x, self.down(F.gelu(self.up(x)))


class Pool(torch.nn.Module):
    def __init__(self, norm, batch):
        super().__init__()
        self.norm, self.batch = norm, batch

    def forward(self, x, total, real):
        x = self.norm(x, total).reshape(self.batch, -1, work.WIDTH)
        return F.normalize((x * real).sum(1) / real.sum(1), dim=1)


def minilm_stages(weights, batch, length):
    """Return the modules, the collectives' sums between them."""
    bias = weights["embeddings.token_type_embeddings.weight"][0] + 0
    norm = Norm(weights, "embeddings.LayerNorm", bias)
    stages = [Embedding(weights)]
    for index in range(work.LAYERS):
        key = f"encoder.layer.{index}"
        stages.append(Attention(weights, key, norm, batch, length))
        norm = Norm(weights, f"{key}.attention.output.LayerNorm", weights[f"{key}.attention.output.dense.bias"])
        stages.append(FeedForward(weights, key, norm))
        norm = Norm(weights, f"{key}.output.LayerNorm", weights[f"{key}.output.dense.bias"])
    return [*stages, Pool(norm, batch)]


# How they are run


def compiled(stage, arguments):
    """Return the stage as `how` has it."""
    if how == "compiled":
        if gpu:
            return torch.compile(stage, mode="max-autotune-no-cudagraphs")
        from torch._inductor import config

        config.freezing = True  # weights in the order that the products take them
        return torch.compile(stage)
    if how != "onnx":
        return stage
    import io

    import onnxruntime

    file = io.BytesIO()
    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)
    program = torch.onnx.export(stage, arguments, dynamo=True, verbose=False)
    program.save(file)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(file.getvalue(), options, providers=["CPUExecutionProvider"])
    names = [each.name for each in session.get_inputs()]

    def run(*tensors):
        made = session.run(None, dict(zip(names, (each.numpy() for each in tensors))))
        made = [torch.from_numpy(each) for each in made]
        return made[0] if len(made) == 1 else made

    return run


def matmul(total, gather, given):
    w = torch.from_numpy(work.columns(name, rank, ranks)).to(device)
    stage = compiled(Product(w).eval(), tuple(given()))

    def predict():
        (x,) = given()
        everyone = gather(stage(x)).reshape(ranks, x.shape[0], -1)
        return everyone.permute(1, 0, 2).reshape(x.shape[0], -1)

    return predict


def minilm(total, gather, given):
    from safetensors.torch import load_file

    ids, mask = work.inputs(name)
    weights, (batch, length) = load_file(path), ids.shape
    stages = [each.eval().to(device) for each in minilm_stages(weights, batch, length)]
    positions = weights["embeddings.position_embeddings.weight"][:length].repeat(batch, 1).to(device)
    ids, mask = given()

    def masks(mask):
        real = mask.to(torch.float32)
        return (real[:, None, None, :] - 1) * 1e4, real[:, :, None]

    bias, real = masks(mask)
    x, y = positions, positions.clone()  # two tensors, or the export takes them for one
    examples = [
        (ids,),
        *((x, y, bias) if index % 2 else (x, y) for index in range(1, 1 + 2 * work.LAYERS)),
        (x, y, real),
    ]
    stages = [compiled(stage, example) for stage, example in zip(stages, examples)]

    def predict():
        ids, mask = given()
        bias, real = masks(mask)
        sums, x = total(stages[0](ids)), positions
        for index in range(1, 1 + 2 * work.LAYERS):
            x, sums = stages[index](x, sums, bias) if index % 2 else stages[index](x, sums)
            sums = total(sums)
        return stages[-1](x, sums, real)

    return predict


def main():
    tensors = [torch.from_numpy(each) for each in work.inputs(name)]
    if gpu:
        torch.cuda.set_device(rank)
        tensors = [each.pin_memory() for each in tensors]
    if how == "onnx":
        from mpi4py import MPI

        comm = MPI.COMM_WORLD
        barrier = comm.Barrier
    elif ranks > 1:
        store = f"file://{address}.store"
        dist.init_process_group("nccl" if gpu else "gloo", init_method=store, rank=rank, world_size=ranks)
        barrier = dist.barrier
    else:
        barrier = int

    def given():
        return [each.to(device, non_blocking=True) for each in tensors] if gpu else tensors

    def total(x):
        if how == "onnx" and ranks > 1:
            comm.Allreduce(MPI.IN_PLACE, x.numpy())
        elif ranks > 1:
            dist.all_reduce(x)
        return x

    def gather(x):
        everyone = torch.empty((ranks * len(x), x.shape[1]), dtype=x.dtype, device=x.device)
        if how == "onnx" and ranks > 1:
            comm.Allgather(x.numpy(), everyone.numpy())
        elif ranks > 1:
            dist.all_gather_into_tensor(everyone, x)
        else:
            everyone = x
        return everyone

    function = (matmul if name in work.MATMULS else minilm)(total, gather, given)
    back = {}

    def predict():
        result = function()
        if not gpu:
            return result.numpy()
        if "buffer" not in back:
            back["buffer"] = torch.empty(result.shape, dtype=result.dtype, pin_memory=True)
        back["buffer"].copy_(result, non_blocking=True)
        torch.cuda.synchronize()
        return back["buffer"].numpy()

    for _ in range(3):
        predict()
    about = f"PyTorch {torch.__version__}"
    if how == "onnx":
        import onnxruntime

        about = f"ONNX Runtime {onnxruntime.__version__}, mpi4py"
    work.serve(address, rank, barrier, predict, about)


main()
if ranks > 1 and how != "onnx":
    dist.destroy_process_group()
