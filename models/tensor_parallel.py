"""Shard a model of your own over ranks with MindSpore, on a machine without accelerators: layers, and the export.

The layout is Megatron-LM's. Of two products in a row the first is split by columns and the second by rows. A rank's
part of the first result is then just what its rows of the second take, and the block ends with one sum over the ranks:

    y = f(x up) down        a rank has columns of `up` and the same rows of `down`; y is the sum of the ranks' products

A layer is given whole weights and keeps the part of the rank that the net is being built for. Built for one rank it
keeps all and exchanges nothing, so one function makes the unsharded net and every rank's:

    def make_net():
        return nn.SequentialCell(ColumnParallel(up, up_bias), nn.ReLU(), RowParallel(down, down_bias))

    export_shards(make_net, [x], ranks=2, path="models/Mlp.mindir")    # and models/Mlp0.mindir, models/Mlp1.mindir

Weights are NumPy arrays (inputs, outputs), usually float32. A sum is a ReduceScatter and an AllGather, along axis 0,
which all back ends have, or on request an AllReduce, which TensorRT doesn't have.
"""

import contextlib
import os
import types

import mindspore as ms
import numpy as np
from mindspore import nn, ops
from mindspore.ops.operations import comm_ops
from shard_files import insert, new_set

GROUP = "hccl_world_group"  # all ranks; TensorRT and the CPU take it for theirs, too
COLLECTIVES = ("reduce_scatter", "all_reduce")  # how to sum over the ranks; the first is the default
here = types.SimpleNamespace(ranks=1, rank=0)  # whom nets are being built for


@contextlib.contextmanager
def group_of(ranks, rank):
    """Build nets as this rank of a group that isn't running: collectives need both numbers, even for an export."""
    functions, before = (comm_ops.get_group_size, comm_ops.get_rank), dict(vars(here))
    comm_ops.get_group_size, comm_ops.get_rank = (lambda *_, **__: ranks), (lambda *_, **__: rank)
    here.ranks, here.rank = ranks, rank
    try:
        yield
    finally:
        comm_ops.get_group_size, comm_ops.get_rank = functions
        vars(here).update(before)


def part(array, axis, what):
    """Return this rank's part of the array, along an axis; raise ValueError if its `what` can't be split evenly."""
    size = array.shape[axis]
    if size % here.ranks:
        raise ValueError(f"{size} {what} can't be split evenly over {here.ranks} ranks: change either")
    return np.ascontiguousarray(np.split(array, here.ranks, axis)[here.rank])


def parameter(array, name):
    return ms.Parameter(ms.Tensor(array), name=name)


# Layers. M is the number of rows that are computed side by side, such as batch * length.


class Sum(nn.Cell):
    """The sum over the ranks of x (M, ...), on all of them.

    Rows that can't be scattered evenly are scattered as numbers: the size of x has to be a multiple of the ranks. So
    are all without `by_rows`: the nodes are then the same for any M.
    """

    def __init__(self, collective=COLLECTIVES[0], by_rows=True):
        super().__init__()
        self.ranks, self.at_once, self.by_rows = here.ranks, collective == "all_reduce", by_rows
        if self.ranks > 1:
            self.all_reduce = ops.AllReduce(group=GROUP)
            self.reduce_scatter, self.all_gather = ops.ReduceScatter(group=GROUP), ops.AllGather(group=GROUP)
        self.reshape = ops.Reshape()

    def construct(self, x):
        if self.ranks == 1:
            return x
        if self.at_once:
            return self.all_reduce(x)
        if self.by_rows and x.shape[0] % self.ranks == 0:
            return self.all_gather(self.reduce_scatter(x))
        if x.size % self.ranks:
            raise ValueError(f"{x.size} numbers can't be scattered evenly over {self.ranks} ranks: change either")
        flat = self.reshape(x, (-1,))
        return self.reshape(self.all_gather(self.reduce_scatter(flat)), (-1,) + x.shape[1:])


class GatherColumns(nn.Cell):
    """The ranks' columns side by side, on all ranks: (M, N / ranks) -> (M, N)."""

    def __init__(self):
        super().__init__()
        self.ranks = here.ranks
        if self.ranks > 1:
            self.all_gather = ops.AllGather(group=GROUP)
        self.reshape, self.transpose = ops.Reshape(), ops.Transpose()

    def construct(self, y):
        if self.ranks == 1:
            return y
        m, n = y.shape
        y = self.all_gather(y)  # (ranks * M, N / ranks): AllGather stacks along axis 0, the only one all back ends have
        y = self.reshape(y, (self.ranks, m, n))
        y = self.transpose(y, (1, 0, 2))  # so the ranks' columns have to be brought side by side
        return self.reshape(y, (m, self.ranks * n))


class ColumnParallel(nn.Cell):
    """This rank's columns of x weight + bias: x (M, K) -> (M, N / ranks), for weight (K, N) and bias (N)."""

    def __init__(self, weight, bias=None):
        super().__init__()
        self.weight = parameter(part(weight, 1, "columns"), "weight")
        self.bias = None if bias is None else parameter(part(bias, 0, "columns"), "bias")
        self.matmul = ops.MatMul()

    def construct(self, x):
        y = self.matmul(x, self.weight)
        return y if self.bias is None else y + self.bias


