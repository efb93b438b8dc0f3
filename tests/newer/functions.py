# ruff: noqa: E501  (a net per line)
"""Functions of mindspore.ops. values.py says how a net is written."""

import numpy as np
from newer.values import DRAW, I1, I2, I3, IDS, L, M, N, Nets, P, Q, S, T, U, V, X, Y, u, words

NETS = Nets()
for f in words(
    """
    abs acos asin atan acosh asinh atanh ceil cos cosh sin sinh tan tanh erf erfc exp expm1 floor log log1p
    log2 log10 neg reciprocal relu relu6 round rsqrt sigmoid sign sqrt square trunc isfinite isinf isnan
    softsign mish hardswish silu gelu selu hardsigmoid logsigmoid rad2deg deg2rad positive
    """
):
    NETS.expression(
        f"ops.{f}(x)",
        np.abs(u) + 1.1
        if f in ("acosh", "digamma", "lgamma")
        else np.abs(u) + 0.2
        if f in ("log", "log1p", "log2", "log10", "rsqrt", "sqrt", "reciprocal")
        else u * 0.9
        if f in ("acos", "asin", "atanh", "erfinv")
        else X,
    )
for f in ["abs", "neg", "sign", "square", "relu", "floor", "ceil", "round"]:
    NETS.expression(f"ops.{f}(x) + 0", N)
NETS.expression("ops.abs(x), ops.neg(x), ops.sign(x), x * x, x + x, x - 3", L)
for f in words(
    """
    add sub mul div maximum minimum floor_div floor_mod pow atan2 hypot fmod logaddexp squared_difference
    xlogy bitwise_and bitwise_or bitwise_xor less greater equal ne le ge true_divide truncate_div
    truncate_mod copysign heaviside nextafter inner ldexp
    """
):
    if not f.startswith("bitwise"):
        NETS.expression(f"ops.{f}(x, y)", np.abs(X), np.abs(Y) + 0.5)
    if f not in (
        "pow",
        "atan2",
        "hypot",
        "logaddexp",
        "xlogy",
        "copysign",
        "heaviside",
        "nextafter",
        "inner",
        "ldexp",
        "true_divide",
    ):
        NETS.expression(f"ops.{f}(x, y) ", N, Q)
