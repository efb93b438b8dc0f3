"""Nets for test_auto_parallel.py, each made by a function without arguments."""

import os
import time

import mindspore as ms
import numpy as np
from mindspore import nn, ops
from mindspore.common.initializer import Normal, initializer


def dense():
    """Random weights, of initialisers that wait until the net is compiled."""
    return nn.SequentialCell(nn.Dense(64, 256), nn.ReLU(), nn.Dense(256, 64))


class Random(nn.Cell):
    """All ways to make random weights, and a constant that is computed while the net is built."""

    def __init__(self):
        super().__init__()
        self.lazy = ms.Parameter(initializer(Normal(1.0), (64, 64), ms.float32), name="lazy")
        self.numpy = ms.Parameter(ms.Tensor(np.random.standard_normal((64, 64)).astype(np.float32)), name="numpy")
        generator = np.random.default_rng()  # not seeded by us: different in every process
        self.unseeded = ms.Parameter(ms.Tensor(generator.standard_normal((64, 64)).astype(np.float32)), name="unseeded")
        self.replaced = nn.Dense(64, 64)
        self.replaced.weight.set_data(initializer(Normal(1.0), (64, 64), ms.float32))
        self.constant = ops.exp(ms.Tensor(np.random.standard_normal((1, 64)).astype(np.float32)))
        self.matmul = ops.MatMul()

    def construct(self, x):
        for weight in (self.lazy, self.numpy, self.unseeded):
            x = self.matmul(x, weight) / 8
        return self.replaced(x) / 8 + self.constant


def random():
    return Random()


def checkpoint():
    """Weights from the file that $CHECKPOINT names."""
    net = dense()
    ms.load_param_into_net(net, ms.load_checkpoint(os.environ["CHECKPOINT"]))
    return net


class Stage(nn.Cell):
    """tanh(x w), the columns of w over the stage's ranks."""

    def __init__(self, name, ranks):
        super().__init__()
        self.weight = ms.Parameter(initializer(Normal(0.1), (64, 64), ms.float32), name=name)
        self.matmul, self.tanh = ops.MatMul().shard(((1, 1), (1, ranks))), ops.Tanh().shard(((1, ranks),))

    def construct(self, x):
        return self.tanh(self.matmul(x, self.weight))


class Pipeline(nn.Cell):
    """Two stages, one after the other."""

    def __init__(self, ranks):
        super().__init__()
        self.first, self.last = Stage("first", ranks), Stage("last", ranks)
        self.first.pipeline_stage, self.last.pipeline_stage = 0, 1

    def construct(self, x):
        return self.last(self.first(x))


def pipeline():
    return Pipeline(1)


def pipeline_of_pairs():
    return Pipeline(2)


class Uneven(nn.Cell):
    """A strategy of 3 parts for 64 columns, on 2 ranks."""

    def __init__(self):
        super().__init__()
        self.weight = ms.Parameter(initializer(Normal(), (64, 64), ms.float32), name="weight")
        self.matmul = ops.MatMul().shard(((1, 1), (1, 3)))

    def construct(self, x):
        return self.matmul(x, self.weight)


def uneven():
    return Uneven()


class Crashing(nn.Cell):
    """A net on which the search of recursive_programming in MindSpore 2.0.0 crashes."""

    def __init__(self):
        super().__init__()
        self.sum, self.sqrt = ops.ReduceSum(keep_dims=True), ops.Sqrt()

    def construct(self, x):
        return x / self.sqrt(self.sum(x * x, 1))


def crashing():
    return Crashing()


def broken():
    raise KeyError("no such layer")


def fails_on_rank_1():
    if os.environ.get("OMPI_COMM_WORLD_RANK") == "1":
        raise KeyError("no such layer here")
    return dense()


def other_on_ranks():
    return nn.SequentialCell(nn.Dense(64, 64), nn.Dense(64, 64)) if "OMPI_COMM_WORLD_RANK" in os.environ else dense()


def runs_on_the_device():
    """Ask the device for something while the net is built."""
    net = dense()
    if "OMPI_COMM_WORLD_RANK" in os.environ:
        ms.set_context(device_target="GPU")
        ops.exp(ms.Tensor(np.ones(4, np.float32))).asnumpy()
    return net


def hangs():
    time.sleep(600)


def hangs_on_ranks():
    if "OMPI_COMM_WORLD_RANK" in os.environ:
        hangs()
    return dense()


def resnet18():
    """ResNet-18 of PyPI's mindcv, random weights."""
    from mindcv.models import create_model

    return create_model("resnet18")
