"""Functions of two tensors, and dtypes."""

import numpy as np

from mindir.constants import UNKNOWN, Type
from mindir.rules import rules

RULES, of = rules()


CASTS = {  # (from, to) that the engine can do
    ("bool", "float32"), ("bool", "int32"), ("float32", "int32"), ("float32", "uint8"), ("int32", "float32"),
    ("uint8", "float32"),
}  # fmt: skip
SPLITTER = {"float16": 2.0**13 + 1, "bfloat16": 2.0**16 + 1}


@of("Cast")
def cast(net, x, *_):
    """The engine has only a few, and computes float16 as float32: a cast to float16 is rounded here.

    y = c x, y - (y - x) for c = 2^s + 1 leaves the upper 24 - s bits of x (Veltkamp; Dekker 1971).
    """
    before, after, narrow = net.dtype(x), net.out[0], net.in_file.get(net.node.output[0])
    if before == after == "float32" and narrow in SPLITTER and net.in_file.get(x) != narrow:
        large = net.make("Mul", x, np.array(SPLITTER[narrow], np.float32))
        net.result("Sub", large, net.make("Sub", large, x))
    elif before == after:
        net.set_result(x)
    elif after == "bool":
        x = x if before in ("float32", "int32") else cast_to(net, x, "float32")
        net.result("NotEqual", x, net.like(x, 0))
    elif (before, after) in CASTS:
        net.result("Cast", x, Type(after))
    elif before in ("bool", "uint8") and after in ("int32", "uint8"):
        net.result("Cast", cast_to(net, x, "float32"), Type(after))
    else:
        net.refuse(f"from {before} to {after} isn't in mindspore_lite 2.0", "cast by way of float32 or int32")


def cast_to(net, x, dtype):
    return net.make("Cast", x, Type(dtype), kind=(dtype, net.shape(x)))


@of("Equal", "NotEqual", "LogicalXor")
def equal(net, x, y):
    """The engine has neither for truth values, only for numbers."""
    if "bool" in (net.dtype(x), net.dtype(y)):
        op = "Equal" if net.op == "Equal" else "NotEqual"
        net.result(op, cast_to(net, x, "int32"), cast_to(net, y, "int32"))


@of("FloorDiv")
def floor_divide(net, x, y):
    """The engine's rounds whole numbers toward 0: subtract FloorMod first, so that nothing has to be rounded."""
    if net.dtype(x) == "int32":
        net.result("FloorDiv", net.make("Sub", x, net.make("FloorMod", x, y)), y)


@of("Div", "RealDiv")
def divide(net, x, y):
    """For whole numbers, MindSpore 2.0's Div rounds toward 0, as the engine's FloorDiv does."""
    if net.dtype(x) != "int32":
        return
    if net.out[0] == "int32":
        net.result("FloorDiv", x, y)
    else:
        net.result("RealDiv", cast_to(net, x, "float32"), cast_to(net, y, "float32"))


@of("Pow")
def power(net, base, exponent):
    """The engine doesn't broadcast tensors: a number becomes a tensor, min(max(exponent, number), number)."""
    if net.dtype(base) == "int32":
        return whole_power(net, base, exponent)
    number = net.known(base)
    if number is not UNKNOWN and np.size(number) == 1 and net.shape(exponent) == net.out[1]:
        number = net.like(exponent, np.reshape(number, -1)[0])
        net.result("Pow", net.make("Minimum", net.make("Maximum", exponent, number), number), exponent)
    elif net.known(exponent) is UNKNOWN or np.size(net.known(exponent)) != 1:
        net.result("Pow", *(net.expand(value, net.out[1]) for value in (base, exponent)))
    return None


def whole_power(net, base, exponent):
    """The engine has none for whole numbers: a small constant exponent is multiplied out."""
    number = net.known(exponent)
    number = None if number is UNKNOWN or np.size(number) != 1 else float(np.reshape(number, -1)[0])
    if number not in (1, 2, 3, 4):
        net.refuse("of whole numbers isn't in mindspore_lite 2.0", "cast to float32 first")
    made = base
    for _ in range(int(number) - 2):
        made = net.make("Mul", made, base)
    net.result("Mul", made, base) if number > 1 else net.set_result(base)


@of("SquaredDifference")
def squared_difference(net, x, y):
    if net.dtype(x) == "int32":
        apart = net.make("Sub", x, y)
        net.result("Mul", apart, apart)


@of("Square")
def square(net, x):
    if net.dtype(x) == "int32":
        net.result("Mul", x, x)


@of("DivNoNan")
def divide_or_0(net, x, y):
    if net.dtype(x) == "int32":
        net.refuse("of whole numbers", "cast to float32 first")
    zero = net.make("Equal", y, net.like(y, 0), kind=("bool", net.shape(y)))
    zero = net.make("Cast", zero, Type("float32"), kind=("float32", net.shape(y)))
    quotient = net.make("RealDiv", x, net.make("Add", y, zero))
    net.result("Mul", quotient, net.make("Sub", np.array(1, np.float32), zero, kind=("float32", net.shape(y))))


@of("BitwiseAnd", "BitwiseOr")
def of_truth_values(net, x, y):
    if net.out[0] != "bool":
        net.refuse("of whole numbers isn't in mindspore_lite 2.0")
    net.result(net.op.replace("Bitwise", "Logical"), x, y)


@of("AddN")
def add_n(net, *values):
    """One sum after the other: the engine can't take a value twice."""
    parts = [part for value in values for part in net.items.get(value, [value])]
    if any(part in net.tuples for part in parts):
        net.refuse("of a tuple that is computed while the model runs")
    total = parts[0]
    for part in parts[1:-1]:
        total = net.make("Add", total, part)
    net.result("Add", total, parts[-1]) if len(parts) > 1 else net.set_result(total)


@of("Mul")
def multiply(net, x, y):
    """The engine fuses Mul(part of a Split, Sigmoid) with both, and crashes: with the inputs swapped it doesn't."""
    if net.op_of.get(x) == "TupleGetItem" and net.op_of.get(y) == "Sigmoid":
        net.result("Mul", y, x)