class RowParallel(nn.Cell):
    """x weight + bias + residual, where a rank has columns of x: (M, K / ranks) -> (M, N).

    weight (K, N), bias (N), residual (M, N). Rank 0 alone adds the latter two, before the sum: engines add a bias as
    they multiply, and no stretch between collectives needs a residual of an earlier one. `by_rows` is Sum's.
    """

    def __init__(self, weight, bias=None, collective=COLLECTIVES[0], by_rows=True):
        super().__init__()
        self.weight = parameter(part(weight, 0, "rows"), "weight")
        self.first = here.rank == 0
        self.bias = None if bias is None or here.rank else parameter(bias, "bias")
        self.matmul, self.sum = ops.MatMul(), Sum(collective, by_rows)

    def construct(self, x, residual=None):
        y = self.matmul(x, self.weight)
        if self.bias is not None:
            y = y + self.bias
        if self.first and residual is not None:
            y = y + residual
        return self.sum(y)


class VocabParallelEmbedding(nn.Cell):
    """Rows of the table (V, H) for ids (M,), int32 from 0 to V - 1: -> (M, H). A rank has V / ranks rows, rounded up.

    For another rank's id, a rank takes the row of zeros on that side of its own rows, so that the sum is the row.
    """

    def __init__(self, table, collective=COLLECTIVES[0]):
        super().__init__()
        self.ranks, self.rows = here.ranks, -(-len(table) // here.ranks)
        self.first = here.rank * self.rows
        if self.ranks > 1:
            mine = table[self.first : self.first + self.rows]  # the last rank has fewer, followed by zeros
            table = np.zeros((self.rows + 2, table.shape[1]), table.dtype)
            table[1 : 1 + len(mine)] = mine
        self.table = parameter(table, "table")
        self.minimum, self.maximum, self.gather, self.sum = ops.Minimum(), ops.Maximum(), ops.Gather(), Sum(collective)

    def construct(self, ids):
        if self.ranks > 1:
            ids = self.minimum(self.maximum(ids - (self.first - 1), 0), self.rows + 1)
        return self.sum(self.gather(self.table, ids, 0))


class SelfAttention(nn.Cell):
    """Attention with whole heads on every rank: x (B * L, H) -> (B * L, H), with mask (B, 1, 1, L) added to the scores.

    A head's columns are side by side in the weights of query, key and value, and its rows in the output's, so these
    are split like any other, as long as a rank has whole heads. Each is a pair: weight (H, H), bias (H).
    A residual (B * L, H) is added to the result.
    """

    def __init__(self, query, key, value, output, heads, collective=COLLECTIVES[0]):
        super().__init__()
        if heads % here.ranks:
            raise ValueError(f"{heads} heads can't be split evenly over {here.ranks} ranks: change either")
        self.heads, scale = heads // here.ranks, (query[0].shape[1] / heads) ** -0.5
        self.query = ColumnParallel(*(array * scale for array in query))  # once, here, and not in every predict
        self.key, self.value = ColumnParallel(*key), ColumnParallel(*value)
        self.output = RowParallel(*output, collective)
        self.multiply_t, self.multiply, self.softmax = (
            ops.BatchMatMul(transpose_b=True),
            ops.BatchMatMul(),
            ops.Softmax(),
        )
        self.reshape, self.transpose = ops.Reshape(), ops.Transpose()

    def construct(self, x, mask, residual=None):
        shape = (mask.shape[0], mask.shape[3], self.heads, -1)  # B, L, heads, width
        q = self.transpose(self.reshape(self.query(x), shape), (0, 2, 1, 3))
        k = self.transpose(self.reshape(self.key(x), shape), (0, 2, 1, 3))
        v = self.transpose(self.reshape(self.value(x), shape), (0, 2, 1, 3))
        y = self.multiply(self.softmax(self.multiply_t(q, k) + mask), v)
        return self.output(self.reshape(self.transpose(y, (0, 2, 1, 3)), (x.shape[0], -1)), residual)


# Export


def export_shards(make_net, inputs, ranks, path):
    """Export what make_net() builds, for `ranks` ranks as X0.mindir, X1.mindir, ... and unsharded as `path`, X.mindir.

    `inputs` are Tensors such as the net takes, or a function that returns them; like make_net(), it is called for each
    file, as a shard's inputs may depend on `here`.

    The files replace an earlier set together, when all are done. Over 1 GB, MindSpore writes X_graph.mindir and the
    folder X_variables. Raises ValueError for what can't be split and ranks.Stop for a path that can't be written.
    """
    name = os.path.basename(path)
    with new_set(path, ranks) as folder:
        for file, size, rank in (*((insert(name, rank), ranks, rank) for rank in range(ranks)), (name, 1, 0)):
            print(f"exporting {file}", flush=True)
            with group_of(size, rank):
                net, tensors = make_net().set_train(False), inputs() if callable(inputs) else inputs
            ms.export(net, *tensors, file_name=os.path.join(folder, file), file_format="MINDIR")
