"""mindspore.mint: functions and layers.

NETS = {name: (what the net is, inputs..., options)}: "name = a cell; ... -> what construct returns of x, y, z".
"""

import numpy as np

D = np.random.RandomState(13)


def U(*s, lo=-3, hi=3):
    return D.uniform(lo, hi, s).astype(np.float32)


X, Y = U(3, 4), U(3, 4)
S = U(2, 3, 4)
P = np.abs(S) + 0.5
T = U(2, 3, 4)
I1 = U(2, 3, 10)
I2 = U(2, 4, 8, 8)
I3 = U(2, 2, 4, 6, 6)
N = D.randint(-5, 9, (3, 4)).astype(np.int32)
Q = D.randint(1, 5, (3, 4)).astype(np.int32)
L = N.astype(np.int64)
M = X > 0
IDS = np.array([[2, 0, 1], [1, 1, 2]], np.int32)
V = U(4)
u = X / 3.1
NETS = {}


def n(name, *a):
    NETS[name] = a


def e(expr, *a, pre="m_"):
    key = pre + "".join(c if c.isalnum() else "_" for c in expr)[:60]
    while key in NETS:
        key += "2"
    NETS[key] = ((" -> " if " -> " not in expr else "") + expr, *a)


for f in [
    "abs",
    "acos",
    "asin",
    "atan",
    "acosh",
    "asinh",
    "atanh",
    "ceil",
    "cos",
    "cosh",
    "sin",
    "sinh",
    "tan",
    "tanh",
    "erf",
    "erfc",
    "erfinv",
    "exp",
    "expm1",
    "exp2",
    "floor",
    "frac",
    "log",
    "log1p",
    "log2",
    "log10",
    "neg",
    "reciprocal",
    "round",
    "rsqrt",
    "sigmoid",
    "sign",
    "sqrt",
    "square",
    "trunc",
    "isfinite",
    "isinf",
    "logical_not",
    "nan_to_num",
    "relu",
    "sinc",
    "deg2rad",
]:
    e(
        f"mint.{f}(x)",
        np.abs(u) + 1.1
        if f in ("acosh",)
        else np.abs(u) + 0.2
        if f in ("log", "log1p", "log2", "log10", "rsqrt", "sqrt", "reciprocal")
        else u * 0.9
        if f in ("acos", "asin", "atanh", "erfinv")
        else M
        if f == "logical_not"
        else X,
    )
for f in [
    "add",
    "sub",
    "mul",
    "div",
    "maximum",
    "minimum",
    "floor_divide",
    "remainder",
    "fmod",
    "pow",
    "atan2",
    "logaddexp",
    "xlogy",
    "less",
    "greater",
    "eq",
    "ne",
    "le",
    "ge",
    "greater_equal",
]:
    e(f"mint.{f}(x, y)", np.abs(X), np.abs(Y) + 0.5)
for f in [
    "add",
    "sub",
    "mul",
    "maximum",
    "minimum",
    "floor_divide",
    "remainder",
    "less",
    "greater",
    "eq",
    "ne",
    "le",
    "ge",
    "div",
]:
    e(f"mint.{f}(x, y) ", N, Q)
