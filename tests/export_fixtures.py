"""Export the nets of nets.py with MindSpore as tests/fixtures/NAME/RANKS/Net.mindir, Net0.mindir, ...

.venv-export/bin/python tests/export_fixtures.py
"""

import os
import sys

import mindspore as ms
import nets
import numpy as np
from mindspore import nn, ops

here = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(here, os.pardir, "models"))
from shard_files import insert, remove  # noqa: E402  (found only now)
from tensor_parallel import GROUP, group_of, parameter  # noqa: E402  (found only now)


class Net(nn.Cell):
    """The base of all nets; `ranks` = None is the unsharded net, in which a collective does nothing."""

    def __init__(self, name, rank, ranks, splits):
        super().__init__()
        sharded = ranks is not None
        self.ranks, self.rank = (ranks, rank) if sharded else (1, 0)
        for key, array in nets.weights(name).items():
            if key in splits:
                array = nets.part(array, splits[key], self.rank, self.ranks)
            setattr(self, "w_" + key, parameter(array, "w_" + key))
        self.matmul, self.matmul_t = ops.MatMul(), ops.MatMul(transpose_b=True)
        self.relu, self.tanh = ops.ReLU(), ops.Tanh()
        self.reshape, self.transpose = ops.Reshape(), ops.Transpose()
        nothing = ops.Identity()
        self.sum = ops.AllReduce(group=GROUP) if sharded else nothing
        self.max = ops.AllReduce(ops.ReduceOp.MAX, group=GROUP) if sharded else nothing
        self.min = ops.AllReduce(ops.ReduceOp.MIN, group=GROUP) if sharded else nothing
        self.prod = ops.AllReduce(ops.ReduceOp.PROD, group=GROUP) if sharded else nothing
        self.gather = ops.AllGather(group=GROUP) if sharded else nothing
        self.scatter = ops.ReduceScatter(group=GROUP) if sharded else nothing


class Mlp(Net):
    """Column-parallel, row-parallel, one sum, by AllReduce or by ReduceScatter and AllGather."""

    def __init__(self, name, rank, ranks):
        super().__init__(name, rank, ranks, {"up": 1, "bias": 0, "down": 0})
        self.both = name.endswith("scatter")

    def construct(self, x):
        h = self.matmul(self.relu(self.matmul(x, self.w_up) + self.w_bias), self.w_down)
        h = self.gather(self.scatter(h)) if self.both else self.sum(h)
        return h + self.w_last


