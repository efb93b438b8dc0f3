"""Sums, extremes and their places."""

from mindir.lower.reductions import variance
from mindir.rules import rules
from mindir.shapes import product, reduced

RULES, of = rules()
REDUCTIONS = ("ReduceMax", "ReduceMin", "ReduceMean", "ReduceSum", "ReduceProd", "ReduceAll", "ReduceAny")


def keeps(net):
    return bool(net.attributes().get("keep_dims", False))


@of(*REDUCTIONS)
def write_axes_out(net, x, axis):
    """Axes () are all, on which the engine hangs; and its own ReduceMax begins with 1.2e-38, not with -inf."""
    axes, keep = net.axes(axis, len(net.shape(x))), keeps(net)
    more = {"skip_mode": False} if net.op == "ReduceSum" else {}
    if not axes:
        net.give(x)
    elif net.op == "ReduceMax":
        kind = net.dtype(x), reduced(net.shape(x), axes, keep)
        net.result("Neg", net.make("ReduceMin", net.make("Neg", x), axes, kind=kind, keep_dims=keep))
    elif net.op == "ReduceAny":
        kind = net.dtype(x), reduced(net.shape(x), axes, keep)
        net.result("LogicalNot", net.make("ReduceAll", net.make("LogicalNot", x), axes, kind=kind, keep_dims=keep))
    else:
        net.result(net.op, x, axes, keep_dims=keep, **more)


@of("ReduceStd")
def standard_deviation(net, x):
    """(standard deviation, mean): the engine's have wrong shapes."""
    given = net.attributes()
    rank, shape = len(net.shape(x)), net.fixed(x)
    axes = given.get("axis", ())
    axes = (axes,) if isinstance(axes, int) else tuple(axes)
    axes = tuple(sorted({each % rank for each in axes})) or tuple(range(rank))
    count = product(shape[each] for each in axes) - bool(given.get("unbiased", True))
    mean, square = variance(net, x, axes, count)
    net.give_all(*(net.reshape(each, kind[1]) for each, kind in zip((net.make("Sqrt", square), mean), net.out)))


@of("Argmin")
def place_of_least(net, x):
    """The place of the largest of -x: the engine builds no Argmin."""
    net.result("Argmax", net.make("Neg", x), **{key: value for key, value in net.attributes().items() if key in ("axis", "output_type")})


@of("ArgMinWithValue")
def least_and_place(net, x):
    given = net.attributes()
    axis, keep = int(given.get("axis", 0)), bool(given.get("keep_dims", False))
    (_, shape), (dtype, _) = net.out
    kinds = [("int32", shape), (dtype, shape)]
    both = net.make("ArgMaxWithValue", net.make("Neg", x), kind=kinds, axis=axis, dimension=axis, keep_dims=keep)
    place, value = (net.make("TupleGetItem", both, index, kind=kind) for index, kind in enumerate(kinds))
    net.give_all(place, net.make("Neg", value))
