"""Two pipeline stages of equal work: 12 dense layers of 1024 each, for benchmarks/splits.py."""

import mindspore as ms
from mindspore import nn, ops
from mindspore.common.initializer import Normal, initializer


class Stage(nn.Cell):
    def __init__(self, name):
        super().__init__()
        weights = [initializer(Normal(0.03), (1024, 1024), ms.float32) for _ in range(12)]
        self.weights = ms.ParameterTuple(
            ms.Parameter(weight, f"{name}.weight{index}") for index, weight in enumerate(weights)
        )
        self.product = ops.MatMul().shard(((1, 1), (1, 1)))
        self.tanh = ops.Tanh().shard(((1, 1),))

    def construct(self, x):
        for weight in self.weights:
            x = self.tanh(self.product(x, weight))
        return x


class Net(nn.Cell):
    def __init__(self):
        super().__init__()
        self.first, self.last = Stage("first"), Stage("last")
        self.first.pipeline_stage, self.last.pipeline_stage = 0, 1

    def construct(self, x):
        return self.last(self.first(x))


make_net = Net
