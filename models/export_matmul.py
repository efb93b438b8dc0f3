"""Shard a matrix product over ranks and export one MindIR a rank: the smallest example of a distributed model.

    python3 models/export_matmul.py --ranks 2                          # Matmul.mindir, Matmul0.mindir, Matmul1.mindir
    python3 models/export_matmul.py --ranks 4 --shape 256,4096,4096 --output /tmp/Large.mindir

The product is y = x w with x (M, K) and w (K, N). Every rank gets all of x and N / ranks columns of w, computes its
columns of y, and AllGather puts them together, so that every rank returns the whole y. The model that isn't sharded is
exported beside the shards, to check them against. It takes MindSpore (requirements-export.txt) and no accelerator.
"""

import argparse
import contextlib
import os
import shutil
import tempfile

import mindspore as ms
import numpy as np
from mindspore import nn, ops
from mindspore.ops.operations import comm_ops

SEED = 2023
GROUP = "hccl_world_group"  # all ranks; TensorRT and the CPU take it for theirs, too


class Matmul(nn.Cell):
    """y = x w on one device."""

    def __init__(self, weight):
        super().__init__()
        self.weight = ms.Parameter(ms.Tensor(weight), name="weight")
        self.matmul = ops.MatMul()

    def construct(self, x):
        return self.matmul(x, self.weight)


class ShardedMatmul(nn.Cell):
    """y = x w on one of `ranks` devices, `weight` being this rank's columns of w."""

    def __init__(self, weight, ranks):
        super().__init__()
        self.weight = ms.Parameter(ms.Tensor(weight), name="weight")
        self.ranks = ranks
        self.matmul = ops.MatMul()
        self.all_gather = ops.AllGather(group=GROUP)
        self.reshape = ops.Reshape()
        self.transpose = ops.Transpose()

    def construct(self, x):
        y = self.matmul(x, self.weight)  # (M, N / ranks): this rank's columns
        m, n = y.shape
        y = self.all_gather(y)  # (ranks * M, N / ranks): AllGather stacks along axis 0, the only one all back ends have
        y = self.reshape(y, (self.ranks, m, n))
        y = self.transpose(y, (1, 0, 2))  # so the ranks' columns have to be brought side by side
        return self.reshape(y, (m, self.ranks * n))


@contextlib.contextmanager
def group_of(ranks, rank):
    """Let collectives be built for this rank of a group that isn't there: they ask for both numbers, we export only."""
    asked = comm_ops.get_group_size, comm_ops.get_rank
    comm_ops.get_group_size, comm_ops.get_rank = (lambda *_, **__: ranks), (lambda *_, **__: rank)
    try:
        yield
    finally:
        comm_ops.get_group_size, comm_ops.get_rank = asked


def export(net, x, path):
    """Export the net, which takes inputs like those in `x`, as the MindIR file `path`: in full or not at all."""
    folder, name = os.path.split(os.path.abspath(path))
    net.set_train(False)
    with tempfile.TemporaryDirectory(dir=folder) as temporary:
        ms.export(net, *x, file_name=os.path.join(temporary, name), file_format="MINDIR")
        for parent, _, files in os.walk(temporary):  # MindSpore writes for its owner alone
            os.chmod(parent, 0o755)
            for each in files:
                os.chmod(os.path.join(parent, each), 0o644)
        remove(path)
        for each in os.listdir(temporary):  # X.mindir, or over 1 GB X_graph.mindir and the folder X_variables
            os.replace(os.path.join(temporary, each), os.path.join(folder, each))
            print(os.path.join(os.path.dirname(path), each))


def remove(path):
    """Remove the model X.mindir in either form; return whether it was there."""
    stem = path[: -len(".mindir")]
    there = [each for each in (path, f"{stem}_graph.mindir") if os.path.exists(each)]
    for each in there:
        os.remove(each)
    shutil.rmtree(f"{stem}_variables", ignore_errors=True)
    return bool(there)


def export_matmul(ranks, shape, path):
    """Export y = x w for x (M, K), w (K, N) of `shape` = M, K, N as `path` (X.mindir) and X0.mindir, X1.mindir, ..."""
    m, k, n = shape
    if n % ranks:
        raise ValueError(f"--shape {m},{k},{n}: {n} columns can't be split evenly over {ranks} ranks: change either")
    weight = np.random.RandomState(SEED).standard_normal((k, n)).astype(np.float32)
    x = [ms.Tensor(np.ones((m, k), np.float32))]
    export(Matmul(weight), x, path)
    for rank, columns in enumerate(np.split(weight, ranks, axis=1)):
        with group_of(ranks, rank):
            net = ShardedMatmul(np.ascontiguousarray(columns), ranks)
        export(net, x, insert(path, rank))
    rank = ranks
    while remove(insert(path, rank)):  # of an earlier export for more ranks: the set would be a mixture
        print(f"{insert(path, rank)}  removed: made for more ranks")
        rank += 1


def insert(path, rank):
    """Return X1.mindir for X.mindir and rank 1."""
    return f"{path[: -len('.mindir')]}{rank}.mindir"


def main():
    here = os.path.dirname(os.path.abspath(__file__))
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--ranks", type=int, required=True, metavar="N", help="number of shards")
    parser.add_argument("--shape", default="4,256,128", metavar="M,K,N", help="of the product (default: 4,256,128)")
    output = os.path.join(here, "Matmul.mindir")
    parser.add_argument("--output", default=output, metavar="X.mindir", help="default: models/Matmul.mindir")
    args = parser.parse_args()
    try:
        m, k, n = (int(each) for each in args.shape.split(","))
    except ValueError:
        parser.error(f"--shape {args.shape}: three numbers M,K,N")
    if min(args.ranks, m, k, n) < 1 or not args.output.endswith(".mindir"):
        parser.error(f"--ranks {args.ranks} --shape {args.shape}: at least 1; --output {args.output}: X.mindir")
    folder = os.path.dirname(os.path.abspath(args.output))
    if not os.path.isdir(folder) or set(args.output) & set(" \t"):
        parser.error(f"--output {args.output}: no such folder, or a space in it, which MindSpore can't export to")
    try:
        export_matmul(args.ranks, (m, k, n), args.output)
    except (ValueError, OSError) as error:
        parser.error(str(error))


if __name__ == "__main__":
    main()