class Branches(Net):
    """Two collectives, of different kinds, that don't wait for each other; z is gathered before it is used."""

    def __init__(self, name, rank, ranks):
        super().__init__(name, rank, ranks, {"left": 0, "right": 1})
        self.split = ops.Split(1, self.ranks)

    def construct(self, x, z):
        mine = self.split(z)[self.rank] if self.ranks > 1 else z
        left = self.sum(self.matmul(mine, self.w_left))
        right = self.gather(self.matmul(x, self.w_right))
        right = self.reshape(right, (self.ranks, nets.BATCH, nets.HIDDEN // self.ranks))
        right = self.reshape(self.transpose(right, (1, 0, 2)), (nets.BATCH, nets.HIDDEN))
        return left + self.matmul_t(self.tanh(right), self.w_out)


class TwoInputs(Net):
    """A vocabulary-parallel embedding; the int32 input itself is summed over the ranks, too."""

    def __init__(self, name, rank, ranks):
        super().__init__(name, rank, ranks, {"table": 0})
        self.rows = nets.ROWS // self.ranks
        self.sharded = ranks is not None
        self.take, self.cast = ops.Gather(), ops.Cast()

    def construct(self, x, ids):
        local = ids - self.rank * self.rows
        mine = ops.logical_and(local >= 0, local < self.rows)
        rows = self.take(self.w_table, ops.clip_by_value(local, 0, self.rows - 1), 0)
        found = self.sum(rows * self.reshape(self.cast(mine, ms.float32), (nets.BATCH, 1)))
        return found + self.matmul(x, self.w_project), self.sum(ids)


class ThreeOutputs(Net):
    """Maximum, minimum and product over the ranks: three outputs, all of them results of collectives."""

    def __init__(self, name, rank, ranks):
        super().__init__(name, rank, ranks, {"up": 1})

    def construct(self, x):
        part = self.matmul(x, self.w_up)
        return self.max(part), self.min(part), self.prod(part)


class Skip(Net):
    """Five sums one after the other, and a value of the first stage that is used after the last."""

    def __init__(self, name, rank, ranks):
        super().__init__(
            name, rank, ranks, {f"{key}{index}": axis for index in range(5) for key, axis in (("w", 1), ("v", 0))}
        )

    def construct(self, x):
        early, h = self.tanh(x), x
        h = self.sum(self.matmul(self.tanh(self.matmul(h, self.w_w0)), self.w_v0))
        h = self.sum(self.matmul(self.tanh(self.matmul(h, self.w_w1)), self.w_v1))
        h = self.sum(self.matmul(self.tanh(self.matmul(h, self.w_w2)), self.w_v2))
        h = self.sum(self.matmul(self.tanh(self.matmul(h, self.w_w3)), self.w_v3))
        h = self.sum(self.matmul(self.tanh(self.matmul(h, self.w_w4)), self.w_v4))
        return h + early


class Shared(Net):
    """One weight in two products, transposed in one of them: mindspore_lite 2.0.0 alone gets that wrong on the CPU."""

    def __init__(self, name, rank, ranks):
        super().__init__(name, rank, ranks, {"w": 1})

    def construct(self, x):
        return self.sum(self.matmul_t(self.tanh(self.matmul(x, self.w_w)), self.w_w))


class Transposed(Net):
    """A Transpose that leaves the shape as it was, before a Reshape: mindspore_lite 2.0.0 alone drops it."""

    def __init__(self, name, rank, ranks):
        super().__init__(name, rank, ranks, {"up": 1, "down": 0})

    def construct(self, x):
        turned = self.transpose(self.reshape(self.tanh(x), (3, 2, 2, nets.WIDTH)), (0, 2, 1, 3))
        turned = self.reshape(turned, (nets.BATCH, nets.WIDTH))
        return self.sum(self.matmul(self.matmul(turned, self.w_up), self.w_down))


class Reused(Net):
    """A product that a ReLU and a later sum take: mindspore_lite 2.0.0 alone adds the ReLU's result."""

    def __init__(self, name, rank, ranks):
        super().__init__(name, rank, ranks, {"down": 0})
        self.split = ops.Split(1, self.ranks)

    def construct(self, x):
        y = self.matmul(x, self.w_up)
        mine = self.relu(y)
        mine = self.split(mine)[self.rank] if self.ranks > 1 else mine
        return self.matmul(self.sum(self.matmul(mine, self.w_down)), self.w_last) + y


class Scattered(Net):
    """A ReduceScatter with a stage before its AllGather."""

    def __init__(self, name, rank, ranks):
        super().__init__(name, rank, ranks, {"up": 1, "down": 0})

    def construct(self, x):
        return self.gather(self.tanh(self.scatter(self.matmul(self.matmul(x, self.w_up), self.w_down))))


class Converted(Net):
    """float16 and int64 go straight into a collective and from there into a stage, which computes in other types."""

    def __init__(self, name, rank, ranks):
        super().__init__(name, rank, ranks, {})
        self.w_half = parameter(nets.weights(name)["half"].astype(np.float16), "w_half_whole")

    def construct(self, half, long, flag):
        return self.matmul(self.gather(half), self.w_half), self.sum(long) + 1, ops.logical_not(ops.logical_not(flag))


class Dtypes(Net):
    """float16 and int64 go through collectives, one of them straight from an input; bool is beside them."""

    def __init__(self, name, rank, ranks):
        super().__init__(name, rank, ranks, {})
        half = nets.part(nets.weights(name)["half"], 1, self.rank, self.ranks).astype(np.float16)
        self.w_half = parameter(half, "w_half_part")
        self.ones = ms.Tensor(np.ones((half.shape[1], 1), np.float16))

    def construct(self, half, long, flag):
        total = self.sum(self.matmul(self.matmul(half, self.w_half), self.ones))
        return total, self.sum(long), self.gather(half), ops.logical_not(flag)


class Dynamic(Net):
    """An MLP whose batch size is left open."""

    def __init__(self, name, rank, ranks):
        super().__init__(name, rank, ranks, {"up": 1, "down": 0})

    def construct(self, x):
        return self.sum(self.matmul(self.relu(self.matmul(x, self.w_up)), self.w_down))


NETS = {
    "mlp": Mlp, "branches": Branches, "two_inputs": TwoInputs, "three_outputs": ThreeOutputs, "skip": Skip,
    "shared": Shared, "transposed": Transposed, "reused": Reused,
    "scattered": Scattered, "converted": Converted, "dtypes": Dtypes, "dynamic": Dynamic,
}  # fmt: skip


def export(net, inputs, path):
    """Export the net, which takes Tensors such as `inputs`, as the MindIR file `path`."""
    remove(path)
    ms.export(net.set_train(False), *inputs, file_name=path, file_format="MINDIR")
    os.chmod(path, 0o644)  # MindSpore makes files that only their owner can read
    print(path)


def export_fixture(name, ranks, path):
    """Export the net unsharded (if that has the same outputs) and as `ranks` shards."""
    x = [ms.Tensor(array) for array in nets.inputs(name).values()]
    if name == "dynamic":
        x = [ms.Tensor(shape=[None, nets.WIDTH], dtype=ms.float32)]
    net = NETS[name.split("-")[0]]
    if not name.startswith(("three", "two", "dtypes", "shared", "converted")):
        export(net(name, 0, None), x, path)
    for rank in range(ranks):
        with group_of(ranks, rank):
            sharded = net(name, rank, ranks)
        export(sharded, x, insert(path, rank))


class If(nn.Cell):
    def construct(self, x):
        return x * 2 if x.sum() > 0 else x + 1


class While(nn.Cell):
    def construct(self, x):
        count = ms.Tensor(0, ms.int32)
        while count < 3:
            x, count = x * 2, count + 1
        return x


class Assign(nn.Cell):
    def __init__(self):
        super().__init__()
        self.total = parameter(np.zeros((4, 4), np.float32), "total")

    def construct(self, x):
        self.total += x
        return self.total * 2


def export_refused():
    """Export nets that can't be cut."""
    folder = os.path.join(here, "fixtures", "refused")
    os.makedirs(folder, exist_ok=True)
    for net in (If, While, Assign):
        x = [ms.Tensor(np.ones((4, 4), np.float32))]
        export(net(), x, os.path.join(folder, f"{net.__name__}.mindir"))


def main():
    export_refused()
    for name in sys.argv[1:] or nets.NAMES:
        for ranks in nets.RANKS:
            folder = os.path.join(here, "fixtures", name, str(ranks))
            os.makedirs(folder, exist_ok=True)
            export_fixture(name, ranks, os.path.join(folder, "Net.mindir"))


if __name__ == "__main__":
    main()