NETS.expression("ops.floor_div(x, y), ops.floor_mod(x, y), x // y, x % y, ops.fmod(x, y)", X, Y)
NETS.expression("x // y, x % y, x / y, x * y, x ** 2", L, Q.astype(np.int64))
NETS.expression("x // 3, x % 3, x // -3, x % -3, x / 3", N)
NETS.expression(
    "ops.logical_and(x, y), ops.logical_or(x, y), ops.logical_not(x), ops.logical_xor(x, y), x == y, x != y",
    M,
    ~M[::-1],
)
NETS.expression("x & y, x | y, x ^ y, ~x", M, ~M[::-1])
NETS.expression("x.astype(ms.int32) + y.astype(ms.int32), x * 2, x + 1", M, M)
NETS.expression("ops.sum(x), ops.sum(x, 1), ops.sum(x, (0, 2), True)", S)
NETS.expression("ops.mean(x), ops.mean(x, 1), ops.mean(x, (0, 2), True)", S)
NETS.expression("ops.prod(x), ops.prod(x, 1), ops.prod(x, 2, True)", P)
NETS.expression("ops.max(x), ops.min(x)", S)
NETS.expression("ops.max(x, 1), ops.min(x, 2, True)", S)
NETS.expression("ops.argmax(x), ops.argmin(x, 1), ops.argmax(x, 0)", X)
NETS.expression("ops.argmax(x, dim=1, keepdim=True)", X)
NETS.expression("ops.amax(x), ops.amin(x, (0, 2)), ops.amax(x, 0, keepdims=True)", S)
NETS.expression("ops.std(x), ops.var(x, 1), ops.std(x, 0, 0), ops.var(x, (0,1), 1, True)", S)
NETS.expression("ops.var_mean(x, 1), ops.std_mean(x, 0)", S)
NETS.expression("ops.logsumexp(x, 1), ops.logsumexp(x, (0,1), True)", S)
NETS.expression("ops.any(x), ops.all(x), ops.any(x, 1), ops.all(x, 0, True)", M)
NETS.expression("ops.norm(x), ops.norm(x, 1, 1), ops.norm(x, float('inf'), 0)", X)
NETS.expression("ops.norm(x, 3, 1)", X)
NETS.expression("ops.norm(x, dim=1, keepdim=True)", X)
NETS.expression("ops.cumsum(x, 1), ops.cumsum(x, 0), ops.cumsum(x, -1)", S)
NETS.expression("ops.cumsum(x, 1)", N)
NETS.expression("ops.cumprod(x, 1)", X)
NETS.expression("ops.cummax(x, 1)", X)
NETS.expression("ops.median(x)", X)
NETS.expression("ops.median(x, 1)", X)
NETS.expression("ops.sum(x), ops.sum(x, 1), ops.max(x), ops.min(x)", N)
NETS.expression("ops.sum(x, 1), x.max(), x.min(1), x.mean()", L)
NETS.expression("ops.topk(x, 2), ops.topk(x, 2, 0), ops.topk(x, 2, largest=False)", X)
NETS.expression("ops.topk(x, 2)", N)
NETS.expression("ops.sort(x), ops.argsort(x), ops.sort(x, 0, True)", X)
NETS.expression("ops.reverse(x, [1]), ops.flip(x, (0, 1)), ops.fliplr(x), ops.flipud(x)", X)
NETS.expression("ops.roll(x, 1), ops.roll(x, (1, -1), (0, 1)), ops.roll(x, 2, 1)", X)
NETS.expression("ops.rot90(x, 1, (0, 1))", X)
NETS.expression(
    "ops.concat((x, y), 1), ops.stack((x, y)), ops.hstack((x, y)), ops.vstack((x, y)), ops.dstack((x, y)), ops.column_stack((x, y))",
    X,
    Y,
)
NETS.expression("ops.concat((x, y, x), -1), ops.stack((x, y), -1)", X, Y)
NETS.expression("ops.concat((x, y), 1), ops.stack((x, y))", N, Q)
NETS.expression("ops.concat((x, y), 1)", M, ~M)
NETS.expression("ops.stack((x, y))", M, ~M)
NETS.expression("ops.cat((x, y), 1)", L, L)
NETS.expression("ops.split(x, 2, 1), ops.split(x, (1, 3), 1), ops.chunk(x, 2, 1)", X)
NETS.expression("ops.tensor_split(x, 2, 1)", X)
NETS.expression("ops.tensor_split(x, (1, 3), 1)", X)
NETS.expression("ops.split(x, 3, 1)", X)
NETS.expression("ops.chunk(x, 3, 1)", X)
NETS.expression("ops.hsplit(x, 2), ops.vsplit(x, 3)", X)
NETS.expression("ops.unbind(x, 1), ops.unstack(x, 0)", X)
NETS.expression("ops.split(x, 2, 1)", N)
NETS.expression("ops.split(x, 2, 1)", M)
NETS.expression("ops.unbind(x, 1)", N)
NETS.expression("ops.reshape(x, (4, 3)), x.view(-1), x.reshape(2, -1), x.ravel(), x.flatten()", X)
NETS.expression(
    "x.reshape(4, 3), x.T, x.expand_dims(0), ops.squeeze(y), ops.tile(x, (2, 1)), ops.flip(x, (1,))", N, N[None]
)
NETS.expression("x.reshape(4, 3), x.T, x.expand_dims(0), ops.tile(x, (2, 1)), ops.broadcast_to(x, (2, 3, 4))", M)
NETS.expression("x.reshape(4, 3), x.T, x.expand_dims(0), ops.tile(x, (2, 1)), ops.broadcast_to(x, (2, 3, 4))", L)
NETS.expression(
    "ops.transpose(x, (2, 0, 1)), ops.permute(x, (1, 0, 2)), x.swapaxes(0, 2), ops.movedim(x, 0, 2), x.transpose()", S
)
NETS.expression("ops.expand_dims(x, 0), ops.expand_dims(x, -1), ops.unsqueeze(x, 1), x[None], x[:, None]", X)
NETS.expression("ops.squeeze(x), ops.squeeze(x, 0), ops.squeeze(x, (0, 2))", S[:1, :, :1])
NETS.expression("ops.broadcast_to(x, (2, 3, 4)), x.expand(2, 3, 4), ops.tile(x, (2, 2)), x.repeat(2)", X)
NETS.expression("ops.repeat_interleave(x, 2, 0), ops.repeat_elements(x, 3, 1)", X)
NETS.expression("ops.repeat_interleave(x, 2, 0)", N)
NETS.expression("ops.broadcast_to(x, (-1, 5, 4))", X[:1])
NETS.expression("ops.meshgrid(x, y)", V, X[0, :3].copy())
NETS.expression("ops.gather(x, y, 0), ops.gather(x, y, 1), x[y]", X, IDS[0])
NETS.expression("ops.gather(x, y, 0)", X, IDS)
NETS.expression("ops.gather(x, y, 1, 1)", U(2, 3, 4), IDS)
NETS.expression("ops.gather(x, y, 0)", N, IDS)
NETS.expression("ops.gather(x, y, 0)", M, IDS)
NETS.expression("ops.gather(x, y, 0)", X, IDS.astype(np.int64))
NETS.expression("ops.gather(x, y, 0)", X, np.int32(1))
NETS.expression("ops.gather_elements(x, 1, y)", X, N % 3)
NETS.expression("ops.gather_elements(x, 1, y)", N, N % 3)
NETS.expression("ops.gather_elements(x, 1, y)", X, L % 3)
NETS.expression("ops.gather_nd(x, y)", X, np.array([[0, 1], [2, 3]], np.int32))
NETS.expression("ops.gather_nd(x, y)", S, np.array([[0, 1], [1, 2]], np.int32))
NETS.expression("ops.gather_nd(x, y)", N, np.array([[0, 1], [2, 3]], np.int32))
NETS.expression("ops.index_select(x, 1, y)", X, IDS[0])
NETS.expression("ops.masked_fill(x, y, -1e4), ops.where(y, x, 0.0), ops.select(y, x, z)", X, M, Y)
NETS.expression("ops.where(x > 0, x, y), ops.where(x > y, 1.0, 0.0)", X, Y)
NETS.expression("ops.where(x, y, z)", M, N, Q)
NETS.expression("ops.masked_fill(x, y, -1)", N, M)
NETS.expression("ops.where(x, y, z)", M, L, L + 1)
NETS.expression("ops.tril(x), ops.triu(x), ops.tril(x, 1), ops.triu(y, -1)", X, S)
NETS.expression("ops.tril(x)", N)
NETS.expression("ops.one_hot(x, 4, 1.0, 0.0), ops.one_hot(x, 4, 1.0, 0.0, 0)", IDS)
NETS.expression("ops.one_hot(x, 4, 1, 0)", IDS)
NETS.expression("ops.one_hot(x, 4)", IDS.astype(np.int64))
NETS.expression(
    "ops.eye(3, 4, ms.float32) + x, ops.ones((3, 4)) * x, ops.zeros((4,)) + x, ops.full((3, 1), 2.0) + x, ops.arange(4) + x",
    X,
)
NETS.expression(
    "ops.ones_like(x) + x, ops.zeros_like(x) + x, ops.full_like(x, 2) + x, ops.fill(ms.float32, (3, 4), 2.0) + x", X
)
NETS.expression("ops.ones_like(x), ops.zeros_like(x)", X)
NETS.expression("ops.linspace(0, 1, 4) + x, ops.arange(0, 2, 0.5) * x", X)
NETS.expression("ops.diag(x)", V)
NETS.expression("ops.diagonal(x)", X)
NETS.expression("ops.diagonal(x, 1)", X)
NETS.expression("ops.trace(x)", U(3, 3))
NETS.expression("ops.clamp(x, -1, 1), ops.clip(x, -1.0, 1.0), ops.clip_by_value(x, -1, 1)", X)
NETS.expression("ops.clamp(x, -1, 1)", N)
NETS.expression("ops.clip_by_norm(x, 1.0)", X)
NETS.expression("ops.matmul(x, y), ops.mm(x, y), x @ y", X, Y.T.copy())
NETS.expression("ops.matmul(x, y)", U(2, 1, 3, 4), U(5, 4, 2))
NETS.expression("ops.matmul(x, y)", V, U(2, 4, 3))
NETS.expression("ops.matmul(x, y)", U(2, 3, 4), V)
NETS.expression("ops.matmul(x, y)", N, N.T.copy())
NETS.expression("ops.bmm(x, y), ops.baddbmm(z, x, y)", S, T.transpose(0, 2, 1).copy(), U(2, 3, 3))
NETS.expression("ops.addmm(x, y, z, beta=0.5, alpha=2.0)", U(3, 3), X, Y.T.copy())
NETS.expression("ops.addmv(x, y, z)", U(3), X, V)
NETS.expression("ops.addr(z, x, y)", U(3), V, X)
NETS.expression("ops.addbmm(z, x, y)", S, T.transpose(0, 2, 1).copy(), U(3, 3))
NETS.expression("ops.dot(x, y)", X, Y.T.copy())
NETS.expression("ops.inner(x, y), ops.outer(z, w)", X, Y, V, X[0])
NETS.expression("ops.mv(x, y)", X, V)
NETS.expression("ops.tensor_dot(x, y, 1)", X, Y.T.copy())
NETS.expression("ops.tensor_dot(x, y, ((1,), (1,)))", X, Y)
NETS.expression("ops.kron(x, y)", X[:2, :2].copy(), Y[:2, :2].copy())
NETS.expression("ops.cross(x, y, 1)", U(3, 3), U(3, 3))
NETS.expression("ops.cdist(x, y)", X, Y)
NETS.expression("ops.einsum('ij,kj->ik', x, y)", X, Y)
NETS.expression("ops.softmax(x), ops.softmax(x, 0), ops.log_softmax(x), ops.softmin(x), ops.softmax(y, 1)", X, S)
NETS.expression("ops.softmax(x, 1)", I2)
NETS.expression("ops.log_softmax(x, 1)", I2)
NETS.expression("ops.softmax(x, 0), ops.softmax(x, -2)", S)
NETS.expression("ops.layer_norm(x, (4,), y, y)", S, V)
NETS.expression("ops.group_norm(x, 2)", I2)
NETS.expression("ops.batch_norm(x, y, z, y, z)", I2, V, np.abs(V) + 0.5)
NETS.expression("ops.rms_norm(x, y)[0]", S, V)
NETS.expression(
    "ops.elu(x), ops.celu(x, 2.0), ops.leaky_relu(x, 0.1), ops.hardtanh(x), ops.hardshrink(x), ops.softshrink(x), ops.threshold(x, 0.5, 1.0), ops.glu(x), ops.prelu(x, y)",
    X,
    np.array([0.2], np.float32),
)
NETS.expression("ops.softplus(x), ops.tanhshrink(x)", X)
NETS.expression("ops.gelu(x, approximate='none'), ops.gelu(x, approximate='tanh')", X)
NETS.expression("ops.conv2d(x, y)", I2, U(6, 4, 3, 3))
NETS.expression("ops.conv2d(x, y, pad_mode='same', stride=2)", I2, U(6, 4, 3, 3))
NETS.expression("ops.conv2d(x, y, pad_mode='pad', padding=1, groups=2)", I2, U(6, 2, 3, 3))
NETS.expression("ops.conv1d(x, y)", I1, U(6, 3, 3))
NETS.expression("ops.conv3d(x, y)", I3, U(3, 2, 2, 2, 2))
NETS.expression("ops.max_pool2d(x, 2)", I2)
NETS.expression("ops.max_pool2d(x, 3, 2, 1)", I2)
NETS.expression("ops.avg_pool2d(x, 2, 2)", I2)
NETS.expression("ops.avg_pool2d(x, 3, 2, 1)", I2)
NETS.expression("ops.avg_pool1d(x, 3, 2)", I1)
NETS.expression("ops.max_pool3d(x, 2)", I3)
NETS.expression("ops.avg_pool3d(x, 2, 2)", I3)
NETS.expression("ops.adaptive_avg_pool2d(x, 2)", I2)
NETS.expression("ops.adaptive_avg_pool2d(x, (3, 5))", I2)
NETS.expression("ops.adaptive_avg_pool2d(x, (None, 2))", I2)
NETS.expression("ops.adaptive_avg_pool1d(x, 5)", I1)
NETS.expression("ops.adaptive_avg_pool1d(x, 3)", I1)
NETS.expression("ops.adaptive_avg_pool3d(x, 2)", I3)
NETS.expression("ops.adaptive_max_pool2d(x, 4)", I2)
NETS.expression("ops.adaptive_max_pool1d(x, 5)", I1)
NETS.expression("ops.lp_pool2d(x, 2, 2)", I2)
NETS.expression("ops.interpolate(x, size=(16, 16), mode='nearest')", I2)
NETS.expression("ops.interpolate(x, size=(5, 7), mode='nearest')", I2)
NETS.expression("ops.interpolate(x, size=(16, 16), mode='bilinear')", I2)
NETS.expression("ops.interpolate(x, size=(5, 7), mode='bilinear')", I2)
NETS.expression("ops.interpolate(x, size=(16, 16), mode='bilinear', align_corners=True)", I2)
NETS.expression("ops.interpolate(x, size=20, mode='linear')", I1)
NETS.expression("ops.interpolate(x, size=20, mode='nearest')", I1)
NETS.expression("ops.interpolate(x, size=(4, 4), mode='area')", I2)
NETS.expression("ops.pixel_shuffle(x, 2), ops.pixel_unshuffle(x, 2)", I2)
NETS.expression("ops.pad(x, (1, 2)), ops.pad(x, (1, 2, 0, 1), value=1.5)", I2)
NETS.expression("ops.pad(x, (1, 2, 1, 0), 'reflect')", I2)
NETS.expression("ops.pad(x, (1, 2), 'replicate')", I1)
NETS.expression("ops.pad(x, (1, 2, 0, 1), 'circular')", I2)
NETS.expression("ops.pad(x, (-1, 2))", I2)
NETS.expression("ops.pad(x, (1, 2))", N)
NETS.expression("ops.unfold(x, 3)", I2)
NETS.expression("ops.fold(x, y, 2)", U(2, 4, 4, 9), np.array([4, 4], np.int32))
NETS.expression("ops.grid_sample(x, y)", I2, U(2, 5, 5, 2) / 3)
NETS.expression("ops.affine_grid(x, (2, 3, 4, 4))", U(2, 2, 3))
NETS.expression("ops.mse_loss(x, y), ops.l1_loss(x, y), ops.smooth_l1_loss(x, y), ops.huber_loss(x, y)", X, Y)
NETS.expression("ops.mse_loss(x, y), ops.l1_loss(x, y)", X, Y)
NETS.expression("ops.smooth_l1_loss(x, y)", X, Y)
NETS.expression("ops.huber_loss(x, y)", X, Y)
NETS.expression("ops.cross_entropy(x, y)", X, np.array([0, 3, 1], np.int32))
NETS.expression("ops.cross_entropy(x, y)", X, np.abs(Y) / 10)
NETS.expression("ops.nll_loss(ops.log_softmax(x), y)", X, np.array([0, 3, 1], np.int32))
NETS.expression("ops.binary_cross_entropy(ops.sigmoid(x), ops.sigmoid(y))", X, Y)
NETS.expression("ops.binary_cross_entropy_with_logits(x, ops.sigmoid(y))", X, Y)
NETS.expression("ops.kl_div(x, y)", X, np.abs(Y))
NETS.expression("ops.cosine_similarity(x, y)", X, Y)
NETS.expression("ops.cosine_embedding_loss(x, y, z)", X, Y, np.array([1, -1, 1], np.int32))
NETS.expression("ops.tensor_scatter_add(x, y, z)", X, np.array([[0, 1], [2, 3]], np.int32), U(2))
NETS.expression("ops.tensor_scatter_elements(x, y, z, 1)", X, np.array([[0, 1], [2, 3], [0, 1]], np.int32), U(3, 2))
NETS.expression("ops.tensor_scatter_max(x, y, z)", X, np.array([[0, 1], [2, 3]], np.int32), U(2))
NETS.expression("ops.scatter(x, 1, y, z)", X, np.array([[0, 1], [2, 3], [0, 1]], np.int32), U(3, 2))
NETS.expression("ops.index_add(x, y, z, 0)", X, np.array([0, 2], np.int32), U(2, 4))
NETS.expression("ops.index_fill(x, 0, y, 2.0)", X, np.array([0, 2], np.int32))
NETS.expression("ops.lerp(x, y, 0.3), ops.addcmul(x, y, x, 0.5), ops.addcdiv(x, y, y, 2.0)", X, np.abs(Y) + 0.5)
NETS.expression("ops.searchsorted(x, y)", np.sort(X), Y)
NETS.expression("ops.bucketize(x, [0.0, 1.0])", X)
NETS.expression("ops.histc(x, 4)", X)
NETS.expression("ops.bincount(x)", IDS[0])
NETS.expression(
    "ops.cast(x, ms.float16), ops.cast(x, ms.int32), ops.cast(x, ms.bool_), ops.cast(x, ms.int64), ops.cast(x, ms.float64)",
    X,
)
NETS.expression("ops.cast(x, ms.uint8), ops.cast(x, ms.int8), ops.cast(x, ms.int16)", np.abs(X))
NETS.expression("x.astype(ms.float32) / 255", DRAW.randint(0, 255, (3, 4)).astype(np.uint8))
NETS.expression("x.astype(ms.float32) / 127", DRAW.randint(-100, 100, (3, 4)).astype(np.int8))
NETS.expression("x + 1, x.astype(ms.int32)", DRAW.randint(0, 100, (3, 4)).astype(np.uint8))
NETS.expression("x + 1, x * x", DRAW.randint(0, 100, (3, 4)).astype(np.float64))
NETS.expression("ops.isclose(x, y), ops.equal(x, y)", X, X)
NETS.expression("ops.equal(x, y), x == y, x != y", N, Q)
NETS.expression("ops.nan_to_num(x)", np.array([[1, np.nan, np.inf], [-np.inf, 0, 2]], np.float32))
NETS.expression(
    "ops.isnan(x), ops.isinf(x), ops.isfinite(x)", np.array([[1, np.nan, np.inf], [-np.inf, 0, 2]], np.float32)
)
NETS.expression("ops.max(x)[0]", X)
NETS.expression("ops.addn([x, y, x])", X, Y)
NETS.expression("ops.accumulate_n([x, y])", X, Y)
NETS.expression("ops.batch_to_space_nd(x, [2, 2], [[0, 0], [0, 0]])", U(4, 1, 2, 2))
NETS.expression("ops.space_to_batch_nd(x, [2, 2], [[0, 0], [0, 0]])", U(1, 1, 4, 4))
NETS.expression("ops.pixel_shuffle(x, 2)", I2)
NETS.expression("ops.block_diag(x, y)", X, Y)
NETS.expression("ops.dropout(x, training=False)", X)
NETS.expression("ops.flatten(x), ops.flatten(x, start_dim=2)", I2)
NETS.expression("ops.unsqueeze(x, 0) * ops.unsqueeze(y, 1)", X, Y)
NETS.expression("ops.argmin(x)", N)
NETS.expression("ops.argmax(x)", N)
NETS.expression("ops.heaviside(x, y)", X, Y)
NETS.expression("ops.diff(x)", V)
NETS.expression("ops.cov(x)", X)
NETS.expression("ops.aminmax(x)", X)
NETS.expression("ops.renorm(x, 2, 0, 1.0)", X)
NETS.expression("ops.rot90(x, 2, (0, 1)), ops.swapaxes(x, 0, 1), ops.swapdims(x, 0, 1), ops.t(x), ops.adjoint(x)", X)
NETS.expression("ops.dense(x, y, z)", S, X, U(3))
NETS.expression("ops.bidense(x, y, z)", X, Y, U(2, 4, 4))
NETS.expression("ops.bias_add(x, y)", X, V)
NETS.expression("ops.bias_add(x, y)", I2, V)
NETS.expression("ops.bias_add(x, y)", U(2, 4, 5), V)
