"""Functions of tensors that only a newer MindSpore has, made of those of 2.0."""

import math

import numpy as np

from mindir.constants import Type
from mindir.lower.arithmetic import arithmetic, operand
from mindir.lower.products import multiply
from mindir.lower.reductions import reduce
from mindir.rules import rules
from mindir.shapes import product

RULES, of = rules()
EXP = {"base": -1.0, "scale": 1.0, "shift": 0.0}
SAME = {"AcosExt": "Acos", "AsinExt": "Asin", "AtanExt": "Atan", "AcoshExt": "Acosh", "AsinhExt": "Asinh"}


@of(*SAME, "Atan2Ext")
def under_another_name(net, *args):
    net.result(SAME.get(net.op, "Atan2"), *(net.cast(value, net.out[0]) for value in args))


@of("Log2", "Log10")
def logarithm(net, x):
    base = {"Log2": 2, "Log10": 10}[net.op]
    log = net.make("Log", net.cast(x, net.out[0]))
    net.result("Mul", log, net.like(log, 1 / math.log(base)))


@of("Exp2")
def power_of_2(net, x):
    net.result("Exp", net.make("Mul", x, net.like(x, math.log(2))), **EXP)


@of("Frac")
def fraction(net, x):
    net.result("Sub", x, net.make("Trunc", x))


@of("FmodTensor", "FmodScalar")
def remainder_to_0(net, x, y):
    """x - trunc(x / y) y."""
    dtype = net.out[0]
    x, y = operand(net, x, dtype), operand(net, y, dtype)
    if not dtype.startswith(("float", "bfloat")):
        net.refuse(f"of {dtype}", "cast to float32 first")
    net.result("Sub", x, net.make("Mul", net.make("Trunc", net.make("RealDiv", x, y)), y))


@of("DivMod", "DivMods")
def divide(net, x, y, how):
    """The fraction, rounded toward 0 (1) or down (2)."""
    how, dtype = net.number(how), net.out[0]
    if how is None:
        return arithmetic(net, "RealDiv", x, y)
    if how not in (1, 2):
        net.refuse(f"with the rounding {how}, which isn't known here")
    if how == 2:
        return arithmetic(net, "FloorDiv", x, y)
    x, y = operand(net, x, dtype), operand(net, y, dtype)
    if dtype.startswith(("float", "bfloat")):
        return net.result("Trunc", net.make("RealDiv", x, y))
    return net.result("Div", x, y)  # 2.0's rounds whole numbers toward 0


@of("LogAddExp")
def log_of_sum(net, x, y):
    """max(x, y) + log(1 + exp(-|x - y|))."""
    apart = net.make("Neg", net.make("Abs", net.make("Sub", x, y)))
    log = net.make("Log", net.make("Add", net.make("Exp", apart, **EXP), net.like(x, 1)))
    net.result("Add", net.make("Maximum", x, y), log)


@of("Threshold")
def threshold(net, x, bound, value):
    """x where it is above the bound, the value elsewhere."""
    above = net.make("Greater", x, operand(net, bound, net.dtype(x)), kind=("bool", net.shape(x)))
    net.result("Select", above, x, operand(net, value, net.dtype(x)))


@of("SeLUExt")
def selu(net, x):
    net.result("SeLU", x)


@of("CountNonZero")
def count_nonzero(net, x, axis):
    rank = len(net.shape(x))
    there = net.make("NotEqual", x, net.like(x, 0), kind=("bool", net.shape(x)))
    whole = net.make("Cast", there, Type("int32"), kind=("int32", net.shape(x)))
    net.set_result(net.cast(reduce(net, "ReduceSum", whole, net.axes(axis, rank), False), net.out[0]))


@of("Addbmm")
def add_products(net, b, x, y, beta, alpha):
    """beta b + alpha * the sum of the products x y over the stack."""
    beta, alpha = net.numbers(beta, alpha)
    made = reduce(net, "ReduceSum", multiply(net, x, y, inside=True), (0,), False)
    made = made if alpha == 1 else net.make("Mul", made, net.like(made, alpha))
    net.result("Add", made, b if beta == 1 else net.make("Mul", b, net.like(b, beta)))


@of("TraceExt")
def trace(net, x):
    net.result("Trace", x)


@of("DiagExt")
def diagonal(net, x, offset):
    """A matrix with the vector on the diagonal that many places off; for a matrix, that diagonal."""
    offset, shape, dtype = int(net.number(offset)), net.fixed(x), net.numpy_dtype(net.dtype(x))
    if len(shape) == 1:
        size = shape[0] + abs(offset)
        net.check_size((size, size))
        if offset:
            net.refuse(f"beside the diagonal, by {offset}", "use the diagonal itself")
        wide = net.expand(net.reshape(x, (1, size)), (size, size))
        net.result("Select", np.eye(size).astype(bool), wide, np.zeros((size, size), dtype))
    else:
        count = net.out[1][0]
        first = -offset * shape[1] if offset < 0 else offset
        places = np.arange(count, dtype=np.int32) * (shape[1] + 1) + first
        net.result("Gather", net.reshape(x, (product(shape),)), places.astype(np.int32), 0, batch_dims=0)


@of("Swiglu")
def swiglu(net, x, axis):
    """silu of the first half times the second."""
    shape, dtype = net.out[1], net.out[0]
    axis = int(net.number(axis)) % len(shape)
    halves = [(dtype, shape)] * 2
    how = {"axis": axis, "output_num": 2, "num_split": 2, "size_splits": (shape[axis],) * 2}
    both = net.make("Split", x, kind=halves, **how)
    first, second = (net.make("TupleGetItem", both, index, kind=halves[0]) for index in (0, 1))
    net.result("Mul", net.make("SiLU", first), second)


@of("EmbeddingLookup")
def lookup(net, table, indices, offset):
    """Rows of the table; an index outside of it would give zeros, but engines differ: an offset is refused."""
    if net.number(offset) != 0:
        net.refuse("with an offset", "use nn.Embedding")
    net.result("Gather", table, indices, 0, batch_dims=0)
