# ruff: noqa: E501  (a net per line)
"""The same nets with other sizes, dtypes, inputs and outputs. values.py says how a net is written."""

import numpy as np
from newer.values import U

NETS = {}
# base nets: (text, input shape)
BASE = {
    "dense": ("d = nn.Dense(4, 6) -> self.d({x})", (3, 4)),
    "mlp": (
        "a = nn.Dense(4, 8); b = nn.Dense(8, 4); n = nn.LayerNorm((4,)) -> self.n({x} + self.b(ops.gelu(self.a({x}))))",
        (3, 4),
    ),
    "mintmlp": (
        "a = mint.nn.Linear(4, 8); b = mint.nn.Linear(8, 4); n = mint.nn.LayerNorm(4) -> self.n({x} + self.b(F.silu(self.a({x}))))",
        (2, 3, 4),
    ),
    "conv": ("c = nn.Conv2d(3, 4, 3, has_bias=True); r = nn.ReLU() -> self.r(self.c({x}))", (2, 3, 8, 8)),
    "convbn": (
        "c = nn.Conv2d(3, 4, 3); b = nn.BatchNorm2d(4); p = nn.MaxPool2d(2, 2) -> self.p(self.b(self.c({x})))",
        (2, 3, 8, 8),
    ),
    "softmax": (" -> ops.softmax({x}, -1)", (3, 4)),
    "softmax1": (" -> ops.softmax({x}, 1)", (2, 3, 4)),
    "layernorm": ("n = nn.LayerNorm((4,)) -> self.n({x})", (2, 3, 4)),
    "rms": (" -> {x} * ops.rsqrt(ops.mean(ops.square({x}), -1, True) + 1e-6)", (2, 3, 4)),
    "reduce": (" -> ({x}.sum(), {x}.max(), {x}.mean(1), {x}.min(0))", (3, 4)),
    "argmax": (" -> (ops.argmax({x}, 1), ops.argmax({x}))", (3, 4)),
    "transpose": (" -> {x}.transpose(1, 0) * 2", (3, 4)),
    "transp_only": (" -> {x}.transpose(1, 0)", (3, 4)),
    "reshape": (" -> {x}.reshape(-1)", (3, 4)),
    "reshape2": (" -> {x}.reshape({x}.shape[0], -1)", (2, 3, 4)),
    "heads": (" -> {x}.reshape({x}.shape[0], {x}.shape[1], 2, 2).transpose(0, 2, 1, 3)", (2, 3, 4)),
    "concat": (" -> ops.cat(({x}, {x} * 2), 0)", (3, 4)),
    "concat1": (" -> ops.cat(({x}, {x}), 1)", (3, 4)),
    "stack": (" -> ops.stack(({x}, {x}), 0)", (3, 4)),
    "split": (" -> ops.split({x}, 2, 1)", (3, 4)),
    "slice": (" -> {x}[:, 1:3] + {x}[:, :2]", (3, 4)),
    "slice0": (" -> {x}[:1] * {x}", (3, 4)),
    "self_attn": (" -> ops.matmul(ops.softmax(ops.matmul({x}, {x}.transpose(0, 2, 1)) / 2.0, -1), {x})", (2, 3, 4)),
    "tanh": (" -> ops.tanh({x})", (3, 4)),
    "gelu": (" -> ops.gelu({x})", (3, 4)),
    "sigmoid_mul": (" -> {x} * ops.sigmoid({x})", (3, 4)),
    "relu_mm": (
        "w = Parameter(Tensor(np.random.randn(4, 4).astype(np.float32)), name='w') -> ops.relu(ops.matmul({x}, self.w)) + {x}",
        (3, 4),
    ),
    "where": (" -> ops.where({x} > 0, {x}, ops.zeros_like({x}))", (3, 4)),
    "topk": (" -> ops.topk({x}, 1)", (3, 4)),
    "cumsum": (" -> ops.cumsum({x}, 1)", (3, 4)),
    "var": (" -> ops.var({x}, 1)", (3, 4)),
    "pow": (" -> {x} ** 2 + {x} ** 3", (3, 4)),
    "exp": (" -> ops.exp({x}) - ops.log(ops.abs({x}) + 1)", (3, 4)),
    "expand": (" -> ops.expand_dims({x}, 1) - ops.expand_dims({x}, 0)", (3, 4)),
    "tile": (" -> ops.tile({x}, (2, 3))", (3, 4)),
    "bcast": (" -> {x} * {x}[:, :1] + {x}[0]", (3, 4)),
    "mask": (" -> ops.masked_fill({x}, {x} > 1, 0.0)", (3, 4)),
    "cast": (" -> {x}.astype(ms.int32).astype(ms.float32) + {x}", (3, 4)),
    "squeeze": (" -> ops.squeeze({x}.expand_dims(1), 1)", (3, 4)),
    "flatten": ("f = nn.Flatten() -> self.f({x})", (2, 3, 4)),
    "gap": (" -> {x}.mean((2, 3))", (2, 3, 8, 8)),
    "avg": ("p = nn.AvgPool2d(2, 2) -> self.p({x})", (2, 3, 8, 8)),
    "norm": (" -> {x} / ops.norm({x}, dim=1, keepdim=True)", (3, 4)),
    "flip": (" -> ops.flip({x}, (1,))", (3, 4)),
    "clamp": (" -> ops.clamp({x}, -1, 1)", (3, 4)),
    "logsm": (" -> ops.log_softmax({x}, -1)", (3, 4)),
    "gn": ("g = nn.GroupNorm(1, 3) -> self.g({x})", (2, 3, 4, 4)),
    "pad": (" -> ops.pad({x}, (1, 1))", (3, 4)),
    "glu": (" -> ops.glu({x})", (3, 4)),
    "std": (" -> ops.std({x}, 1)", (3, 4)),
}
for k, (t, shape) in list(BASE.items()):
    setup, _, expr = t.rpartition(" -> ")
    plain = t.replace("{x}", "x")
    x = U(*shape)
    e = expr.replace("{x}", "x")
    NETS[k + "_also"] = (f"{setup} -> ({e}, x)", x)
    NETS[k + "_twice"] = (f"{setup} -> u = {e}; v = {e}; (u, v)", x)
    one = U(*[1 if (i == 0 or len(shape) == 2 and False) else d for i, d in enumerate(shape)])
    NETS[k + "_b1"] = (plain, one)
    NETS[k + "_b0"] = (plain, np.zeros((0, *shape[1:]), np.float32))
    NETS[k + "_open"] = (plain, x, {"open": [(None, *shape[1:])]})
    NETS[k + "_half"] = (plain, x.astype(np.float16), {"half": True})

    if len(shape) == 3:
        NETS[k + "_open2"] = (plain, x, {"open": [(None, None, *shape[2:])]})
