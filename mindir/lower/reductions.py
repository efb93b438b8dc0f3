"""Sums, means, extremes and norms over axes."""

from mindir.constants import Type
from mindir.rules import rules
from mindir.shapes import product, reduced

RULES, of = rules()


def reduce(net, op, x, axes, keep):
    """Return the reduction of x over the axes, each from 0 on."""
    kind = net.dtype(x), reduced(net.shape(x), axes, keep)
    more = {"skip_mode": False} if op == "ReduceSum" else {}
    return net.make(op, x, tuple(axes), kind=kind, keep_dims=keep, **more)


def result_reduced(net, op, x, axes, keep):
    if axes:
        more = {"skip_mode": False} if op == "ReduceSum" else {}
        net.result(op, x, tuple(axes), keep_dims=keep, **more)
    else:
        net.set_result(x)  # a scalar


@of("ReduceMax", "ReduceMin", "ReduceMean", "ReduceSum", "ReduceProd", "ReduceAll", "ReduceAny")
def of_both(net, x, axis, keep, *_):
    x = net.cast(x, "bool") if net.op in ("ReduceAll", "ReduceAny") else x
    result_reduced(net, net.op, x, net.axes(axis, len(net.shape(x))), bool(net.number(keep)))


@of("SumExt", "MeanExt", "ProdExt")
def with_dtype(net, x, axis, keep, *_):
    op = {"SumExt": "ReduceSum", "MeanExt": "ReduceMean", "ProdExt": "ReduceProd"}[net.op]
    axes = net.axes(axis, len(net.shape(x)))
    result_reduced(net, op, net.cast(x, net.out[0]), axes, bool(net.number(keep)))


@of("Max", "Min")
def of_all(net, x):
    result_reduced(net, f"Reduce{net.op}", x, tuple(range(len(net.shape(x)))), False)


@of("AmaxExt", "AminExt", "Amax", "Amin")
def over_axes(net, x, axis, keep):
    op = "ReduceMax" if "max" in net.op else "ReduceMin"
    result_reduced(net, op, x, net.axes(axis, len(net.shape(x))), bool(net.number(keep)))


@of("Std", "Var", "VarMean", "StdMean")
def spread(net, x, axis, correction, keep):
    shape, axes = net.fixed(x), net.axes(axis, len(net.shape(x)))
    mean, made = variance(net, x, axes, product(shape[index] for index in axes) - net.number(correction))
    made = net.make("Sqrt", made) if net.op.startswith("Std") else made
    if net.op.endswith("Mean"):
        net.set_results(*(net.reshape(value, kind[1]) for value, kind in zip((made, mean), net.out)))
    else:
        net.result_reshaped(made)


def count_along(net, x, axes):
    """Return how many values a reduction over the axes combines; refuse open dimensions."""
    sizes = [net.shape(x)[axis] for axis in axes]
    if min(sizes, default=1) < 0:
        net.refuse(f"over an open dimension of {net.shape(x)}", "export it with a fixed shape")
    return product(sizes)


def variance(net, x, axes, count):
    """Return the mean and the variance, a sum divided by `count`, with all dimensions kept."""
    mean = reduce(net, "ReduceMean", x, axes, True)
    squares = net.make("Square", net.make("Sub", x, mean))
    if count == product(net.shape(x)[axis] for axis in axes):
        return mean, reduce(net, "ReduceMean", squares, axes, True)
    total = reduce(net, "ReduceSum", squares, axes, True)
    return mean, net.make("RealDiv", total, net.like(x, count))


@of("ReduceStd")
def standard_deviation(net, x, axis, unbiased, keep):
    axes = net.axes(axis, len(net.shape(x)))
    count = count_along(net, x, axes) - bool(net.number(unbiased))
    mean, made = variance(net, x, axes, count)
    net.set_results(*(net.reshape(value, kind[1]) for value, kind in zip((net.make("Sqrt", made), mean), net.out)))


@of("LogSumExp")
def log_sum_exp(net, x, axis, *_):
    """max + log(sum(exp(x - max)))."""
    axes = net.axes(axis, len(net.shape(x)))
    top = reduce(net, "ReduceMax", x, axes, True)
    exp = net.make("Exp", net.make("Sub", x, top), base=-1.0, scale=1.0, shift=0.0)
    net.result_reshaped(net.make("Add", net.make("Log", reduce(net, "ReduceSum", exp, axes, True)), top))


@of("LinalgVectorNorm", "Norm", "LpNormV2")
def vector_norm(net, x, order, axis, keep, *_):
    axes, keep, order = net.axes(axis, len(net.shape(x))), bool(net.number(keep)), net.number(order)
    x = net.cast(x, net.out[0])
    if order == 2:
        net.result("Sqrt", reduce(net, "ReduceSum", net.make("Square", x), axes, keep))
    elif order == 1:
        result_reduced(net, "ReduceSum", net.make("Abs", x), axes, keep)
    elif order in (float("inf"), float("-inf")):
        result_reduced(net, "ReduceMax" if order > 0 else "ReduceMin", net.make("Abs", x), axes, keep)
    elif order == 0:
        net.refuse("of the order 0", "count what isn't 0")
    else:
        power = net.make("Pow", net.make("Abs", x), net.like(x, order))
        net.result("Pow", reduce(net, "ReduceSum", power, axes, keep), net.like(x, 1 / order))


@of("ArgMaxWithValue", "ArgMinWithValue")
def extreme_of_both(net, x, axis, keep):
    axis = int(net.number(axis)) % max(len(net.shape(x)), 1)
    net.result(net.op, x, axis=axis, dimension=axis, keep_dims=bool(net.number(keep)))


@of("MaxDim", "MinDim")
def extreme(net, x, axis, keep):
    """(values, their places)."""
    axis, keep = int(net.number(axis)) % max(len(net.shape(x)), 1), bool(net.number(keep))
    (dtype, shape), (place_dtype, _) = net.out
    op = "ArgMaxWithValue" if net.op == "MaxDim" else "ArgMinWithValue"
    kinds = [("int32", shape), (dtype, shape)]
    both = net.make(op, x, kind=kinds, axis=axis, dimension=axis, keep_dims=keep)
    place, value = (net.make("TupleGetItem", both, index, kind=kind) for index, kind in enumerate(kinds))
    net.set_results(value, net.cast(place, place_dtype))


@of("ArgMaxExt", "ArgMinExt")
def place_of_extreme(net, x, axis, keep):
    axis, keep = net.number(axis), bool(net.number(keep))
    if axis is None:
        x, axis = net.reshape(x, (product(net.fixed(x)),)), 0
    axis %= max(len(net.shape(x)), 1)
    kind = net.out[0], reduced(net.shape(x), (axis,), False)
    op = "Argmax" if net.op == "ArgMaxExt" else "Argmin"
    if net.out[1] == kind[1]:
        net.result(op, x, axis=axis, output_type=Type(kind[0]))
    else:
        net.result_reshaped(net.make(op, x, kind=kind, axis=axis, output_type=Type(kind[0])))