e("mint.bitwise_and(x, y), mint.bitwise_or(x, y), mint.bitwise_xor(x, y)", N, Q)
e("mint.div(x, y, rounding_mode='floor'), mint.div(x, y, rounding_mode='trunc')", X, Y)
e("mint.isclose(x, y)", X, X)
e("mint.equal(x, y)", X, X)
e("mint.sum(x, dtype=ms.float32), mint.mean(x, dtype=ms.float32)", N)
e("mint.sum(x), mint.sum(x, 1), mint.max(x), mint.min(x), mint.argmax(x)", N)
e("mint.sum(x), mint.sum(x, 1)", L)
e("mint.sum(x, 1)", M)
e("mint.cumsum(x, 1)", N)
e("mint.cumprod(x, 1)", X)
e("mint.cummax(x, 1)", X)
e("mint.cummin(x, 1)", X)
e("mint.max(x, 1, True), mint.min(x, 0)", S)
e("mint.median(x)", X)
e("mint.median(x, 1)", X)
e("mint.var(x), mint.std(x, 1, correction=0, keepdim=True), mint.var(x, (0, 1))", S)
e("mint.norm(x, 1, 1), mint.norm(x, float('inf'))", X)
e("mint.norm(x, 3, 1)", X)
e("mint.count_nonzero(x)", N)
e("mint.sort(x)", N)
e("mint.topk(x, 2)", N)
e("mint.unique(x)", N[0])
e("mint.nonzero(x)", N)
e("mint.where(x > 0, x, y)", N, Q)
e("mint.masked_select(x, y)", X, M)
e("mint.cat((x, y), 1), mint.stack((x, y), 1)", N, Q)
e("mint.cat((x, y), 1)", M, M)
e("mint.split(x, 3, 1)", X)
e("mint.chunk(x, 3, 1), mint.chunk(x, 5, 1)", X)
e("mint.unbind(x, 1)", S)
e("mint.tile(x, (2, 1, 2)), mint.repeat_interleave(x, 3), mint.repeat_interleave(x, 2, -1)", X)
e("mint.flatten(x), mint.flatten(x, 1, 2)", I2)
e("mint.permute(x, (2, 0, 1)), mint.transpose(x, -1, -2)", S)
e("mint.squeeze(x, 0)", X)
e("mint.narrow(x, 1, 0, 2), mint.select(x, -1, -1), x[:, 1:3], x[0], x[:, ::2], x[..., None]", X)
e("mint.narrow(x, 1, 0, 2), mint.select(x, -1, -1), x[:, 1:3], x[0]", N)
e("x[:, 1:3], x[0]", M)
e("mint.flip(x, (0, 1)), mint.roll(x, 1), mint.roll(x, (1, 2), (0, 1))", X)
e("mint.tril(x), mint.triu(x), mint.tril(x, -1)", S)
e("mint.tril(x)", N)
e("mint.diag(x)", V)
e("mint.diag(x)", X)
e("mint.trace(x)", U(3, 3))
e("mint.meshgrid(x, y, indexing='xy')", V, V[:3].copy())
e("mint.cross(x, y)", U(3, 3), U(3, 3))
e("mint.einsum('bij,bjk->bik', x, y)", S, T.transpose(0, 2, 1).copy())
e("mint.einsum('ij,jk->ik', x, y)", X, Y.T.copy())
e("mint.einsum('bhqd,bhkd->bhqk', x, y)", U(2, 2, 3, 4), U(2, 2, 5, 4))
e("mint.bmm(x, y), mint.baddbmm(z, x, y, beta=0.5, alpha=2)", S, T.transpose(0, 2, 1).copy(), U(2, 3, 3))
e("mint.matmul(x, y)", U(5, 1, 3, 4), U(2, 4, 3))
e("mint.matmul(x, y)", V, U(2, 4, 3))
e("mint.matmul(x, y)", U(2, 3, 4), V)
e("mint.matmul(x, y)", V, V)
e("mint.addmv(x, y, z)", U(3), X, V)
e("mint.addbmm(z, x, y)", S, T.transpose(0, 2, 1).copy(), U(3, 3))
e("mint.outer(x, y), mint.dot(x, y)", V, V)
e("mint.index_select(x, 1, y), mint.gather(x, 1, z)", X, IDS[0], N % 3)
e("mint.gather(x, 1, y)", N, L % 3)
e("mint.index_add(x, 0, y, z)", X, np.array([0, 2], np.int32), U(2, 4))
e("mint.scatter(x, 1, y, z)", X, np.array([[0, 1], [2, 3], [0, 1]], np.int64), U(3, 2))
e("mint.scatter_add(x, 1, y, z)", X, np.array([[0, 1], [2, 3], [0, 1]], np.int64), U(3, 2))
e("mint.clamp(x, -1, 1), mint.clamp(x, max=2)", N)
e("mint.full((3, 4), 1.5) + x, mint.zeros((3, 4)) + x, mint.ones(4) + x, mint.arange(0, 4, 1) + x", X)
e("mint.full_like(x, 2), mint.zeros_like(x), mint.ones_like(x)", X)
e("mint.zeros_like(x), mint.ones_like(x), x", N)
e("mint.eye(3, 4) + x, mint.linspace(-1, 1, 4) * x", X)
e("mint.logsumexp(x, 1), mint.logsumexp(x, (0, 1), keepdim=True)", S)
e("mint.any(x), mint.all(x), mint.any(x, 1, True), mint.all(x, 0)", M)
e("mint.any(x, 1), mint.all(x, 1)", N)
e("mint.lerp(x, y, 0.3)", X, Y)
e("mint.histc(x, 4)", X)
e("mint.bincount(x)", IDS[0])
e("mint.argsort(x), mint.argsort(x, 0, True)", X)
e("mint.std_mean(x, 1), mint.var_mean(x, 0)", X)
e("mint.amax(x, 1), mint.amin(x)", S)
e("mint.nansum(x)", X)
e("mint.prod(x, 1), mint.prod(x)", X)
e("mint.cdist(x, y)", X, Y)
e("mint.float_power(x, 2)", X)
e("mint.ne(x, 0), mint.lt(x, 0), mint.gt(x, y)", X, Y)
# functional
for f in (
    "elu(x, 0.7)",
    "gelu(x)",
    "glu(x)",
    "hardshrink(x)",
    "hardsigmoid(x)",
    "hardswish(x)",
    "hardtanh(x, -2, 0.5)",
    "leaky_relu(x)",
    "log_softmax(x, -1)",
    "logsigmoid(x)",
    "mish(x)",
    "relu(x)",
    "relu6(x)",
    "selu(x)",
    "sigmoid(x)",
    "silu(x)",
    "softmax(x, 0)",
    "softplus(x)",
    "softplus(x, 0.5, 10)",
    "softshrink(x)",
    "tanh(x)",
    "threshold(x, 0.5, 1.0)",
    "normalize(x)",
    "normalize(x, 1.0, 0)",
    "one_hot(y, 4)",
    "pad(x, (1, 2), value=1.5)",
    "pad(x, (1, 2), 'reflect')",
    "pad(x, (-1, 1))",
    "linear(x, x)",
    "mse_loss(x, y.astype(ms.float32))",
    "l1_loss(x, y.astype(ms.float32))",
    "smooth_l1_loss(x, y.astype(ms.float32))",
    "layer_norm(x, (4,))",
    "softmax(x, 1, dtype=ms.float32)",
):
    e("F." + f, X, N % 4) if "y" in f else e("F." + f, X)
