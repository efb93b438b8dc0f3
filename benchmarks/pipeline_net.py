"""Two pipeline stages of equal work: 12 dense layers of 1024 each, for benchmarks/splits.py."""

from mindspore import nn
from mindspore.common.initializer import Normal


class Net(nn.Cell):
    def __init__(self):
        super().__init__()
        layers = [nn.Dense(1024, 1024, Normal(0.03), has_bias=False, activation="tanh") for _ in range(24)]
        self.first, self.last = nn.SequentialCell(layers[:12]), nn.SequentialCell(layers[12:])
        self.first.pipeline_stage, self.last.pipeline_stage = 0, 1

    def construct(self, x):
        return self.last(self.first(x))


make_net = Net
