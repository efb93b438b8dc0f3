"""Functions of one tensor."""

import math

import numpy as np

from mindir.constants import UNKNOWN, Type
from mindir.repairs.indexing import expand_all
from mindir.rules import rules

RULES, of = rules()
EXP = {"base": -1.0, "scale": 1.0, "shift": 0.0}


def exponential(net, x, times=1):
    """Return times * exp(x), as the square of exp(x / 2); times is 1 or 0.5.

    The engine's exp(x) is exp(88) from x = 88 on and for NaN, so both would be inf here: the larger of that and x,
    which is never larger, is NaN again. And it is too large by 1.8e-7 for each log 2 in x, as it has log 2 to six
    digits: taking 2.4e-7 less of x comes closest.
    """
    root = net.make("Exp", net.make("Mul", x, net.like(x, 0.5 - 2**-23)), **EXP)
    square = net.make("Mul", root if times == 1 else net.make("Mul", root, net.like(x, times)), root)
    return net.make("Maximum", square, x)


def root(net, x):
    """Return the square root of x, NaN where x is negative: the engine's predict fails there."""
    if x in net.positive:
        return net.make("Sqrt", x)
    shape = net.shape(x)
    negative = net.make("Less", x, net.like(x, 0), kind=("bool", shape))
    values = negative, net.constant(net.like(x, np.nan)), net.make("Sqrt", net.make("Abs", x))
    return net.make("Select", *expand_all(net, values, shape), kind=net._kind(x))


def logarithm(net, x):
    """Return log(x): the engine's is -88 at 0, 89 at inf and NaN, and its predict fails below 0."""
    mask, zero = ("bool", net.shape(x)), net.like(x, 0)
    log = net.make("Log", net.make("Maximum", x, net.like(x, 2**-126)))
    above = net.make("Select", net.make("Less", x, net.like(x, np.inf), kind=mask), log, x, kind=net._kind(x))
    is_zero = net.make("Equal", x, zero, kind=mask)
    is_zero = net.make("Cast", is_zero, Type("float32"), kind=("float32", net.shape(x)))
    below = net.make("Mul", is_zero, net.like(x, -np.inf))  # 0 times that is NaN
    return net.make("Select", net.make("Greater", x, zero, kind=mask), above, below, kind=net._kind(x))


@of("GeLU")
def gelu(net, x):
    """MindSpore's is the formula with tanh, the engine's that with erf. (1 + tanh(z)) / 2 = sigmoid(2 z)."""
    inner = net.make("Add", net.make("Mul", net.make("Square", x), net.like(x, 0.044715)), net.like(x, 1))
    inner = net.make("Mul", net.make("Mul", x, inner), net.like(x, 2 * math.sqrt(2 / math.pi)))
    net.result("Mul", x, net.make("Sigmoid", inner))


@of("SiLU")
def silu(net, x):
    net.result("Mul", x, net.make("Sigmoid", x))


@of("Rsqrt")
def rsqrt(net, x):
    """The engine's is off by up to 1.8e-4."""
    net.result("RealDiv", net.like(x, 1), root(net, x))


@of("Sqrt")
def square_root(net, x):
    if x not in net.positive:
        net.set_result(root(net, x))


@of("Log")
def log(net, x):
    net.set_result(logarithm(net, x))


@of("Mish")
def mish(net, x):
    """x tanh(log(1 + exp(x))) = x (1 - 2 / ((1 + exp(x))^2 + 1)); exp of at most 20, where the factor is 1."""
    exp = exponential(net, net.make("Minimum", x, net.like(x, 20)))
    square = net.make("Square", net.make("Add", exp, net.like(x, 1)))
    below = net.make("RealDiv", net.like(x, 2), net.make("Add", square, net.like(x, 1)))
    net.result("Mul", x, net.make("Sub", net.like(x, 1), below))


@of("Cos")
def cos(net, x):
    """1 - 2 sin(x / 2)^2: the engine's is off by 2e-5."""
    square = net.make("Square", net.make("Sin", net.make("Mul", x, net.like(x, 0.5))))
    net.result("Sub", net.like(x, 1), net.make("Mul", square, net.like(x, 2)))


@of("Tanh")
def tanh(net, x):
    """2 sigmoid(2 x) - 1: the engine's is 1 from x = 5 on, which is off by 9e-5."""
    twice = net.make("Mul", net.make("Sigmoid", net.make("Mul", x, net.like(x, 2))), net.like(x, 2))
    net.result("Sub", twice, net.like(x, 1))


@of("Exp")
def exp(net, x):
    """Only of x: with a scale other than 1, which MindSpore doesn't write, the engine's is wrong."""
    if not net.dtype(x).startswith(("float", "bfloat")):
        net.refuse(f"of {net.dtype(x)}", "cast it to float32 first")
    if {**EXP, **net.attributes()} != EXP:
        net.refuse("with a base, a scale or a shift", "multiply and add before it")
    net.set_result(exponential(net, x))


@of("Expm1")
def exp_less_1(net, x):
    net.result("Sub", exponential(net, x), net.like(x, 1))


@of("Erfc")
def erf_from_1(net, x):
    net.result("Sub", net.like(x, 1), net.make("Erf", x))