e("F.cross_entropy(x, y)", X, np.array([0, 3, 1], np.int64))
e("F.nll_loss(x, y)", X, np.array([0, 3, 1], np.int64))
e("F.binary_cross_entropy(mint.sigmoid(x), mint.sigmoid(y))", X, Y)
e("F.binary_cross_entropy_with_logits(x, mint.sigmoid(y))", X, Y)
e("F.kl_div(x, y)", X, np.abs(Y))
e("F.conv2d(x, y, stride=(1,2), padding=(1,0), dilation=(1,2))", I2, U(6, 4, 3, 3))
e("F.conv2d(x, y, groups=4, padding=1)", I2, U(8, 1, 3, 3))
e("F.conv2d(x, y, groups=2, padding=1)", I2, U(6, 2, 3, 3))
e("F.conv1d(x, y, z)", I1, U(6, 3, 3), U(6))
e("F.conv3d(x, y)", I3, U(3, 2, 2, 2, 2))
e("F.conv_transpose2d(x, y, stride=2)", I2, U(4, 3, 3, 3))
e("F.max_pool2d(x, 3, 2, 1)", I2)
e("F.max_pool2d(x, 3, 2, ceil_mode=True)", I2)
e("F.max_pool2d(x, 2, return_indices=True)", I2)
e("F.max_pool1d(x, 2)", I1)
e("F.max_pool3d(x, 2)", I3)
e("F.avg_pool2d(x, 3, 2, 1)", I2)
e("F.avg_pool2d(x, 3, 2, 1, count_include_pad=False)", I2)
e("F.avg_pool2d(x, 3, 2, ceil_mode=True)", I2)
e("F.avg_pool1d(x, 2)", I1)
e("F.avg_pool3d(x, 2)", I3)
e("F.adaptive_avg_pool2d(x, 1), F.adaptive_avg_pool2d(x, (4, 2))", I2)
e("F.adaptive_avg_pool2d(x, 3)", I2)
e("F.adaptive_avg_pool1d(x, 5)", I1)
e("F.adaptive_avg_pool3d(x, 2)", I3)
e("F.adaptive_max_pool2d(x, 2)", I2)
e("F.adaptive_max_pool1d(x, 5)", I1)
e("F.interpolate(x, size=(16, 16))", I2)
e("F.interpolate(x, size=(5, 7))", I2)
e("F.interpolate(x, scale_factor=2.0, mode='bilinear')", I2)
e("F.interpolate(x, size=(5, 7), mode='bilinear', align_corners=True)", I2)
e("F.interpolate(x, size=20, mode='linear')", I1)
e("F.interpolate(x, scale_factor=2.0, mode='bicubic')", I2)
e("F.pixel_shuffle(x, 2)", I2)
e("F.pixel_unshuffle(x, 2)", I2)
e("F.unfold(x, 3)", I2)
e("F.fold(x, (4, 4), 2)", U(2, 8, 9))
e("F.grid_sample(x, y, align_corners=False)", I2, U(2, 5, 5, 2) / 3)
e("F.embedding(x, y, padding_idx=0)", IDS, X)
e("F.batch_norm(x, y, z)", I2, V, np.abs(V) + 0.5)
e("F.group_norm(x, 2, y, z)", I2, V, V)
e("F.softmax(x @ y.swapaxes(1, 2) / 2.0, -1) @ y", S, T)
e("F.prelu(x, y)", I2, V)
e("F.prelu(x, y)", X, np.array([0.2], np.float32))
# mint.nn cells
for c in (
    "Linear(4, 5)",
    "Linear(4, 5, bias=False)",
    "ReLU()",
    "ReLU6()",
    "GELU()",
    "GELU(approximate='tanh')",
    "SiLU()",
    "ELU()",
    "Hardswish()",
    "Hardsigmoid()",
    "Hardtanh()",
    "Hardshrink()",
    "Softshrink()",
    "LogSigmoid()",
    "LogSoftmax(dim=-1)",
    "Softmax(dim=1)",
    "Mish()",
    "PReLU()",
    "SELU()",
    "Sigmoid()",
    "Tanh()",
    "Softplus()",
    "Threshold(0.5, 1.0)",
    "Dropout(0.3)",
    "Identity()",
    "LayerNorm(4)",
    "LayerNorm((3, 4))",
    "BatchNorm1d(4)",
    "GLU()",
    "CELU()",
    "LeakyReLU()",
    "Softsign()",
    "Tanhshrink()",
    "Flatten()",
    "RMSNorm(4)",
):
    e(f"c = mint.nn.{c} -> self.c(x)", X, pre="mn_")
