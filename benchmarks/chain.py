"""Export a net of so many small stages with an AllReduce behind each: chain.py RANKS STAGES X.mindir"""

import sys
from pathlib import Path

import mindspore as ms
import numpy as np
from mindspore import nn

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "models"))
from tensor_parallel import ColumnParallel, RowParallel, export_shards

ranks, stages, path = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
weight = np.eye(16, dtype=np.float32)


def make_net():
    pairs = ((ColumnParallel(weight), nn.ReLU(), RowParallel(weight, None, "all_reduce")) for _ in range(stages))
    return nn.SequentialCell(*(each for pair in pairs for each in pair))


export_shards(make_net, [ms.Tensor(np.ones((16, 16), np.float32))], ranks, path)
