"""mindspore.mint: functions and layers. values.py says how a net is written."""

import numpy as np
from newer.values import I1, I2, I3, IDS, L, M, N, Nets, Q, S, T, U, V, X, Y, u, words

NETS = Nets("m_")
for f in words(
    """
    abs acos asin atan acosh asinh atanh ceil cos cosh sin sinh tan tanh erf erfc erfinv exp expm1 exp2
    floor frac log log1p log2 log10 neg reciprocal round rsqrt sigmoid sign sqrt square trunc isfinite isinf
    logical_not nan_to_num relu sinc deg2rad
    """
):
    NETS.expression(
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
for f in words(
    """
    add sub mul div maximum minimum floor_divide remainder fmod pow atan2 logaddexp xlogy less greater eq ne
    le ge greater_equal
    """
):
    NETS.expression(f"mint.{f}(x, y)", np.abs(X), np.abs(Y) + 0.5)
for f in words("add sub mul maximum minimum floor_divide remainder less greater eq ne le ge div"):
    NETS.expression(f"mint.{f}(x, y) ", N, Q)
NETS.expression("mint.bitwise_and(x, y), mint.bitwise_or(x, y), mint.bitwise_xor(x, y)", N, Q)
NETS.expression("mint.div(x, y, rounding_mode='floor'), mint.div(x, y, rounding_mode='trunc')", X, Y)
NETS.expression("mint.isclose(x, y)", X, X)
NETS.expression("mint.equal(x, y)", X, X)
NETS.expression("mint.sum(x, dtype=ms.float32), mint.mean(x, dtype=ms.float32)", N)
NETS.expression("mint.sum(x), mint.sum(x, 1), mint.max(x), mint.min(x), mint.argmax(x)", N)
NETS.expression("mint.sum(x), mint.sum(x, 1)", L)
NETS.expression("mint.sum(x, 1)", M)
NETS.expression("mint.cumsum(x, 1)", N)
NETS.expression("mint.cumprod(x, 1)", X)
NETS.expression("mint.cummax(x, 1)", X)
NETS.expression("mint.cummin(x, 1)", X)
NETS.expression("mint.max(x, 1, True), mint.min(x, 0)", S)
NETS.expression("mint.median(x)", X)
NETS.expression("mint.median(x, 1)", X)
NETS.expression("mint.var(x), mint.std(x, 1, correction=0, keepdim=True), mint.var(x, (0, 1))", S)
NETS.expression("mint.norm(x, 1, 1), mint.norm(x, float('inf'))", X)
NETS.expression("mint.norm(x, 3, 1)", X)
NETS.expression("mint.count_nonzero(x)", N)
NETS.expression("mint.sort(x)", N)
NETS.expression("mint.topk(x, 2)", N)
NETS.expression("mint.unique(x)", N[0])
NETS.expression("mint.nonzero(x)", N)
NETS.expression("mint.where(x > 0, x, y)", N, Q)
NETS.expression("mint.masked_select(x, y)", X, M)
NETS.expression("mint.cat((x, y), 1), mint.stack((x, y), 1)", N, Q)
NETS.expression("mint.cat((x, y), 1)", M, M)
NETS.expression("mint.split(x, 3, 1)", X)
NETS.expression("mint.chunk(x, 3, 1), mint.chunk(x, 5, 1)", X)
NETS.expression("mint.unbind(x, 1)", S)
NETS.expression("mint.tile(x, (2, 1, 2)), mint.repeat_interleave(x, 3), mint.repeat_interleave(x, 2, -1)", X)
NETS.expression("mint.flatten(x), mint.flatten(x, 1, 2)", I2)
NETS.expression("mint.permute(x, (2, 0, 1)), mint.transpose(x, -1, -2)", S)
NETS.expression("mint.squeeze(x, 0)", X)
NETS.expression("mint.narrow(x, 1, 0, 2), mint.select(x, -1, -1), x[:, 1:3], x[0], x[:, ::2], x[..., None]", X)
NETS.expression("mint.narrow(x, 1, 0, 2), mint.select(x, -1, -1), x[:, 1:3], x[0]", N)
NETS.expression("x[:, 1:3], x[0]", M)
NETS.expression("mint.flip(x, (0, 1)), mint.roll(x, 1), mint.roll(x, (1, 2), (0, 1))", X)
NETS.expression("mint.tril(x), mint.triu(x), mint.tril(x, -1)", S)
NETS.expression("mint.tril(x)", N)
NETS.expression("mint.diag(x)", V)
NETS.expression("mint.diag(x)", X)
NETS.expression("mint.trace(x)", U(3, 3))
NETS.expression("mint.meshgrid(x, y, indexing='xy')", V, V[:3].copy())
NETS.expression("mint.cross(x, y)", U(3, 3), U(3, 3))
NETS.expression("mint.einsum('bij,bjk->bik', x, y)", S, T.transpose(0, 2, 1).copy())
NETS.expression("mint.einsum('ij,jk->ik', x, y)", X, Y.T.copy())
NETS.expression("mint.einsum('bhqd,bhkd->bhqk', x, y)", U(2, 2, 3, 4), U(2, 2, 5, 4))
NETS.expression("mint.bmm(x, y), mint.baddbmm(z, x, y, beta=0.5, alpha=2)", S, T.transpose(0, 2, 1).copy(), U(2, 3, 3))
NETS.expression("mint.matmul(x, y)", U(5, 1, 3, 4), U(2, 4, 3))
NETS.expression("mint.matmul(x, y)", V, U(2, 4, 3))
NETS.expression("mint.matmul(x, y)", U(2, 3, 4), V)
NETS.expression("mint.matmul(x, y)", V, V)
NETS.expression("mint.addmv(x, y, z)", U(3), X, V)
NETS.expression("mint.addbmm(z, x, y)", S, T.transpose(0, 2, 1).copy(), U(3, 3))
NETS.expression("mint.outer(x, y), mint.dot(x, y)", V, V)
NETS.expression("mint.index_select(x, 1, y), mint.gather(x, 1, z)", X, IDS[0], N % 3)
NETS.expression("mint.gather(x, 1, y)", N, L % 3)
NETS.expression("mint.index_add(x, 0, y, z)", X, np.array([0, 2], np.int32), U(2, 4))
NETS.expression("mint.scatter(x, 1, y, z)", X, np.array([[0, 1], [2, 3], [0, 1]], np.int64), U(3, 2))
NETS.expression("mint.scatter_add(x, 1, y, z)", X, np.array([[0, 1], [2, 3], [0, 1]], np.int64), U(3, 2))
NETS.expression("mint.clamp(x, -1, 1), mint.clamp(x, max=2)", N)
NETS.expression("mint.full((3, 4), 1.5) + x, mint.zeros((3, 4)) + x, mint.ones(4) + x, mint.arange(0, 4, 1) + x", X)
NETS.expression("mint.full_like(x, 2), mint.zeros_like(x), mint.ones_like(x)", X)
NETS.expression("mint.zeros_like(x), mint.ones_like(x), x", N)
NETS.expression("mint.eye(3, 4) + x, mint.linspace(-1, 1, 4) * x", X)
NETS.expression("mint.logsumexp(x, 1), mint.logsumexp(x, (0, 1), keepdim=True)", S)
NETS.expression("mint.any(x), mint.all(x), mint.any(x, 1, True), mint.all(x, 0)", M)
NETS.expression("mint.any(x, 1), mint.all(x, 1)", N)
NETS.expression("mint.lerp(x, y, 0.3)", X, Y)
NETS.expression("mint.histc(x, 4)", X)
NETS.expression("mint.bincount(x)", IDS[0])
NETS.expression("mint.argsort(x), mint.argsort(x, 0, True)", X)
NETS.expression("mint.std_mean(x, 1), mint.var_mean(x, 0)", X)
NETS.expression("mint.amax(x, 1), mint.amin(x)", S)
NETS.expression("mint.nansum(x)", X)
NETS.expression("mint.prod(x, 1), mint.prod(x)", X)
NETS.expression("mint.cdist(x, y)", X, Y)
NETS.expression("mint.float_power(x, 2)", X)
NETS.expression("mint.ne(x, 0), mint.lt(x, 0), mint.gt(x, y)", X, Y)
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
    NETS.expression("F." + f, X, N % 4) if "y" in f else NETS.expression("F." + f, X)
NETS.expression("F.cross_entropy(x, y)", X, np.array([0, 3, 1], np.int64))
NETS.expression("F.nll_loss(x, y)", X, np.array([0, 3, 1], np.int64))
NETS.expression("F.binary_cross_entropy(mint.sigmoid(x), mint.sigmoid(y))", X, Y)
NETS.expression("F.binary_cross_entropy_with_logits(x, mint.sigmoid(y))", X, Y)
NETS.expression("F.kl_div(x, y)", X, np.abs(Y))
NETS.expression("F.conv2d(x, y, stride=(1,2), padding=(1,0), dilation=(1,2))", I2, U(6, 4, 3, 3))
NETS.expression("F.conv2d(x, y, groups=4, padding=1)", I2, U(8, 1, 3, 3))
NETS.expression("F.conv2d(x, y, groups=2, padding=1)", I2, U(6, 2, 3, 3))
NETS.expression("F.conv1d(x, y, z)", I1, U(6, 3, 3), U(6))
NETS.expression("F.conv3d(x, y)", I3, U(3, 2, 2, 2, 2))
NETS.expression("F.conv_transpose2d(x, y, stride=2)", I2, U(4, 3, 3, 3))
NETS.expression("F.max_pool2d(x, 3, 2, 1)", I2)
NETS.expression("F.max_pool2d(x, 3, 2, ceil_mode=True)", I2)
NETS.expression("F.max_pool2d(x, 2, return_indices=True)", I2)
NETS.expression("F.max_pool1d(x, 2)", I1)
NETS.expression("F.max_pool3d(x, 2)", I3)
NETS.expression("F.avg_pool2d(x, 3, 2, 1)", I2)
NETS.expression("F.avg_pool2d(x, 3, 2, 1, count_include_pad=False)", I2)
NETS.expression("F.avg_pool2d(x, 3, 2, ceil_mode=True)", I2)
NETS.expression("F.avg_pool1d(x, 2)", I1)
NETS.expression("F.avg_pool3d(x, 2)", I3)
NETS.expression("F.adaptive_avg_pool2d(x, 1), F.adaptive_avg_pool2d(x, (4, 2))", I2)
NETS.expression("F.adaptive_avg_pool2d(x, 3)", I2)
NETS.expression("F.adaptive_avg_pool1d(x, 5)", I1)
NETS.expression("F.adaptive_avg_pool3d(x, 2)", I3)
NETS.expression("F.adaptive_max_pool2d(x, 2)", I2)
NETS.expression("F.adaptive_max_pool1d(x, 5)", I1)
NETS.expression("F.interpolate(x, size=(16, 16))", I2)
NETS.expression("F.interpolate(x, size=(5, 7))", I2)
NETS.expression("F.interpolate(x, scale_factor=2.0, mode='bilinear')", I2)
NETS.expression("F.interpolate(x, size=(5, 7), mode='bilinear', align_corners=True)", I2)
NETS.expression("F.interpolate(x, size=20, mode='linear')", I1)
NETS.expression("F.interpolate(x, scale_factor=2.0, mode='bicubic')", I2)
NETS.expression("F.pixel_shuffle(x, 2)", I2)
NETS.expression("F.pixel_unshuffle(x, 2)", I2)
NETS.expression("F.unfold(x, 3)", I2)
NETS.expression("F.fold(x, (4, 4), 2)", U(2, 8, 9))
NETS.expression("F.grid_sample(x, y, align_corners=False)", I2, U(2, 5, 5, 2) / 3)
NETS.expression("F.embedding(x, y, padding_idx=0)", IDS, X)
NETS.expression("F.batch_norm(x, y, z)", I2, V, np.abs(V) + 0.5)
NETS.expression("F.group_norm(x, 2, y, z)", I2, V, V)
NETS.expression("F.softmax(x @ y.swapaxes(1, 2) / 2.0, -1) @ y", S, T)
NETS.expression("F.prelu(x, y)", I2, V)
NETS.expression("F.prelu(x, y)", X, np.array([0.2], np.float32))
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
    NETS.expression(f"c = mint.nn.{c} -> self.c(x)", X, prefix="mn_")
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
    NETS.expression(f"c = mint.nn.{c} -> self.c(x)", I2, prefix="mn_")
NETS.expression("c = mint.nn.Embedding(5, 4) -> self.c(x)", IDS)
NETS.expression("c = mint.nn.Embedding(5, 4, padding_idx=1) -> self.c(x)", IDS.astype(np.int64))
NETS.expression("c = mint.nn.Conv1d(3, 5, 3) -> self.c(x)", I1)
NETS.expression("c = mint.nn.Conv3d(2, 3, 2) -> self.c(x)", I3)
NETS.expression("c = mint.nn.MSELoss() -> self.c(x, y)", X, Y)
NETS.expression("c = mint.nn.CrossEntropyLoss() -> self.c(x, y)", X, np.array([0, 3, 1], np.int64))