for c in (
    "Conv2d(4, 6, 3)",
    "Conv2d(4, 6, 3, stride=2, padding=1, bias=False)",
    "Conv2d(4, 4, 3, groups=4, padding='same')",
    "Conv2d(4, 6, 3, padding=1, padding_mode='reflect')",
    "BatchNorm2d(4)",
    "GroupNorm(2, 4)",
    "MaxPool2d(2)",
    "AvgPool2d(2)",
    "AdaptiveAvgPool2d(1)",
    "AdaptiveAvgPool2d((2, 4))",
    "Upsample(scale_factor=2)",
    "ZeroPad2d(1)",
    "ConstantPad2d(1, 0.5)",
    "ReflectionPad2d(1)",
    "ReplicationPad2d(1)",
    "PixelShuffle(2)",
    "Unfold(3)",
    "Dropout2d(0.5)",
    "ConvTranspose2d(4, 3, 3)",
    "Conv2d(4, 8, 1)",
):
    e(f"c = mint.nn.{c} -> self.c(x)", I2, pre="mn_")
e("c = mint.nn.Embedding(5, 4) -> self.c(x)", IDS)
e("c = mint.nn.Embedding(5, 4, padding_idx=1) -> self.c(x)", IDS.astype(np.int64))
e("c = mint.nn.Conv1d(3, 5, 3) -> self.c(x)", I1)
e("c = mint.nn.Conv3d(2, 3, 2) -> self.c(x)", I3)
e("c = mint.nn.MSELoss() -> self.c(x, y)", X, Y)
e("c = mint.nn.CrossEntropyLoss() -> self.c(x, y)", X, np.array([0, 3, 1], np.int64))
