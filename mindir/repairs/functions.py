"""Functions of tensors that mindspore_lite 2.0.0's CPU lacks, made of those that it has."""

import numpy as np

from mindir.lower.reductions import reduce
from mindir.repairs.activations import logarithm
from mindir.repairs.trigonometry import where
from mindir.rules import rules
from mindir.shapes import product

RULES, of = rules()


@of("Rint", "Round")
def round_half_to_even(net, x, *_):
    """(x + 1.5 * 2^23) - 1.5 * 2^23 below 2^22: the engine rounds the last few values of a tensor differently."""
    if not net.dtype(x).startswith("float"):
        return net.set_result(x)
    large = net.like(x, 1.5 * 2**23)
    small = net.make("Less", net.make("Abs", x), net.like(x, 2**22), kind=("bool", net.shape(x)))
    return net.result("Select", small, net.make("Sub", net.make("Add", x, large), large), x)


@of("FillV2")
def fill(net, _, value):
    dtype, shape = net.out
    if min(shape, default=1) < 0:
        net.refuse(f"of the open shape {shape}", "export it with a fixed shape")
    net.check_size(shape)
    net.set_result(np.full(shape, net.number(value), net.numpy_dtype(dtype)))


@of("LinSpace")
def linspace(net, first, last, count):
    given = (np.reshape(number, -1)[0] for number in net.numbers(first, last))
    net.set_result(np.linspace(*given, int(net.number(count))).astype(net.numpy_dtype(net.out[0])))


@of("IsInf")
def is_inf(net, x):
    """|x| above the largest finite number."""
    net.result("Greater", net.make("Abs", x), net.like(x, np.finfo(np.float32).max))


@of("Xlogy")
def x_log_y(net, x, y):
    """x log(y), 0 where x is 0."""
    shape = net.out[1]
    zero = net.constant(np.zeros(shape, np.float32))
    log = net.make("Mul", x, logarithm(net, y), kind=(net.dtype(x), shape))
    net.set_result(where(net, "Equal", net.expand(x, shape), zero, zero, log))


@of("TruncateDiv", "TruncateMod")
def truncated(net, x, y):
    """trunc(x / y), or the remainder of that; the engine's FloorDiv rounds whole numbers toward 0."""
    dtype, shape = net.dtype(x), net.out[1]
    if dtype == "int32":
        made = net.make("FloorDiv", x, y, kind=(dtype, shape))
    else:
        quotient = net.make("RealDiv", x, y, kind=(dtype, shape))
        up = net.make("Maximum", net.make("Floor", quotient), net.like(x, 0))
        made = net.make("Add", up, net.make("Minimum", net.make("Ceil", quotient), net.like(x, 0)))
    if net.op != "TruncateDiv":
        made = net.make("Sub", x, net.make("Mul", made, y), kind=(dtype, shape))
    net.set_result(made)


@of("KLDivLoss")
def divergence(net, x, y):
    """y (log y - x), 0 where y is 0; its sum, its mean, or its sum divided by the number of rows."""
    how, shape = net.attributes().get("reduction", "mean"), net.fixed(x)
    log = net.make("Log", net.make("Maximum", y, net.like(y, 1e-37)))
    value = net.make("Mul", y, net.make("Sub", log, x))
    if how == "none" or not shape:
        return net.set_result(value)
    axes = tuple(range(len(shape)))
    total = reduce(net, "ReduceSum", value, axes, False)
    count = {"mean": product(shape), "batchmean": shape[0], "sum": 1}[how]
    return net.set_result(total if count == 1 else net.make("RealDiv", total, net.like(x, count)))


@of("Trace")
def trace(net, x):
    rows, columns = net.fixed(x)
    kept = net.make("Mul", x, np.eye(rows, columns, dtype=np.float32))
    net.set_result(reduce(net, "ReduceSum", kept, (0, 1), False))


@of("BitwiseXor")
def of_truth_values(net, x, y):
    if net.out[0] != "bool":
        net.refuse("of whole numbers isn't in mindspore_lite 2.0")
    net.result("NotEqual", net.cast(x, "int32"), net.cast(y, "int32"))


@of("Stack", "Unstack")
def truth_values(net, *values):
    """The engine has them for numbers only: for int32."""
    parts = [part for value in values for part in net.items.get(value, [value])]
    if any(net.dtype(part) != "bool" for part in parts):
        return None
    whole = [net.cast(part, "int32") for part in parts]
    if net.op == "Stack":
        both = net.make("MakeTuple", *whole, kind=[net._kind(part) for part in whole])
        made = net.make("Stack", both, kind=("int32", net.out[1]), **net.attributes())
        return net.result("NotEqual", made, np.array(0, np.int32))
    kinds = [("int32", shape) for _, shape in net.out]
    given = net.attributes()
    given["axis"] = given.get("axis", 0) % len(net.shape(parts[0]))
    both = net.make(net.op, *whole, kind=kinds, **given)
    items = [net.make("TupleGetItem", both, index, kind=kind) for index, kind in enumerate(kinds)]
    return net.set_results(
        *(net.make("NotEqual", item, np.array(0, np.int32), kind=("bool", net.shape(item))) for item in items)
    )
