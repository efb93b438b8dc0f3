# ruff: noqa: E501  (a net per line)
"""Export small nets, one or a few primitives each, with inputs and what comes out of them: for nets_table.py.

    python3 tests/export_nets.py FOLDER                    # with a MindSpore of 2.3 or later; X.mindir and X.npz
    python3 tests/export_nets.py FOLDER cells functions    # of newer/cells.py and newer/functions.py alone

A net that this MindSpore can't run on a CPU is left out, and named.
"""

import importlib.util
import math
import os
import sys

import mindspore as ms
import numpy as np

DRAW = np.random.RandomState(7)
X, Y = (DRAW.uniform(-3, 3, (3, 4)).astype(np.float32) for _ in range(2))
P, S = np.abs(X) + 0.5, DRAW.uniform(-3, 3, (2, 3, 4)).astype(np.float32)
V, W = (DRAW.uniform(-3, 3, (4,)).astype(np.float32) for _ in range(2))
N = DRAW.randint(1, 9, (3, 4)).astype(np.int32)
M = X > 0
IMAGE, KERNEL = (DRAW.uniform(-1, 1, shape).astype(np.float32) for shape in ((2, 4, 8, 8), (6, 4, 3, 3)))
IDS = np.array([2, 0, 1], np.int32)
NETS = {  # name: (what construct returns, inputs x, y, z, ...)
    "addmm": ("mint.addmm(x, y, z)", X[:, :3], X, DRAW.standard_normal((4, 3)).astype(np.float32)),
    "addmm_scaled": ("mint.addmm(x, y, z, beta=0.5, alpha=2)", X[:, :3], X, DRAW.standard_normal((4, 3)).astype(np.float32)),
    "baddbmm": ("mint.baddbmm(x, y, z)", S[:, :, :3], S, DRAW.standard_normal((2, 4, 3)).astype(np.float32)),
    "bmm": ("mint.bmm(x, y)", S, S.transpose(0, 2, 1).copy()),
    "matmul_mm": ("mint.mm(x, y)", X, X.T.copy()),
    "matmul_vector": ("mint.matmul(x, y)", X, V),
    "vector_matmul": ("mint.matmul(x, y)", V, X.T.copy()),
    "vector_vector": ("mint.matmul(x, y)", V, W),
    "matmul_stack": ("mint.matmul(x, y)", S, X.T.copy()),
    "matmul_broadcast": ("mint.matmul(x, y)", S[:, None], S.transpose(0, 2, 1).copy()),
    "dot": ("mint.dot(x, y)", V, W),
    "mv": ("mint.mv(x, y)", X, V),
    "outer": ("mint.outer(x, y)", V, W),
    "linear": ("mint.nn.functional.linear(x, y, z)", S, X, V[:3]),
    "linear_plain": ("mint.nn.functional.linear(x, y)", X, Y),
    "add_alpha": ("mint.add(x, y, alpha=2)", X, Y),
    "add_scalar": ("mint.add(x, 2.5)", X),
    "add_scalar_alpha": ("mint.add(x, 2, alpha=3)", X),
    "sub_alpha": ("mint.sub(x, y, alpha=2)", X, Y),
    "sub_scalar": ("mint.sub(x, 2.5)", X),
    "muls_divs": ("(x * 3, x / 4, 2 - x, 1 / y)", X, P),
    "int_scalars": ("(x * 3, x / 4, x // 2, x % 3, x - 1)", N),
    "floor_divide": ("(mint.floor_divide(x, y), mint.remainder(x, y))", X, P),
    "remainders": ("(mint.remainder(x, 2), mint.remainder(x, y))", X, P),
    "pow": ("(mint.pow(x, 2), mint.pow(x, 0.5), mint.pow(2, y), mint.pow(x, y))", P, Y),
    "compares": ("(x > 1, x < 1, x >= 0.5, x <= 0.5, x == 1, x != 1)", X),
    "int_compares": ("(x > 1, x < 1.5, x == 3, x != 3)", N),
    "clamps": ("(mint.clamp(x, -1, 1), mint.clamp(x, min=0.5), mint.clamp(x, y, z))", X, -P, P),
    "hardtanh": ("mint.nn.functional.hardtanh(x)", X),
    "relu6": ("mint.nn.functional.relu6(x)", X),
    "lerp": ("(mint.lerp(x, y, 0.25), mint.lerp(x, y, z))", X, Y, P),
    "addcmul": ("(mint.addcmul(x, y, z, value=0.5), mint.addcdiv(x, y, z, value=2))", X, Y, P),
    "roots": ("(mint.rsqrt(x), mint.sqrt(x), mint.reciprocal(x), mint.square(x))", P),
    "exps": ("(mint.exp(x), mint.expm1(x), mint.log(y), mint.log1p(y))", X, P),
    "rounds": ("(mint.round(x), mint.floor(x), mint.ceil(x), mint.trunc(x))", X),
    "signs": ("(mint.sign(x), mint.abs(x), mint.neg(x))", X),
    "trigs": ("(mint.sin(x), mint.cos(x), mint.tanh(x), mint.sinh(x), mint.cosh(x))", X),
    "erfs": ("(mint.erf(x), mint.erfc(x), mint.sigmoid(x))", X),
    "logic": ("(mint.logical_and(x, y), mint.logical_or(x, y), mint.logical_not(x), mint.logical_xor(x, y))", M, ~M),
    "bools": ("(x & y, x | y)", M, ~M[::-1]),
    "finite": ("(mint.isfinite(x), x != x)", X),
    "sums": ("(mint.sum(x), mint.sum(x, 1), mint.sum(x, (0, 2), keepdim=True))", S),
    "means": ("(mint.mean(x), mint.mean(x, 1), mint.mean(x, -1, keepdim=True))", S),
    "prods": ("(mint.prod(x), mint.prod(x, 1))", P),
    "extremes": ("(mint.max(x), mint.min(x))", -P),
    "amax": ("(mint.amax(x, (0, 1)), mint.amin(x, 0))", S - 5),
    "max_dim": ("(mint.max(x, 1), mint.min(x, 0))", X - 5),
    "argmax": ("(mint.argmax(x), mint.argmax(x, 1), mint.argmin(x, 0, keepdim=True))", X),
    "std_var": ("(mint.std(x, 1), mint.var(x, 0), mint.std(x))", X),
    "var_mean": ("(mint.var_mean(x, 1), mint.std_mean(x, 0))", X),
    "reduce_std": ("ops.std(x, 1)", X),
    "logsumexp": ("(mint.logsumexp(x, 1), mint.logsumexp(x, (0, 2), keepdim=True))", S),
    "norms": ("(mint.norm(x), mint.linalg.vector_norm(x, 1, 1), mint.linalg.vector_norm(x, 2, 0, keepdim=True))", X),
    "any_all": ("(mint.any(x, 1), mint.all(x, 0), mint.any(x), mint.all(x))", M),
    "cumsum": ("(mint.cumsum(x, 1), mint.cumsum(x, 0))", X),
    "topk": ("(mint.topk(x, 2), mint.topk(x, 2, dim=0), mint.topk(x, 2, largest=False))", X),
    "sort": ("(mint.sort(x), mint.sort(x, dim=0, descending=True), mint.argsort(x))", X),
    "ops_sort": ("ops.sort(x)", X),
    "gelu": ("(mint.nn.functional.gelu(x), mint.nn.functional.gelu(x, approximate='tanh'), ops.gelu(x))", X),
    "activations": ("(mint.nn.functional.silu(x), mint.nn.functional.elu(x), mint.nn.functional.elu(x, 0.5))", X),
    "leaky": ("(mint.nn.functional.leaky_relu(x, 0.2), mint.nn.functional.leaky_relu(x, 1.5))", X),
    "softplus": ("(mint.nn.functional.softplus(x), mint.nn.functional.softplus(x, 2))", X),
    "mish": ("(mint.nn.functional.mish(x), ops.mish(x))", X),
    "selu": ("(mint.nn.functional.selu(x), ops.celu(x, 0.5))", X),
    "logsigmoid": ("mint.nn.functional.logsigmoid(x)", X),
    "hards": ("(mint.nn.functional.hardsigmoid(x), mint.nn.functional.hardswish(x), ops.hardshrink(x), ops.softshrink(x))", X),
    "glu": ("(mint.nn.functional.glu(x), ops.glu(x, 1))", X),
    "prelu": ("mint.nn.functional.prelu(x, y)", IMAGE, V),
    "softmaxes": ("(mint.nn.functional.softmax(x, 1), mint.nn.functional.log_softmax(x, 0))", X),
    "layer_norm": ("(mint.nn.functional.layer_norm(x, (4,)), mint.nn.functional.layer_norm(x, (4,), y, z))", S, V, W),
    "layer_norm_2": ("mint.nn.functional.layer_norm(x, (3, 4), y, z)", S, X, Y),
    "group_norm": ("(mint.nn.functional.group_norm(x, 2), mint.nn.functional.group_norm(x, 2, y, z))", IMAGE, V, W),
    "batch_norm": ("mint.nn.functional.batch_norm(x, y, z, y, z)", IMAGE, V, np.abs(W) + 1),
    "rms_norm": ("ops.rms_norm(x, y)[0]", S, V),
    "shapes": ("(x.view((6, 4)), mint.flatten(x, 1), mint.reshape(x, (-1, 2)), mint.unsqueeze(x, 1), mint.squeeze(y, 0))", S, X[None]),
    "transposes": ("(mint.transpose(x, 0, 1), mint.permute(x, (2, 0, 1)), mint.t(y), x.swapaxes(1, 2))", S, X),
    "splits": ("(mint.split(x, 2, 1), mint.chunk(x, 2, 1), mint.split(x, (1, 3), 1), mint.unbind(x))", X),
    "ops_splits": ("(ops.split(x, 2, 1), ops.chunk(x, 2, 1), ops.unbind(x, 0))", X),
    "stacks": ("(mint.stack((x, y), 1), mint.cat((x, y), 0), ops.stack((x, y)), ops.cat((x, y), 1))", X, Y),
    "expands": ("(mint.broadcast_to(x, (2, 3, 4)), x.expand_as(y), mint.tile(x, (2, 1)))", X, S),
    "repeats": ("(mint.repeat_interleave(x, 2, 1), ops.repeat_elements(x, 2, 0))", X),
    "selects": ("(mint.select(x, 1, 0), mint.narrow(x, 2, 1, 2), x[:, 1:, ::2], x[0], x[..., -1])", S),
    "index_select": ("(mint.index_select(x, 0, y), ops.gather(x, y, -1), x[y])", X[:, :3].copy(), IDS),
    "gathers": ("(mint.gather(x, 1, y), ops.gather_elements(x, 0, y))", X, N % 3),
    "embedding": ("mint.nn.functional.embedding(y, x)", X, IDS),
    "where": ("(mint.where(x, y, z), mint.where(x, y, 0.0), y.masked_fill(x, -9.0))", M, X, Y),
    "triangles": ("(mint.tril(x), mint.triu(x, 1), mint.tril(y, -1))", X, S),
    "flips": ("(mint.flip(x, (1,)), mint.roll(x, 1, 0), mint.roll(y, (1, 2), (0, 2)))", X, S),
    "meshgrid": ("mint.meshgrid(x, y, indexing='ij')", V, W[:3].copy()),
    "ops_meshgrid": ("ops.meshgrid(x, y)", V, W[:3].copy()),
    "makers": ("(x + mint.arange(4), x * mint.ones((3, 4)), x + mint.full((4,), 2.5), x + mint.eye(3, 4))", X),
    "likes": ("(x + mint.ones_like(x), x - mint.zeros_like(x), x + mint.full_like(x, 3.0))", X),
    "linspace": ("x + mint.linspace(0, 1, 4)", X),
    "one_hot": ("(mint.nn.functional.one_hot(x, 4), ops.one_hot(x, 5, 1.0, 0.0))", IDS),
    "pads": ("(mint.nn.functional.pad(x, (1, 2)), mint.nn.functional.pad(x, (1, 0, 0, 2)), ops.pad(x, (0, 1)))", S),
    "conv": ("mint.nn.functional.conv2d(x, y)", IMAGE, KERNEL),
    "conv_strides": ("mint.nn.functional.conv2d(x, y, stride=2, padding=1)", IMAGE, KERNEL),
    "conv_same": ("mint.nn.functional.conv2d(x, y, padding='same')", IMAGE, KERNEL),
    "conv_valid": ("mint.nn.functional.conv2d(x, y, padding='valid', dilation=2)", IMAGE, KERNEL),
    "conv_bias": ("mint.nn.functional.conv2d(x, y, z, padding=(1, 0))", IMAGE, KERNEL, DRAW.standard_normal(6).astype(np.float32)),
    "pools": ("(mint.nn.functional.max_pool2d(x, 2), mint.nn.functional.avg_pool2d(x, 2), mint.nn.functional.adaptive_avg_pool2d(x, 2))", IMAGE),
    "casts": ("(x.astype(ms.int32), y.astype(ms.float32), x.astype(ms.float16), z.astype(ms.int32), y.astype(ms.bool_))", X, N, M),
    "casts_64": ("(x.astype(ms.int64), y.astype(ms.int64), z.astype(ms.float32))", X, N, M),
    "contiguous": ("mint.transpose(x, 0, 1).contiguous() * 2", X),
    "mint_compares": ("(mint.ge(x, 0.5), mint.le(x, 0.5), mint.ne(x, 1.0), mint.gt(x, 1.0), mint.eq(x, 1.0))", X),
    "ops_extremes": ("(ops.min(x, 1), ops.max(x, 0), ops.amax(x, 0), ops.amin(x, 1))", X),
    "arg_min_with_value": ("ops.ArgMinWithValue(1)(x)", X),
    "ops_makers": ("(x + ops.zeros_like(x), x * ops.ones_like(x), x + ops.zeros((3, 4)), x + ops.ones((4,)))", X),
    "ops_scalars": ("(ops.floor_divide(x, 2), mint.floor_divide(x, 2), ops.lerp(x, y, 0.25), ops.addcmul(x, y, x, 0.5))", X, Y),
    "ops_views": ("(ops.narrow(x, 1, 0, 2), ops.tril(x), ops.split(x, [1, 3], 1), ops.identity(x) + 1)", X),
    "identity": ("ops.Identity()(x) + 1", X),
    "ops_norm": ("ops.norm(x, dim=1)", X),
    "ops_bits": ("(ops.bitwise_and(x, y), ops.bitwise_or(x, y))", M, ~M[::-1]),
    "rsub": ("(2 % y, 7 // y, 2 ** x, x != 1)", X, P),
    "views": ("(x.view(4, 3), x.expand_as(y), x.view_as(x), x.unsqueeze(0), x.squeeze())", X, S),
    "unstack": ("(ops.unstack(x, 1), ops.addn([x, x]))", X),
    "inverse_trigs": ("(mint.acos(x), mint.asin(x), mint.atan(y), mint.asinh(y), mint.acosh(z))", X / 3.1, X * 9, P + 1),
    "logs": ("(mint.log2(x), mint.log10(x), mint.exp2(y), mint.frac(y), mint.fmod(y, x), mint.logaddexp(x, y))", P, Y),
    "fmod_scalar": ("mint.fmod(x, 1.5)", X),
    "selu_mint": ("mint.nn.functional.selu(x)", X),
    "threshold_mint": ("mint.nn.functional.threshold(x, 0.5, 2.0)", X),
    "softplus_threshold": ("mint.nn.functional.softplus(x, 2, 3)", X),
    "addbmm": ("mint.addbmm(x, y, z, beta=0.5, alpha=2)", X[:, :3].copy(), S, S.transpose(0, 2, 1).copy()),
    "addmv": ("mint.addmv(x, y, z)", W[:3].copy(), X, V),
    "trace": ("mint.trace(x)", X[:, :3].copy()),
    "diagonals": ("(mint.diag(x), mint.diag(y), mint.diag(y, 1), mint.diag(y, -1))", V, X),
    "count_nonzero": ("(mint.count_nonzero(x), mint.count_nonzero(x, 1))", N % 3),
    "normalize": ("(mint.nn.functional.normalize(x), mint.norm(x, 3, 1), mint.norm(x, 1, 1))", X),
    "pad_value": ("(mint.nn.functional.pad(x, (1, 2), value=1.5), mint.nn.functional.pad(x, (-1, 1)))", X),
    "rounded_divisions": ("(mint.div(x, y, rounding_mode='floor'), mint.div(x, y, rounding_mode='trunc'))", X, P),
}  # fmt: skip


