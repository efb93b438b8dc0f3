"""The smallest net to split: MindSpore's own layers, unchanged, and nothing about ranks in it.

python3 models/auto_parallel.py examples/split_dense.py:make_net --input 8,64 --ranks 2 --output Net.mindir
"""

from mindspore import nn


def make_net():
    """x float32 (M, 64) -> (M, 64)."""
    return nn.SequentialCell(nn.Dense(64, 256), nn.ReLU(), nn.Dense(256, 64))