for k in (
    "dense",
    "mlp",
    "mintmlp",
    "softmax",
    "layernorm",
    "rms",
    "reduce",
    "transpose",
    "concat",
    "split",
    "tanh",
    "gelu",
    "relu_mm",
    "where",
    "exp",
    "bcast",
    "cast",
    "clamp",
    "self_attn",
    "mask",
    "slice",
    "sigmoid_mul",
    "conv",
):
    t, shape = BASE[k]
    NETS[k + "_bf16"] = (
        t.replace("{x}", "x")
        .replace("nn.Dense(", "nn.Dense(")
        .replace("np.float32)), name", "np.float32)).astype(ms.bfloat16), name"),
        U(*shape),
        {"bf16": (0,), "half_bf": True},
    )
ONES = {
    "dense": (1, 1),
    "softmax": (1, 1),
    "reduce": (1, 1),
    "argmax": (1, 1),
    "transpose": (1, 1),
    "reshape": (1, 1),
    "concat": (1, 1),
    "stack": (1, 1),
    "layernorm": (1, 1, 1),
    "rms": (1, 1, 1),
    "self_attn": (1, 1, 1),
    "topk": (1, 1),
    "cumsum": (1, 1),
    "var": (2, 1),
    "expand": (1, 1),
    "tile": (1, 1),
    "bcast": (1, 1),
    "gap": (1, 1, 1, 1),
    "norm": (1, 1),
    "flip": (1, 1),
    "logsm": (1, 1),
    "squeeze": (1, 1),
    "transp_only": (1, 1),
    "where": (1, 1),
    "reshape2": (1, 1, 1),
    "softmax1": (1, 1, 1),
    "clamp": (1, 1),
    "flatten": (1, 1, 1),
    "pad": (1, 1),
}
for k, shape in ONES.items():
    t, _ = BASE[k]
    NETS[k + "_ones"] = (
        t.replace("{x}", "x").replace("nn.Dense(4,", "nn.Dense(1,").replace("LayerNorm((4,))", "LayerNorm((1,))"),
        U(*shape),
    )