@of("Sinh", "Cosh")
def hyperbolic(net, x):
    """exp(x) / 2 -+ exp(-x) / 2, which is still finite for an x of 89."""
    up, down = exponential(net, x, 0.5), exponential(net, net.make("Neg", x), 0.5)
    net.result("Sub" if net.op == "Sinh" else "Add", up, down)


@of("Softsign")
def softsign(net, x):
    net.result("RealDiv", x, net.make("Add", net.make("Abs", x), net.like(x, 1)))


@of("Softplus")
def softplus(net, x):
    """log(1 + exp(x)): the engine's is 88 from x = 88 on, and for NaN, which Maximum keeps as its second input."""
    net.result("Maximum", net.make("Softplus", x), x)


@of("LogSigmoid")
def log_sigmoid(net, x):
    """-log(1 + exp(-x))."""
    x = net.make("Neg", x)
    net.result("Neg", net.make("Maximum", net.make("Softplus", x), x))


@of("FastGeLU")
def fast_gelu(net, x):
    """x sigmoid(1.702 x)."""
    net.result("Mul", x, net.make("Sigmoid", net.make("Mul", x, net.like(x, 1.702))))


@of("SeLU")
def selu(net, x):
    """scale (max(x, 0) + alpha (exp(min(x, 0)) - 1))."""
    scale, alpha = 1.0507009873554805, 1.6732632423543772
    below = net.make("Sub", exponential(net, net.make("Minimum", x, net.like(x, 0))), net.like(x, 1))
    below = net.make("Mul", below, net.like(x, scale * alpha))
    net.result("Add", net.make("Mul", net.make("Maximum", x, net.like(x, 0)), net.like(x, scale)), below)


@of("Sign")
def sign(net, x):
    """(x > 0) - (x < 0)."""
    dtype, zero = net.dtype(x), net.like(x, 0)
    shape = net.shape(x)
    parts = [net.make(op, x, zero, kind=("bool", shape)) for op in ("Greater", "Less")]
    net.result("Sub", *(net.cast(part, "float32" if dtype.startswith("float") else dtype) for part in parts))


@of("Trunc")
def trunc(net, x):
    """floor(x) where x is above 0, ceil(x) elsewhere."""
    if net.dtype(x).startswith("float"):
        up = net.make("Maximum", net.make("Floor", x), net.like(x, 0))
        net.result("Add", up, net.make("Minimum", net.make("Ceil", x), net.like(x, 0)))
    else:
        net.set_result(x)


@of("Floor", "Ceil")
def whole_numbers(net, x):
    if not net.dtype(x).startswith(("float", "bfloat")):
        net.set_result(x)


@of("IsNan")
def is_nan(net, x):
    net.result("NotEqual", x, x)


@of("CeLU")
def celu(net, x):
    """max(x, 0) + alpha (exp(min(x, 0) / alpha) - 1)."""
    alpha = float(net.attributes().get("alpha", 1.0))
    below = exponential(net, net.make("RealDiv", net.make("Minimum", x, net.like(x, 0)), net.like(x, alpha)))
    below = net.make("Mul", net.make("Sub", below, net.like(x, 1)), net.like(x, alpha))
    net.result("Add", net.make("Maximum", x, net.like(x, 0)), below)


@of("PReLU")
def prelu(net, x, slope):
    """max(x, 0) + slope min(x, 0): the engine's fails with open shapes, and may with a computed slope."""
    if min(net.shape(x), default=1) >= 0 and (slope in net.products.parameters or net.known(slope) is not UNKNOWN):
        return
    rank, zero = len(net.shape(x)), net.like(x, 0)
    if rank > 2 and net.shape(slope) != (1,):
        slope = net.reshape(slope, net.shape(slope) + (1,) * (rank - 2))
    above = net.make("Maximum", zero, x, kind=net._kind(x))
    net.result("Add", above, net.make("Mul", net.make("Minimum", x, zero), slope))


@of("HShrink")
def hard_shrink(net, x):
    """x where |x| > lambda, 0 elsewhere."""
    bound = net.like(x, net.attributes().get("lambd", 0.5))
    large = net.make("Greater", net.make("Abs", x), bound, kind=("bool", net.shape(x)))
    net.result("Mul", x, net.make("Cast", large, Type("float32"), kind=("float32", net.shape(x))))


@of("SoftShrink")
def soft_shrink(net, x):
    """x without its part between -lambda and lambda."""
    bound = net.attributes().get("lambd", 0.5)
    net.result("Sub", x, net.make("Maximum", net.make("Minimum", x, net.like(x, bound)), net.like(x, -bound)))


@of("GLU")
def glu(net, x):
    """The first half times the sigmoid of the second."""
    shape, dtype = net.out[1], net.out[0]
    axis = int(net.attributes().get("axis", -1)) % len(shape)
    halves = [(dtype, shape)] * 2
    how = {"axis": axis, "output_num": 2, "num_split": 2, "size_splits": (shape[axis],) * 2}
    both = net.make("Split", x, kind=halves, **how)
    first, second = (net.make("TupleGetItem", both, index, kind=halves[0]) for index in (0, 1))
    net.result("Mul", first, net.make("Sigmoid", second))
