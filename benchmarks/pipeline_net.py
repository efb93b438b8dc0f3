"""Two pipeline stages of equal work: 12 dense layers of 1024 each, for benchmarks/splits.py."""

import mindspore as ms
from mindspore import nn, ops
from mindspore.common.initializer import Normal, initializer

LAYERS, WIDTH = 12, 1024


class Stage(nn.Cell):
    def __init__(self, name):
        super().__init__()
        kind = (WIDTH, WIDTH), ms.float32
        self.weights = ms.ParameterTuple(
            ms.Parameter(initializer(Normal(0.03), *kind), name=f"{name}.weight{index}") for index in range(LAYERS)
        )
        self.products = [ops.MatMul().shard(((1, 1), (1, 1))) for _ in range(LAYERS)]
        self.tanh = ops.Tanh().shard(((1, 1),))

    def construct(self, x):
        for product, weight in zip(self.products, self.weights):
            x = self.tanh(product(x, weight))
        return x


class Net(nn.Cell):
    def __init__(self):
        super().__init__()
        self.first, self.last = Stage("first"), Stage("last")
        self.first.pipeline_stage, self.last.pipeline_stage = 0, 1

    def construct(self, x):
        return self.last(self.first(x))


def make_net():
    return Net()