# 1-d and 0-d
NETS["v_sum"] = (" -> x.sum()", U(1))
NETS["v_sum5"] = (" -> (x.sum(), x.max(), x.mean(), x.min(), ops.argmax(x))", U(5))
NETS["s_add"] = (" -> x + 1", np.float32(2))
NETS["s_mul"] = (" -> (x * x, ops.exp(x), x)", np.float32(2))
NETS["s_bcast"] = (" -> x * y", np.float32(2), U(3, 4))
NETS["s_expand"] = (" -> x.expand_dims(0)", np.float32(2))
NETS["s_reshape"] = (" -> x.reshape(1, 1)", np.float32(2))
NETS["s_stack"] = (" -> ops.stack((x, y))", np.float32(2), np.float32(3))
NETS["s_int"] = (" -> x + 1", np.int32(2))
NETS["s_bool"] = (" -> ops.logical_not(x)", np.bool_(True))
NETS["ident"] = (" -> x", U(3, 4))
NETS["ident2"] = (" -> (x, x)", U(3, 4))
NETS["swap"] = (" -> (y, x)", U(3, 4), U(2))
NETS["unused"] = (" -> x * 2", U(3, 4), U(2))
NETS["const_out"] = (" -> (x, ops.ones((2, 2)))", U(3, 4))
NETS["const_out2"] = (" -> (x * 2, ops.arange(3))", U(3, 4))
NETS["param_out"] = ("w = Parameter(Tensor(np.ones((2, 2), np.float32)), name='w') -> (x * 2, self.w)", U(3, 4))
NETS["param_out2"] = (
    "w = Parameter(Tensor(np.ones((2, 2), np.float32)), name='w') -> (x * 2, self.w + 0, self.w * self.w)",
    U(3, 4),
)
NETS["param_only"] = (
    "w = Parameter(Tensor(np.ones((2, 2), np.float32)), name='w') -> (x * 2, ops.matmul(self.w, self.w))",
    U(3, 4),
)
NETS["three"] = (" -> x + y * z", U(3, 4), U(4), U(3, 1))
NETS["same_in"] = (" -> ops.matmul(x, x)", U(4, 4))
NETS["x_minus_x"] = (" -> (x - x, x / x, x * x, x + x)", U(3, 4))
NETS["cmp_self"] = (" -> (x == x, x > x)", U(3, 4))
NETS["max_self"] = (" -> ops.maximum(x, x)", U(3, 4))
NETS["addn_self"] = (" -> ops.addn([x, x, x])", U(3, 4))
NETS["where_self"] = (" -> ops.where(x > 0, x, x)", U(3, 4))
NETS["stack_self"] = (" -> ops.stack((x, x, x))", U(3, 4))
NETS["gather_self"] = (" -> ops.gather(x, x, 0)", np.array([1, 0, 2], np.int32))
NETS["nested"] = (" -> ((x, (x * 2, x + 1)), [x - 1])", U(3, 4))
# magnitudes
big = np.array([[-1e4, -300, -100, -30], [-10, -1e-3, 0, 1e-3], [10, 30, 100, 1e4]], np.float32)
for f in [
    "tanh",
    "sigmoid",
    "gelu",
    "silu",
    "erf",
    "exp",
    "softplus_",
    "log_sigmoid",
    "relu6",
    "hardswish",
    "mish",
    "elu",
    "selu",
    "softsign",
    "sin",
    "cos",
]:
    g = {"softplus_": "ops.softplus", "log_sigmoid": "F.logsigmoid"}.get(f, "ops." + f)
    NETS["big_" + f] = (f" -> {g}(x)", big if f not in ("exp",) else np.minimum(big, 80))
