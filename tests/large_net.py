"""A net with random weights, too large for MindSpore to write it as one file: its weights and its output in NumPy.

    .venv-export/bin/python tests/large_net.py 2 FOLDER/Large.mindir        # 2.4 GB, and as much in two shards

x (8, 2048) goes through 18 blocks x + relu(x up) down, 8192 wide inside.
"""

import sys
from pathlib import Path

import numpy as np

BATCH, WIDTH, INSIDE, BLOCKS = 8, 2048, 8192, 18


def weights(index):
    """Return `up` and `down` of this block, float32."""
    random = np.random.Generator(np.random.PCG64(index))
    up = random.standard_normal((WIDTH, INSIDE), np.float32) / np.float32(WIDTH**0.5)
    down = random.standard_normal((INSIDE, WIDTH), np.float32) / np.float32(INSIDE**0.5)
    return up, down


def given():
    return np.random.Generator(np.random.PCG64(100)).standard_normal((BATCH, WIDTH), np.float32)


def expected():
    """Return the output for given(), computed in float64 without any sharding."""
    x = given().astype(np.float64)
    for index in range(BLOCKS):
        up, down = weights(index)
        x = x + np.maximum(x @ up, 0) @ down
    return x


def main():
    import mindspore as ms
    from mindspore import nn

    sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "models"))
    from tensor_parallel import ColumnParallel, RowParallel, export_shards

    class Block(nn.Cell):
        def __init__(self, up, down):
            super().__init__()
            self.up, self.relu, self.down = ColumnParallel(up), nn.ReLU(), RowParallel(down)

        def construct(self, x):
            return x + self.down(self.relu(self.up(x)))

    def make_net():
        return nn.SequentialCell(*(Block(*weights(index)) for index in range(BLOCKS)))

    export_shards(make_net, [ms.Tensor(given())], int(sys.argv[1]), sys.argv[2])


if __name__ == "__main__":
    main()
