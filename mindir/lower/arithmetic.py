"""Sums, products, comparisons and bounds, of tensors and of a tensor and a number."""

import numpy as np

from mindir.constants import UNKNOWN, Type
from mindir.rules import rules

RULES, of = rules()


def operand(net, value, dtype, alpha=1):
    """Return alpha times the value, a tensor or a number, as a tensor of this dtype."""
    number = net.known(value)
    if number is not UNKNOWN and not isinstance(number, np.ndarray):
        return net.constant(np.array(number * alpha, net.numpy_dtype(dtype)))
    value = net.cast(value, dtype)
    return value if alpha == 1 else net.make("Mul", value, np.array(alpha, net.numpy_dtype(dtype)))


def arithmetic(net, op, x, y, alpha=1):
    """x op (alpha y), in the dtype of the result."""
    dtype = net.out[0]
    net.result(op, operand(net, x, dtype), operand(net, y, dtype, alpha))


@of("Muls")
def muls(net, x, y):
    if net.out[0] == "bool":
        net.refuse("of truth values", "cast one of them to int32")
    arithmetic(net, "Mul", x, y)


@of("Divs", "Div")
def divide(net, x, y):
    """A fraction even for whole numbers, whose quotient 2.0's Div rounds."""
    arithmetic(net, "RealDiv", x, y)


@of("AddExt", "AddScalar")
def add(net, x, y, alpha=None):
    arithmetic(net, "Add", x, y, 1 if alpha is None else net.number(alpha))


@of("SubExt", "SubScalar")
def subtract(net, x, y, alpha=None):
    arithmetic(net, "Sub", x, y, 1 if alpha is None else net.number(alpha))


@of("PowTensorScalar", "PowScalarTensor")
def power(net, x, y):
    arithmetic(net, "Pow", x, y)


@of("RemainderTensorTensor", "RemainderTensorScalar", "RemainderScalarTensor")
def remainder(net, x, y):
    arithmetic(net, "FloorMod", x, y)


@of("FloorDivScalar", "FloorDivs")
def floor_divide(net, x, y):
    arithmetic(net, "FloorDiv", x, y)


@of("GreaterEqualScalar", "GreaterScalar", "LessEqualScalar", "LessScalar", "EqScalar", "NeScalar")
def compare(net, x, number):
    op = {"NeScalar": "NotEqual", "EqScalar": "Equal"}.get(net.op, net.op.replace("Scalar", ""))
    dtype = net.dtype(x)
    if isinstance(net.number(number), float) and not dtype.startswith(("float", "bfloat")):
        dtype = "float32"
    net.result(op, operand(net, x, dtype), operand(net, number, dtype))


@of("ClampScalar", "ClampTensor")
def clamp(net, x, least=None, most=None):
    dtype = net.out[0]
    bounds = [
        (op, bound) for op, bound in (("Maximum", least), ("Minimum", most)) if bound and net.known(bound) is not None
    ]
    x = net.cast(x, dtype)
    for op, bound in bounds[:-1]:
        x = net.make(op, x, operand(net, bound, dtype))
    for op, bound in bounds[-1:]:
        net.result(op, x, operand(net, bound, dtype))
    if not bounds:
        net.set_result(x)


@of("Hardtanh")
def hardtanh(net, x, least, most):
    clamp(net, x, least, most)


@of("Contiguous", "Copy", "Identity", "ViewAs")
def same(net, x, *_):
    net.set_result(x)


@of("Cast")
def cast(net, x, _):
    """To the dtype that the file says the result has; the argument is a number of MindSpore's own."""
    dtype = net.out[0]
    if net.dtype(x) == dtype:
        net.set_result(x)
    else:
        net.result("Cast", x, Type(dtype))


@of("Round")
def round_half_to_even(net, x, decimals=None):
    if decimals and net.number(decimals) != 0:
        net.refuse("to decimals", "multiply, round and divide")
    net.result("Round", x)


@of(
    "BitwiseAndTensor", "BitwiseAndScalar", "BitwiseOrTensor", "BitwiseOrScalar", "BitwiseXorTensor", "BitwiseXorScalar"
)
def bitwise(net, x, y):
    arithmetic(net, net.op.replace("Tensor", "").replace("Scalar", ""), x, y)


@of("Exp")
def exp(net, x):
    net.result("Exp", x, base=-1.0, scale=1.0, shift=0.0)


@of("AddN")
def add_n(net, parts):
    count = len(net.tuples.get(parts, ()))
    net.result("AddN", parts, n=count, N=count)


@of("AddcmulExt", "Addcmul", "AddcdivExt", "Addcdiv")
def add_product(net, x, a, b, factor):
    """x + factor * a * b, or x + factor * a / b."""
    dtype = net.out[0]
    op = "Mul" if "mul" in net.op else "RealDiv"
    made = net.make(op, operand(net, a, dtype), operand(net, b, dtype))
    net.result("Add", operand(net, x, dtype), net.make("Mul", made, operand(net, factor, dtype)))


@of("LerpScalar", "Lerp")
def lerp(net, start, end, weight):
    step = net.make("Mul", net.make("Sub", end, start), operand(net, weight, net.out[0]))
    net.result("Add", start, step)


@of("ReciprocalExt")
def reciprocal(net, x):
    net.result("Reciprocal", x)


@of("InvSqrt")
def rsqrt(net, x):
    net.result("Rsqrt", x)
