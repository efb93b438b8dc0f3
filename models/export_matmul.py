"""Shard a matrix product over ranks and export one MindIR per rank: the smallest example of a distributed model.

    python3 models/export_matmul.py --ranks 2                          # Matmul.mindir, Matmul0.mindir, Matmul1.mindir
    python3 models/export_matmul.py --ranks 4 --shape 256,4096,4096 --output /tmp/Large.mindir

The product is y = x w with x (M, K) and w (K, N). Every rank gets all of x and N / ranks columns of w, computes its
columns of y, and AllGather puts them together, so that every rank returns the whole y. The unsharded model is exported
beside the shards, to check them against. It takes MindSpore (requirements-export.txt) and no accelerator.
"""

import os

import mindspore as ms
import numpy as np
from mindspore import nn
from shard_files import Stop
from tensor_parallel import ColumnParallel, GatherColumns, export_shards

from suite.parsers import new_parser

SEED = 2023


class Matmul(nn.Cell):
    """y = x w: every rank has its columns of w, and returns the whole y."""

    def __init__(self, weight):
        super().__init__()
        self.columns, self.gather = ColumnParallel(weight), GatherColumns()

    def construct(self, x):
        return self.gather(self.columns(x))


def export_matmul(ranks, shape, path):
    """Export y = x w for x (M, K), w (K, N) of `shape` = M, K, N as `path` (X.mindir) and X0.mindir, X1.mindir, ..."""
    m, k, n = shape
    weight = np.random.RandomState(SEED).standard_normal((k, n)).astype(np.float32)
    x = ms.Tensor(np.ones((m, k), np.float32))
    export_shards(lambda: Matmul(weight), [x], ranks, path)


def main():
    here = os.path.dirname(os.path.abspath(__file__))
    parser = new_parser(__doc__)
    model = parser.add_argument_group("model")
    model.add_argument("--ranks", type=int, required=True, metavar="N", help="how many shards")
    model.add_argument("--shape", default="4,256,128", metavar="M,K,N", help="of the product (default: 4,256,128)")
    output, where = os.path.join(here, "Matmul.mindir"), "X0.mindir, ... beside it (default: models/Matmul.mindir)"
    model.add_argument("--output", default=output, metavar="X.mindir", help=where)
    args = parser.parse_args()
    try:
        m, k, n = (int(size) for size in args.shape.split(","))
    except ValueError:
        parser.error(f"--shape {args.shape}: three numbers M,K,N")
    if min(args.ranks, m, k, n) < 1:
        parser.error(f"--ranks {args.ranks} --shape {args.shape}: at least 1")
    try:
        export_matmul(args.ranks, (m, k, n), args.output)
    except (Stop, ValueError, OSError) as error:
        parser.error(str(error))


if __name__ == "__main__":
    main()
