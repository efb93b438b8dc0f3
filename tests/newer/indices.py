"""Indices, slices and shapes. values.py says how a net is written."""

import numpy as np
from newer.values import IDS, Nets, X

NETS = Nets()
NETS.expression("ops.shape(x)[0] * x, x.shape[1] + x, ops.rank(x) * x, ops.size(x) * x", X)
NETS.expression("x[0], x[1:], x[:, ::2], x[..., -1], x[:, 1], x[0, 2], x[-1], x[::2, 1:3]", X)
NETS.expression("x[:, ::-1]", X)
NETS.expression("x[None, ..., None]", X)
NETS.expression("x[x > 0]", X)
NETS.expression("x[y]", X, IDS)
NETS.expression("x[:, y]", X, IDS[0])
NETS.expression("x[y, z]", X, IDS[0], IDS[1])
NETS.expression("x[[0, 2]]", X)
NETS.expression("x[y]", X, np.array([True, False, True]))
NETS.expression("ops.strided_slice(x, (0, 1), (3, 4), (2, 2)), ops.slice(x, (0, 1), (2, 3))", X)