NETS["big_sin"] = (" -> ops.sin(x)", np.array([0.1, 3.2, 10, 50, 100, 1000, -1000], np.float32))
NETS["big_cos"] = (" -> ops.cos(x)", np.array([0.1, 3.2, 10, 50, 100, 1000, -1000], np.float32))
NETS["big_softmax"] = (" -> (ops.softmax(x), ops.log_softmax(x), ops.softmax(x, 0))", big)
NETS["big_lse"] = (" -> ops.logsumexp(x, 1)", big)
NETS["big_ln"] = ("n = nn.LayerNorm((4,)) -> self.n(x)", big)
NETS["small_ln"] = ("n = nn.LayerNorm((4,)) -> self.n(x)", big * 1e-8)
NETS["nanin"] = (
    " -> (x + 1, ops.relu(x), ops.maximum(x, y), ops.exp(x), x > 0, x == x)",
    np.array([np.nan, np.inf, -np.inf, 1], np.float32),
    U(4),
)
NETS["nanred"] = (" -> (x.sum(), x.mean())", np.array([np.inf, 1, 2, 1], np.float32))
NETS["inf_sm"] = (" -> ops.softmax(x)", np.array([[-np.inf, 1, 2, -np.inf]], np.float32))
NETS["mask_inf"] = (
    " -> ops.softmax(ops.masked_fill(x, y, -np.inf if False else -1e9))",
    U(3, 4),
    np.array([True, False, False, True]),
)
NETS["div0"] = (" -> x / y", U(3), np.array([0, 1, 2], np.float32))
NETS["log0"] = (" -> ops.log(x)", np.array([0, 1, 2], np.float32))
NETS["sqrtneg"] = (" -> ops.sqrt(x)", np.array([-1, 1, 0], np.float32))
NETS["pow_edge"] = (" -> (x ** 2, x ** 3, x ** 0.5, x ** -1, x ** 0)", np.array([0.5, 1, 2, 4], np.float32))
NETS["pow_neg"] = (" -> (x ** 2, x ** 3, x ** -2)", np.array([-0.5, -1, -2, 4], np.float32))
NETS["pow_t"] = (" -> ops.pow(x, y)", np.array([-0.5, -1, -2, 4], np.float32), np.array([2, 3, 2, -1], np.float32))
NETS["round_half"] = (
    " -> (ops.round(x), ops.floor(x), ops.ceil(x), ops.trunc(x), x.astype(ms.int32))",
    np.array([-2.5, -1.5, -0.5, 0.5, 1.5, 2.5, 3.49], np.float32),
)
NETS["int_big"] = (
    " -> (x + 1, x * 2, x - y, x // 7, x % 7)",
    np.array([2**30, -(2**30), 123456789], np.int32),
    np.array([1, 2, 3], np.int32),
)
NETS["int_cast"] = (" -> x.astype(ms.float32)", np.array([2**30, -(2**30), 16777217], np.int32))
NETS["int_reduce"] = (" -> (x.sum(), x.max(), x.min(), x.prod())", np.array([16777217, 3, -5], np.int32))
NETS["int_max"] = (" -> ops.maximum(x, y)", np.array([16777217, 3], np.int32), np.array([16777216, 5], np.int32))
NETS["int_eq"] = (
    " -> (x == y, x > y, x != y, x <= y)",
    np.array([16777217, 3], np.int32),
    np.array([16777216, 3], np.int32),
)
NETS["int_where"] = (" -> ops.where(x > y, x, y)", np.array([16777217, 3], np.int32), np.array([16777216, 5], np.int32))
NETS["int_gather"] = (
    " -> ops.gather(x, y, 0)",
    np.array([16777217, 3, 2**31 - 1], np.int32),
    np.array([2, 0], np.int32),
)
NETS["int_abs"] = (" -> (ops.abs(x), -x, x * x)", np.array([16777217, -3], np.int32))
NETS["int_argmax"] = (" -> ops.argmax(x)", np.array([16777216, 16777217, 3], np.int32))
NETS["int_mod"] = (" -> (x % y, x // y)", np.array([-7, 7, -7, 7], np.int32), np.array([3, 3, -3, -3], np.int32))
NETS["int_stack"] = (
    " -> (ops.stack((x, y)), ops.concat((x, y)), ops.split(x, 1), x.reshape(2, 1))",
    np.array([16777217, 3], np.int32),
    np.array([2**31 - 1, 5], np.int32),
)
NETS["int_tile"] = (
    " -> (ops.tile(x, (2,)), ops.broadcast_to(x, (2, 2)), x[1:], x.expand_dims(0))",
    np.array([16777217, 3], np.int32),
)
NETS["int64_over"] = (" -> x * 2", np.array([2**31, 3], np.int64))
NETS["int64_out"] = (" -> x * x", np.array([2**20, 3], np.int64))
NETS["float_mod"] = (
    " -> (x % y, x // y)",
    np.array([-7.5, 7.5, -7.5, 7.5], np.float32),
    np.array([3, 3, -3, -3], np.float32),
)
NETS["int_topk"] = (" -> ops.topk(x, 2)", np.array([16777216, 16777217, 3], np.int32))
NETS["int_pow"] = (" -> x ** 2", np.array([-7, 70], np.int32))
NETS["int_cumsum"] = (" -> ops.cumsum(x, 0)", np.array([16777217, 1, 1], np.int32))
NETS["int_onehot"] = (" -> ops.one_hot(x, 3, 1.0, 0.0)", np.array([0, 2, 5, -1], np.int32))
NETS["int_relu"] = (" -> ops.relu(x)", np.array([-16777217, 16777217], np.int32))
NETS["int_clamp"] = (" -> ops.clamp(x, 0, 16777217)", np.array([-3, 16777217, 2**31 - 1], np.int32))
NETS["int_mm"] = (" -> x.astype(ms.float32) @ y", np.ones((2, 2), np.int32), U(2, 2))
NETS["int_square"] = (" -> ops.square(x)", np.array([4097, -3], np.int32))
NETS["int_sign"] = (" -> ops.sign(x)", np.array([4097, -3, 0], np.int32))
NETS["int_transp"] = (" -> x.transpose(1, 0)", np.array([[16777217, 3], [5, 7]], np.int32))
