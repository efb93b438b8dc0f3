"""Sums, extremes and their places."""

from mindir.constants import Type
from mindir.lower.reductions import count_along, variance
from mindir.lower.sorting import top_values
from mindir.rules import rules
from mindir.shapes import reduced

RULES, of = rules()
REDUCTIONS = ("ReduceMax", "ReduceMin", "ReduceMean", "ReduceSum", "ReduceProd", "ReduceAll", "ReduceAny")

AROUND = {  # the reduction that replaces another, between a function and its inverse
    "ReduceMax": ("Neg", "ReduceMin", "Neg"),
    "ReduceAny": ("LogicalNot", "ReduceAll", "LogicalNot"),
}


def keeps(net):
    return bool(net.attributes().get("keep_dims", False))


@of(*REDUCTIONS)
def write_axes_out(net, x, axis):
    """Axes () mean all: the engine hangs on that, and on a single value, so axes of size 1 are left to Reshape.

    Its ReduceMax starts from 1.2e-38 instead of -inf, and it has no ReduceAny.
    """
    shape, keep = net.shape(x), keeps(net)
    axes = [index for index in net.axes(axis, len(shape)) if shape[index] != 1]
    if 0 in shape:
        net.refuse(f"of the shape {shape}, which has no values")
    if net.op == "ReduceMean" and net.dtype(x) != "float32":
        net.refuse(f"of {net.dtype(x)}, which mindspore_lite 2.0 rounds", "cast to float32 first")
    if not axes:
        return net.result_reshaped(x) if net.out[1] != shape else net.set_result(x)
    whole = net.out[1] == reduced(shape, axes, keep)
    kind = net.out if whole else (net.out[0], reduced(shape, axes, keep))
    before, op, after = AROUND.get(net.op, (None, net.op, None))
    more = {"skip_mode": False} if op == "ReduceSum" else {}
    value = net.make(before, x) if before else x
    if whole and not after:
        return net.result(op, value, tuple(axes), keep_dims=keep, **more)
    value = net.make(op, value, tuple(axes), kind=kind, keep_dims=keep, **more)
    if whole:
        return net.result(after, value)
    net.result_reshaped(net.make(after, value) if after else value)
    return None


@of("ReduceStd")
def standard_deviation(net, x):
    """(standard deviation, mean): the engine's have wrong shapes."""
    given = net.attributes()
    rank = len(net.shape(x))
    axes = given.get("axis", ())
    axes = (axes,) if isinstance(axes, int) else tuple(axes)
    axes = tuple(sorted({axis % rank for axis in axes})) or tuple(range(rank))
    count = count_along(net, x, axes) - bool(given.get("unbiased", True))
    mean, square = variance(net, x, axes, count)
    net.set_results(*(net.reshape(value, kind[1]) for value, kind in zip((net.make("Sqrt", square), mean), net.out)))


@of("Argmax", "Argmin")
def place_of_extreme(net, x):
    """The engine has no Argmin, and no Argmax for one dimension."""
    given = net.attributes()
    axis, how = int(given.get("axis", -1)), {"output_type": given.get("output_type", Type("int32"))}
    shape, dtype = net.shape(x), net.out[0]
    value = net.make("Neg", x) if net.op == "Argmin" else x
    if len(shape) > 1:
        return net.op == "Argmin" and net.result("Argmax", value, axis=axis % len(shape), **how)
    value = net.reshape(value, (1, *(shape or (1,))), (1, -1))
    net.result_reshaped(net.make("Argmax", value, kind=(dtype, (1,)), axis=1, **how))
    return None


@of("ArgMaxWithValue", "ArgMinWithValue")
def extreme_and_place(net, x):
    """(place, value): the engine has no ArgMinWithValue, and neither of the two for one dimension."""
    given = net.attributes()
    axis, keep, shape = int(given.get("axis", 0)), bool(given.get("keep_dims", False)), net.shape(x)
    least, rank = net.op == "ArgMinWithValue", len(net.shape(x))
    if not least and rank > 1:
        return
    value = net.make("Neg", x) if least else x
    axis %= max(rank, 1)
    if rank < 2:
        value, axis, keep, shape = net.reshape(value, (1, *(shape or (1,))), (1, -1)), 1, False, (1, *(shape or (1,)))
    small = reduced(shape, (axis,), keep)
    kinds = [("int32", small), (net.dtype(x), small)]
    both = net.make("ArgMaxWithValue", value, kind=kinds, axis=axis, dimension=axis, keep_dims=keep)
    place, value = (net.make("TupleGetItem", both, index, kind=kind) for index, kind in enumerate(kinds))
    value = net.make("Neg", value) if least else value
    net.set_results(*(net.reshape(result, kind[1]) for result, kind in zip((place, value), net.out)))


@of("CumSum")
def cumulative_sum(net, x, axis):
    """The engine's is wrong for whole numbers along an axis of size 1."""
    axis = int(net.ints(axis)[0]) % max(len(net.shape(x)), 1)
    if net.shape(x) and net.shape(x)[axis] == 1:
        if net.attributes().get("exclusive", False):
            net.result("Sub", x, x)
        else:
            net.set_result(x)


@of("Sort")
def sort(net, x):
    """(values, places): TopK of all values."""
    given = net.attributes()
    axis = int(given.get("axis", -1))
    net.set_results(*top_values(net, x, net.fixed(x)[axis], axis, bool(given.get("descending", False)), net.out))
