# ruff: noqa: E501  (a net per line)
"""Functions of mindspore.ops, and indices.

NETS = {name: (what the net is, inputs..., options)}: "name = a cell; ... -> what construct returns of x, y, z".
"""

import numpy as np

D = np.random.RandomState(12)


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
N[0, 0] = 0
Q = D.randint(1, 5, (3, 4)).astype(np.int32)
L = N.astype(np.int64)
M = X > 0
IDS = np.array([[2, 0, 1], [1, 1, 2]], np.int32)
V = U(4)
u = U(3, 4) / 3.1
NETS = {}


def n(name, *a):
    NETS[name] = a


def e(expr, *a):
    key = "o_" + "".join(c if c.isalnum() else "_" for c in expr)[:60]
    while key in NETS:
        key += "2"
    NETS[key] = (" -> " + expr, *a)


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
    "exp",
    "expm1",
    "floor",
    "log",
    "log1p",
    "log2",
    "log10",
    "neg",
    "reciprocal",
    "relu",
    "relu6",
    "round",
    "rsqrt",
    "sigmoid",
    "sign",
    "sqrt",
    "square",
    "trunc",
    "isfinite",
    "isinf",
    "isnan",
    "softsign",
    "mish",
    "hardswish",
    "silu",
    "gelu",
    "selu",
    "hardsigmoid",
    "logsigmoid",
    "rad2deg",
    "deg2rad",
    "positive",
]:
    e(
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
    e(f"ops.{f}(x) + 0", N)
e("ops.abs(x), ops.neg(x), ops.sign(x), x * x, x + x, x - 3", L)
for f in [
    "add",
    "sub",
    "mul",
    "div",
    "maximum",
    "minimum",
    "floor_div",
    "floor_mod",
    "pow",
    "atan2",
    "hypot",
    "fmod",
    "logaddexp",
    "squared_difference",
    "xlogy",
    "bitwise_and",
    "bitwise_or",
    "bitwise_xor",
    "less",
    "greater",
    "equal",
    "ne",
    "le",
    "ge",
    "true_divide",
    "truncate_div",
    "truncate_mod",
    "copysign",
    "heaviside",
    "nextafter",
    "inner",
    "ldexp",
]:
    if not f.startswith("bitwise"):
        e(f"ops.{f}(x, y)", np.abs(X), np.abs(Y) + 0.5)
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
        e(f"ops.{f}(x, y) ", N, Q)
e("ops.floor_div(x, y), ops.floor_mod(x, y), x // y, x % y, ops.fmod(x, y)", X, Y)
e("x // y, x % y, x / y, x * y, x ** 2", L, Q.astype(np.int64))
e("x // 3, x % 3, x // -3, x % -3, x / 3", N)
e("ops.logical_and(x, y), ops.logical_or(x, y), ops.logical_not(x), ops.logical_xor(x, y), x == y, x != y", M, ~M[::-1])
e("x & y, x | y, x ^ y, ~x", M, ~M[::-1])
e("x.astype(ms.int32) + y.astype(ms.int32), x * 2, x + 1", M, M)
e("ops.sum(x), ops.sum(x, 1), ops.sum(x, (0, 2), True)", S)
e("ops.mean(x), ops.mean(x, 1), ops.mean(x, (0, 2), True)", S)
e("ops.prod(x), ops.prod(x, 1), ops.prod(x, 2, True)", P)
e("ops.max(x), ops.min(x)", S)
e("ops.max(x, 1), ops.min(x, 2, True)", S)
e("ops.argmax(x), ops.argmin(x, 1), ops.argmax(x, 0)", X)
e("ops.argmax(x, dim=1, keepdim=True)", X)
e("ops.amax(x), ops.amin(x, (0, 2)), ops.amax(x, 0, keepdims=True)", S)
e("ops.std(x), ops.var(x, 1), ops.std(x, 0, 0), ops.var(x, (0,1), 1, True)", S)
e("ops.var_mean(x, 1), ops.std_mean(x, 0)", S)
e("ops.logsumexp(x, 1), ops.logsumexp(x, (0,1), True)", S)
e("ops.any(x), ops.all(x), ops.any(x, 1), ops.all(x, 0, True)", M)
e("ops.norm(x), ops.norm(x, 1, 1), ops.norm(x, float('inf'), 0)", X)
e("ops.norm(x, 3, 1)", X)
e("ops.norm(x, dim=1, keepdim=True)", X)
e("ops.cumsum(x, 1), ops.cumsum(x, 0), ops.cumsum(x, -1)", S)
e("ops.cumsum(x, 1)", N)
e("ops.cumprod(x, 1)", X)
e("ops.cummax(x, 1)", X)
e("ops.median(x)", X)
e("ops.median(x, 1)", X)
e("ops.sum(x), ops.sum(x, 1), ops.max(x), ops.min(x)", N)
e("ops.sum(x, 1), x.max(), x.min(1), x.mean()", L)
e("ops.topk(x, 2), ops.topk(x, 2, 0), ops.topk(x, 2, largest=False)", X)
e("ops.topk(x, 2)", N)
e("ops.sort(x), ops.argsort(x), ops.sort(x, 0, True)", X)
e("ops.reverse(x, [1]), ops.flip(x, (0, 1)), ops.fliplr(x), ops.flipud(x)", X)
e("ops.roll(x, 1), ops.roll(x, (1, -1), (0, 1)), ops.roll(x, 2, 1)", X)
e("ops.rot90(x, 1, (0, 1))", X)
e(
    "ops.concat((x, y), 1), ops.stack((x, y)), ops.hstack((x, y)), ops.vstack((x, y)), ops.dstack((x, y)), ops.column_stack((x, y))",
    X,
    Y,
)
e("ops.concat((x, y, x), -1), ops.stack((x, y), -1)", X, Y)
e("ops.concat((x, y), 1), ops.stack((x, y))", N, Q)
e("ops.concat((x, y), 1)", M, ~M)
e("ops.stack((x, y))", M, ~M)
e("ops.cat((x, y), 1)", L, L)
e("ops.split(x, 2, 1), ops.split(x, (1, 3), 1), ops.chunk(x, 2, 1)", X)
e("ops.tensor_split(x, 2, 1)", X)
e("ops.tensor_split(x, (1, 3), 1)", X)
e("ops.split(x, 3, 1)", X)
e("ops.chunk(x, 3, 1)", X)
e("ops.hsplit(x, 2), ops.vsplit(x, 3)", X)
e("ops.unbind(x, 1), ops.unstack(x, 0)", X)
e("ops.split(x, 2, 1)", N)
e("ops.split(x, 2, 1)", M)
e("ops.unbind(x, 1)", N)
e("ops.reshape(x, (4, 3)), x.view(-1), x.reshape(2, -1), x.ravel(), x.flatten()", X)
e("x.reshape(4, 3), x.T, x.expand_dims(0), ops.squeeze(y), ops.tile(x, (2, 1)), ops.flip(x, (1,))", N, N[None])
e("x.reshape(4, 3), x.T, x.expand_dims(0), ops.tile(x, (2, 1)), ops.broadcast_to(x, (2, 3, 4))", M)
e("x.reshape(4, 3), x.T, x.expand_dims(0), ops.tile(x, (2, 1)), ops.broadcast_to(x, (2, 3, 4))", L)
e("ops.transpose(x, (2, 0, 1)), ops.permute(x, (1, 0, 2)), x.swapaxes(0, 2), ops.movedim(x, 0, 2), x.transpose()", S)
e("ops.expand_dims(x, 0), ops.expand_dims(x, -1), ops.unsqueeze(x, 1), x[None], x[:, None]", X)
e("ops.squeeze(x), ops.squeeze(x, 0), ops.squeeze(x, (0, 2))", S[:1, :, :1])
e("ops.broadcast_to(x, (2, 3, 4)), x.expand(2, 3, 4), ops.tile(x, (2, 2)), x.repeat(2)", X)
e("ops.repeat_interleave(x, 2, 0), ops.repeat_elements(x, 3, 1)", X)
e("ops.repeat_interleave(x, 2, 0)", N)
e("ops.broadcast_to(x, (-1, 5, 4))", X[:1])
e("ops.meshgrid(x, y)", V, X[0, :3].copy())
e("ops.gather(x, y, 0), ops.gather(x, y, 1), x[y]", X, IDS[0])
e("ops.gather(x, y, 0)", X, IDS)
e("ops.gather(x, y, 1, 1)", U(2, 3, 4), IDS)
e("ops.gather(x, y, 0)", N, IDS)
e("ops.gather(x, y, 0)", M, IDS)
e("ops.gather(x, y, 0)", X, IDS.astype(np.int64))
e("ops.gather(x, y, 0)", X, np.int32(1))
e("ops.gather_elements(x, 1, y)", X, N % 3)
e("ops.gather_elements(x, 1, y)", N, N % 3)
e("ops.gather_elements(x, 1, y)", X, L % 3)
e("ops.gather_nd(x, y)", X, np.array([[0, 1], [2, 3]], np.int32))
e("ops.gather_nd(x, y)", S, np.array([[0, 1], [1, 2]], np.int32))
e("ops.gather_nd(x, y)", N, np.array([[0, 1], [2, 3]], np.int32))
e("ops.index_select(x, 1, y)", X, IDS[0])
e("ops.masked_fill(x, y, -1e4), ops.where(y, x, 0.0), ops.select(y, x, z)", X, M, Y)
e("ops.where(x > 0, x, y), ops.where(x > y, 1.0, 0.0)", X, Y)
e("ops.where(x, y, z)", M, N, Q)
e("ops.masked_fill(x, y, -1)", N, M)
e("ops.where(x, y, z)", M, L, L + 1)
e("ops.tril(x), ops.triu(x), ops.tril(x, 1), ops.triu(y, -1)", X, S)
e("ops.tril(x)", N)
e("ops.one_hot(x, 4, 1.0, 0.0), ops.one_hot(x, 4, 1.0, 0.0, 0)", IDS)
e("ops.one_hot(x, 4, 1, 0)", IDS)
e("ops.one_hot(x, 4)", IDS.astype(np.int64))
e(
    "ops.eye(3, 4, ms.float32) + x, ops.ones((3, 4)) * x, ops.zeros((4,)) + x, ops.full((3, 1), 2.0) + x, ops.arange(4) + x",
    X,
)
e("ops.ones_like(x) + x, ops.zeros_like(x) + x, ops.full_like(x, 2) + x, ops.fill(ms.float32, (3, 4), 2.0) + x", X)
e("ops.ones_like(x), ops.zeros_like(x)", X)
e("ops.linspace(0, 1, 4) + x, ops.arange(0, 2, 0.5) * x", X)
e("ops.diag(x)", V)
e("ops.diagonal(x)", X)
e("ops.diagonal(x, 1)", X)
e("ops.trace(x)", U(3, 3))
e("ops.clamp(x, -1, 1), ops.clip(x, -1.0, 1.0), ops.clip_by_value(x, -1, 1)", X)
e("ops.clamp(x, -1, 1)", N)
e("ops.clip_by_norm(x, 1.0)", X)
e("ops.matmul(x, y), ops.mm(x, y), x @ y", X, Y.T.copy())
e("ops.matmul(x, y)", U(2, 1, 3, 4), U(5, 4, 2))
e("ops.matmul(x, y)", V, U(2, 4, 3))
e("ops.matmul(x, y)", U(2, 3, 4), V)
e("ops.matmul(x, y)", N, N.T.copy())
e("ops.bmm(x, y), ops.baddbmm(z, x, y)", S, T.transpose(0, 2, 1).copy(), U(2, 3, 3))
e("ops.addmm(x, y, z, beta=0.5, alpha=2.0)", U(3, 3), X, Y.T.copy())
e("ops.addmv(x, y, z)", U(3), X, V)
e("ops.addr(z, x, y)", U(3), V, X)
e("ops.addbmm(z, x, y)", S, T.transpose(0, 2, 1).copy(), U(3, 3))
e("ops.dot(x, y)", X, Y.T.copy())
e("ops.inner(x, y), ops.outer(z, w)", X, Y, V, X[0])
e("ops.mv(x, y)", X, V)
e("ops.tensor_dot(x, y, 1)", X, Y.T.copy())
e("ops.tensor_dot(x, y, ((1,), (1,)))", X, Y)
e("ops.kron(x, y)", X[:2, :2].copy(), Y[:2, :2].copy())
e("ops.cross(x, y, 1)", U(3, 3), U(3, 3))
e("ops.cdist(x, y)", X, Y)
e("ops.einsum('ij,kj->ik', x, y)", X, Y)
e("ops.softmax(x), ops.softmax(x, 0), ops.log_softmax(x), ops.softmin(x), ops.softmax(y, 1)", X, S)
e("ops.softmax(x, 1)", I2)
e("ops.log_softmax(x, 1)", I2)
e("ops.softmax(x, 0), ops.softmax(x, -2)", S)
e("ops.layer_norm(x, (4,), y, y)", S, V)
e("ops.group_norm(x, 2)", I2)
e("ops.batch_norm(x, y, z, y, z)", I2, V, np.abs(V) + 0.5)
e("ops.rms_norm(x, y)[0]", S, V)
e(
    "ops.elu(x), ops.celu(x, 2.0), ops.leaky_relu(x, 0.1), ops.hardtanh(x), ops.hardshrink(x), ops.softshrink(x), ops.threshold(x, 0.5, 1.0), ops.glu(x), ops.prelu(x, y)",
    X,
    np.array([0.2], np.float32),
)
e("ops.softplus(x), ops.tanhshrink(x)", X)
e("ops.gelu(x, approximate='none'), ops.gelu(x, approximate='tanh')", X)
e("ops.conv2d(x, y)", I2, U(6, 4, 3, 3))
e("ops.conv2d(x, y, pad_mode='same', stride=2)", I2, U(6, 4, 3, 3))
e("ops.conv2d(x, y, pad_mode='pad', padding=1, groups=2)", I2, U(6, 2, 3, 3))
e("ops.conv1d(x, y)", I1, U(6, 3, 3))
e("ops.conv3d(x, y)", I3, U(3, 2, 2, 2, 2))
e("ops.max_pool2d(x, 2)", I2)
e("ops.max_pool2d(x, 3, 2, 1)", I2)
e("ops.avg_pool2d(x, 2, 2)", I2)
e("ops.avg_pool2d(x, 3, 2, 1)", I2)
e("ops.avg_pool1d(x, 3, 2)", I1)
e("ops.max_pool3d(x, 2)", I3)
e("ops.avg_pool3d(x, 2, 2)", I3)
e("ops.adaptive_avg_pool2d(x, 2)", I2)
e("ops.adaptive_avg_pool2d(x, (3, 5))", I2)
e("ops.adaptive_avg_pool2d(x, (None, 2))", I2)
e("ops.adaptive_avg_pool1d(x, 5)", I1)
e("ops.adaptive_avg_pool1d(x, 3)", I1)
e("ops.adaptive_avg_pool3d(x, 2)", I3)
e("ops.adaptive_max_pool2d(x, 4)", I2)
e("ops.adaptive_max_pool1d(x, 5)", I1)
e("ops.lp_pool2d(x, 2, 2)", I2)
e("ops.interpolate(x, size=(16, 16), mode='nearest')", I2)
e("ops.interpolate(x, size=(5, 7), mode='nearest')", I2)
e("ops.interpolate(x, size=(16, 16), mode='bilinear')", I2)
e("ops.interpolate(x, size=(5, 7), mode='bilinear')", I2)
e("ops.interpolate(x, size=(16, 16), mode='bilinear', align_corners=True)", I2)
e("ops.interpolate(x, size=20, mode='linear')", I1)
e("ops.interpolate(x, size=20, mode='nearest')", I1)
e("ops.interpolate(x, size=(4, 4), mode='area')", I2)
e("ops.pixel_shuffle(x, 2), ops.pixel_unshuffle(x, 2)", I2)
e("ops.pad(x, (1, 2)), ops.pad(x, (1, 2, 0, 1), value=1.5)", I2)
e("ops.pad(x, (1, 2, 1, 0), 'reflect')", I2)
e("ops.pad(x, (1, 2), 'replicate')", I1)
e("ops.pad(x, (1, 2, 0, 1), 'circular')", I2)
e("ops.pad(x, (-1, 2))", I2)
e("ops.pad(x, (1, 2))", N)
e("ops.unfold(x, 3)", I2)
e("ops.fold(x, y, 2)", U(2, 4, 4, 9), np.array([4, 4], np.int32))
e("ops.grid_sample(x, y)", I2, U(2, 5, 5, 2) / 3)
e("ops.affine_grid(x, (2, 3, 4, 4))", U(2, 2, 3))
e("ops.mse_loss(x, y), ops.l1_loss(x, y), ops.smooth_l1_loss(x, y), ops.huber_loss(x, y)", X, Y)
e("ops.mse_loss(x, y), ops.l1_loss(x, y)", X, Y)
e("ops.smooth_l1_loss(x, y)", X, Y)
e("ops.huber_loss(x, y)", X, Y)
e("ops.cross_entropy(x, y)", X, np.array([0, 3, 1], np.int32))
e("ops.cross_entropy(x, y)", X, np.abs(Y) / 10)
e("ops.nll_loss(ops.log_softmax(x), y)", X, np.array([0, 3, 1], np.int32))
e("ops.binary_cross_entropy(ops.sigmoid(x), ops.sigmoid(y))", X, Y)
e("ops.binary_cross_entropy_with_logits(x, ops.sigmoid(y))", X, Y)
e("ops.kl_div(x, y)", X, np.abs(Y))
e("ops.cosine_similarity(x, y)", X, Y)
e("ops.cosine_embedding_loss(x, y, z)", X, Y, np.array([1, -1, 1], np.int32))
e("ops.tensor_scatter_add(x, y, z)", X, np.array([[0, 1], [2, 3]], np.int32), U(2))
e("ops.tensor_scatter_elements(x, y, z, 1)", X, np.array([[0, 1], [2, 3], [0, 1]], np.int32), U(3, 2))
e("ops.tensor_scatter_max(x, y, z)", X, np.array([[0, 1], [2, 3]], np.int32), U(2))
e("ops.scatter(x, 1, y, z)", X, np.array([[0, 1], [2, 3], [0, 1]], np.int32), U(3, 2))
e("ops.index_add(x, y, z, 0)", X, np.array([0, 2], np.int32), U(2, 4))
e("ops.index_fill(x, 0, y, 2.0)", X, np.array([0, 2], np.int32))
e("ops.lerp(x, y, 0.3), ops.addcmul(x, y, x, 0.5), ops.addcdiv(x, y, y, 2.0)", X, np.abs(Y) + 0.5)
e("ops.searchsorted(x, y)", np.sort(X), Y)
e("ops.bucketize(x, [0.0, 1.0])", X)
e("ops.histc(x, 4)", X)
e("ops.bincount(x)", IDS[0])
e(
    "ops.cast(x, ms.float16), ops.cast(x, ms.int32), ops.cast(x, ms.bool_), ops.cast(x, ms.int64), ops.cast(x, ms.float64)",
    X,
)
e("ops.cast(x, ms.uint8), ops.cast(x, ms.int8), ops.cast(x, ms.int16)", np.abs(X))
e("x.astype(ms.float32) / 255", D.randint(0, 255, (3, 4)).astype(np.uint8))
e("x.astype(ms.float32) / 127", D.randint(-100, 100, (3, 4)).astype(np.int8))
e("x + 1, x.astype(ms.int32)", D.randint(0, 100, (3, 4)).astype(np.uint8))
e("x + 1, x * x", D.randint(0, 100, (3, 4)).astype(np.float64))
e("ops.isclose(x, y), ops.equal(x, y)", X, X)
e("ops.equal(x, y), x == y, x != y", N, Q)
e("ops.nan_to_num(x)", np.array([[1, np.nan, np.inf], [-np.inf, 0, 2]], np.float32))
e("ops.isnan(x), ops.isinf(x), ops.isfinite(x)", np.array([[1, np.nan, np.inf], [-np.inf, 0, 2]], np.float32))
e("ops.max(x)[0]", X)
e("ops.shape(x)[0] * x, x.shape[1] + x, ops.rank(x) * x, ops.size(x) * x", X)
e("x[0], x[1:], x[:, ::2], x[..., -1], x[:, 1], x[0, 2], x[-1], x[::2, 1:3]", X)
e("x[:, ::-1]", X)
e("x[None, ..., None]", X)
e("x[x > 0]", X)
e("x[y]", X, IDS)
e("x[:, y]", X, IDS[0])
e("x[y, z]", X, IDS[0], IDS[1])
e("x[[0, 2]]", X)
e("x[y]", X, np.array([True, False, True]))
e("ops.strided_slice(x, (0, 1), (3, 4), (2, 2)), ops.slice(x, (0, 1), (2, 3))", X)
e("ops.addn([x, y, x])", X, Y)
e("ops.accumulate_n([x, y])", X, Y)
e("ops.batch_to_space_nd(x, [2, 2], [[0, 0], [0, 0]])", U(4, 1, 2, 2))
e("ops.space_to_batch_nd(x, [2, 2], [[0, 0], [0, 0]])", U(1, 1, 4, 4))
e("ops.pixel_shuffle(x, 2)", I2)
e("ops.block_diag(x, y)", X, Y)
e("ops.dropout(x, training=False)", X)
e("ops.flatten(x), ops.flatten(x, start_dim=2)", I2)
e("ops.unsqueeze(x, 0) * ops.unsqueeze(y, 1)", X, Y)
e("ops.argmin(x)", N)
e("ops.argmax(x)", N)
e("ops.heaviside(x, y)", X, Y)
e("ops.diff(x)", V)
e("ops.cov(x)", X)
e("ops.aminmax(x)", X)
e("ops.renorm(x, 2, 0, 1.0)", X)
e("ops.rot90(x, 2, (0, 1)), ops.swapaxes(x, 0, 1), ops.swapdims(x, 0, 1), ops.t(x), ops.adjoint(x)", X)
e("ops.dense(x, y, z)", S, X, U(3))
e("ops.bidense(x, y, z)", X, Y, U(2, 4, 4))
e("ops.bias_add(x, y)", X, V)
e("ops.bias_add(x, y)", I2, V)
e("ops.bias_add(x, y)", U(2, 4, 5), V)