def norm(x, axes, epsilon=1e-5):
    return (x - x.mean(axes, keepdims=True)) / np.sqrt(x.var(axes, keepdims=True) + epsilon)


def conv(x, kernel, stride=1, rows=0, columns=0, dilation=1):
    x = np.pad(x, ((0, 0), (0, 0), (rows, rows), (columns, columns)))
    reach = dilation * 2 + 1
    height, width = ((size - reach) // stride + 1 for size in x.shape[2:])
    windows = [
        x[:, :, i * dilation :][:, :, : (height - 1) * stride + 1 : stride, j * dilation :][..., : (width - 1) * stride + 1 : stride]
        for i in range(3) for j in range(3)
    ]  # fmt: skip
    return np.einsum("kncij,ock->noij", windows, kernel.reshape(*kernel.shape[:2], 9))


def order(x, axis, down):
    places = np.argsort(-x if down else x, axis, kind="stable")
    return np.take_along_axis(x, places, axis), places


def phi(x):
    return 0.5 * x * (1 + np.vectorize(math.erf)(x / 2**0.5))


def tanh_gelu(x):
    return 0.5 * x * (1 + np.tanh((2 / np.pi) ** 0.5 * (x + 0.044715 * x**3)))


def elu(x, alpha):
    return np.where(x > 0, x, alpha * np.expm1(x))


def best(x, count, axis, largest):
    return [part.take(range(count), axis) for part in order(x, axis, largest)]


def log_sum(x, axes, keep=False):
    return np.log(np.exp(x).sum(axes, keepdims=keep))


def pool(x, reduce):
    return reduce(x.reshape(2, 4, 4, 2, 4, 2), (3, 5))


WANTED = {  # what MindSpore has on accelerators only, in NumPy, float64
    "addmm": lambda x, y, z: x[:, :3] + y @ z,
    "addmm_scaled": lambda x, y, z: 0.5 * x + 2 * (y @ z),
    "matmul_mm": lambda x, y: x @ y,
    "dot": lambda x, y: x @ y,
    "mv": lambda x, y: x @ y,
    "outer": np.outer,
    "hardtanh": lambda x: np.clip(x, -1, 1),
    "relu6": lambda x: np.clip(x, 0, 6),
    "addcmul": lambda x, y, z: (x + 0.5 * y * z, x + 2 * y / z),
    "argmax": lambda x: (x.argmax(), x.argmax(1), x.argmin(0)[None]),
    "std_var": lambda x: (x.std(1, ddof=1), x.var(0, ddof=1), x.std(ddof=1)),
    "var_mean": lambda x: (x.var(1, ddof=1), x.mean(1), x.std(0, ddof=1), x.mean(0)),
    "logsumexp": lambda x: (log_sum(x, 1), log_sum(x, (0, 2), True)),
    "norms": lambda x: (np.sqrt((x * x).sum()), np.abs(x).sum(1), np.sqrt((x * x).sum(0, keepdims=True))),
    "cumsum": lambda x: (x.cumsum(1), x.cumsum(0)),
    "topk": lambda x: (*best(x, 2, 1, True), *best(x, 2, 0, True), *best(x, 2, 1, False)),
    "sort": lambda x: (*order(x, 1, False), *order(x, 0, True), order(x, 1, False)[1]),
    "gelu": lambda x: (phi(x), tanh_gelu(x), phi(x)),
    "activations": lambda x: (x / (1 + np.exp(-x)), elu(x, 1), elu(x, 0.5)),
    "leaky": lambda x: (np.where(x > 0, x, 0.2 * x), np.where(x > 0, x, 1.5 * x)),
    "mish": lambda x: (x * np.tanh(np.logaddexp(0, x)),) * 2,
    "logsigmoid": lambda x: -np.logaddexp(0, -x),
    "layer_norm": lambda x, y, z: (norm(x, 2), norm(x, 2) * y + z),
    "layer_norm_2": lambda x, y, z: norm(x, (1, 2)) * y + z,
    "batch_norm": lambda x, y, z: (x - y[:, None, None]) / np.sqrt(z[:, None, None] + 1e-5) * y[:, None, None] + z[:, None, None],
    "rms_norm": lambda x, y: x / np.sqrt((x * x).mean(-1, keepdims=True) + 1e-6) * y,
    "transposes": lambda x, y: (x.swapaxes(0, 1), x.transpose(2, 0, 1), y.T, x.swapaxes(1, 2)),
    "stacks": lambda x, y: (np.stack((x, y), 1), np.concatenate((x, y)), np.stack((x, y)), np.concatenate((x, y), 1)),
    "repeats": lambda x: (x.repeat(2, 1), x.repeat(2, 0)),
    "index_select": lambda x, y: (x[y], x[:, y], x[y]),
    "triangles": lambda x, y: (np.tril(x), np.triu(x, 1), np.tril(y, -1)),
    "flips": lambda x, y: (np.flip(x, 1), np.roll(x, 1, 0), np.roll(y, (1, 2), (0, 2))),
    "likes": lambda x: (x + 1, x, x + 3),
    "linspace": lambda x: x + np.linspace(0, 1, 4),
    "conv": conv,
    "conv_strides": lambda x, y: conv(x, y, 2, 1, 1),
    "conv_same": lambda x, y: conv(x, y, 1, 1, 1),
    "conv_valid": lambda x, y: conv(x, y, dilation=2),
    "conv_bias": lambda x, y, z: conv(x, y, 1, 1, 0) + z[:, None, None],
    "inverse_trigs": lambda x, y, z: (np.arccos(x), np.arcsin(x), np.arctan(y), np.arcsinh(y), np.arccosh(z)),
    "logs": lambda x, y: (np.log2(x), np.log10(x), 2**y, y - np.trunc(y), np.fmod(y, x), np.logaddexp(x, y)),
    "fmod_scalar": lambda x: np.fmod(x, 1.5),
    "selu_mint": lambda x: 1.0507009873554805 * np.where(x > 0, x, 1.6732632423543772 * np.expm1(x)),
    "threshold_mint": lambda x: np.where(x > 0.5, x, 2),
    "softplus_threshold": lambda x: np.where(2 * x > 3, x, np.logaddexp(0, 2 * x) / 2),
    "addbmm": lambda x, y, z: 0.5 * x + 2 * (y @ z).sum(0),
    "addmv": lambda x, y, z: x + y @ z,
    "trace": np.trace,
    "diagonals": lambda x, y: (np.diag(x), np.diag(y), np.diag(y, 1), np.diag(y, -1)),
    "count_nonzero": lambda x: (np.count_nonzero(x), np.count_nonzero(x, axis=1)),
    "normalize": lambda x: (
        x / np.sqrt((x * x).sum(1, keepdims=True)), (np.abs(x) ** 3).sum(1) ** (1 / 3), np.abs(x).sum(1),
    ),
    "pad_value": lambda x: (np.pad(x, ((0, 0), (1, 2)), constant_values=1.5), np.pad(x[:, 1:], ((0, 0), (0, 1)))),
    "pools": lambda x: (pool(x, np.max), pool(x, np.mean), x.reshape(2, 4, 2, 4, 2, 4).mean((3, 5))),
}  # fmt: skip
HEAD = """\
import mindspore as ms
import numpy as np
from mindspore import Parameter, Tensor, mint, nn, ops

F = mint.nn.functional


class Net(nn.Cell):
    def __init__(self):
        super().__init__()
"""


def flat(outputs):
    for output in outputs if isinstance(outputs, (tuple, list)) else [outputs]:
        if isinstance(output, (tuple, list)):
            yield from flat(output)
        else:
            yield (output.astype(ms.float32) if output.dtype == ms.bfloat16 else output).asnumpy()


def source_of(net, count):
    """Return the Python source of "a = nn.Dense(4, 8) -> u = self.a(x); u * 2", or of an expression alone."""
    setup, _, body = net.rpartition(" -> ")
    *steps, result = body.split("; ")
    made = "".join(f"        self.{line.strip()}\n" for line in setup.split(";") if line.strip())
    steps = "".join(f"        {step}\n" for step in steps)
    return f"{HEAD}{made}\n    def construct(self, {', '.join('xyzw'[:count])}):\n{steps}        return {result}\n"


def export(folder, name, net, inputs, options):
    """Write the net's source, model and arrays to the folder: MindSpore compiles only what lies in a file.

    Options: "half", the cells compute in float16; "bf16", which inputs are bfloat16; "open", their shapes with None.
    """
    source = os.path.join(folder, f"{name}.py")
    with open(source, "w") as file:
        file.write(source_of(net, len(inputs)))
    spec = importlib.util.spec_from_file_location(f"net_{name}", source)
    module = sys.modules[spec.name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)

    def make():
        ms.set_seed(3)
        np.random.seed(3)
        made = module.Net().set_train(False)
        return made.to_float(ms.float16) if options.get("half") else made

    tensors = [
        ms.Tensor(array).astype(ms.bfloat16) if index in options.get("bf16", ()) else ms.Tensor(array)
        for index, array in enumerate(inputs)
    ]
    if name in WANTED:
        outputs = WANTED[name](*(array.astype(np.float64) if array.dtype == np.float32 else array for array in inputs))
        outputs = [np.asarray(output) for output in (outputs if isinstance(outputs, tuple) else (outputs,))]
    else:
        outputs = list(flat(make()(*tensors)))
    made = make()
    if "open" in options:
        tensors = [ms.Tensor(shape=list(s), dtype=t.dtype) for s, t in zip(options["open"], tensors)]
        made.set_inputs(*tensors)
    ms.export(made, *tensors, file_name=os.path.join(folder, name), file_format="MINDIR")
    arrays = {f"in{index}": array for index, array in enumerate(inputs)}
    np.savez(os.path.join(folder, name), **arrays, **{f"out{index}": array for index, array in enumerate(outputs)})


def nets(names):
    """Yield (name, net, inputs, options): of this file, and of the files named in newer/."""
    for file in names or ("here", "cells", "functions", "mint", "variants"):
        found = NETS if file == "here" else importlib.import_module(f"newer.{file}").NETS
        for name, (net, *inputs) in found.items():
            options = inputs.pop() if inputs and isinstance(inputs[-1], dict) else {}
            yield name, net, inputs, options


def main():
    folder, *names = sys.argv[1:]
    os.makedirs(folder, exist_ok=True)
    tried = os.path.join(folder, "tried")  # MindSpore may crash: start again, and it goes on behind that net
    ms.set_context(mode=ms.GRAPH_MODE, device_target="CPU")
    with open(tried, "a+") as file:
        file.seek(0)
        done = set(file.read().split("\n"))
        for name, net, inputs, options in nets(names):
            if name in done:
                continue
            print(name, file=file, flush=True)
            try:
                export(folder, name, net, inputs, options)
            except Exception as error:
                print(f"{name}: {' '.join(str(error).split())[:200]}", flush=True)


if __name__ == "__main__":
    main()
