"""Made with TopK: sorted values and their places, along the last axis."""

from mindir.constants import Type
from mindir.rules import rules

RULES, of = rules()


def top_values(net, x, count, axis, largest, kinds):
    """Return the `count` largest or smallest values along an axis, and their places, in the kinds (values, places)."""
    rank, (dtype, shape), (place_dtype, _) = len(net.shape(x)), *kinds
    axis %= max(rank, 1)
    order = [index for index in range(rank) if index != axis] + [axis]
    if axis != rank - 1:
        x = transpose_axes(net, x, order)
    x = x if largest else net.make("Neg", x)
    turned = tuple(shape[index] for index in order)
    both_kinds = [(dtype, turned), ("int32", turned)]
    both = net.make("TopK", x, count, kind=both_kinds, sorted=True)
    value, place = (net.make("TupleGetItem", both, index, kind=kind) for index, kind in enumerate(both_kinds))
    value = value if largest else net.make("Neg", value)
    if axis != rank - 1:
        back = sorted(range(rank), key=order.__getitem__)
        value, place = transpose_axes(net, value, back), transpose_axes(net, place, back)
    return value, net.cast(place, place_dtype)


def transpose_axes(net, x, order):
    shape = net.shape(x)
    return net.make("Transpose", x, tuple(order), kind=(net.dtype(x), tuple(shape[index] for index in order)))


@of("TopkExt")
def topk(net, x, count, axis, largest, *_):
    count, axis, largest = net.numbers(count, axis, largest)
    net.set_results(*top_values(net, x, int(count), axis, largest, net.out))


@of("SortExt")
def sort(net, x, axis, down, *_):
    axis, down = net.numbers(axis, down)
    net.set_results(*top_values(net, x, net.fixed(x)[axis], axis, down, net.out))


@of("ArgSort")
def argsort(net, x, axis, down, *_):
    axis, down = net.numbers(axis, down)
    kinds = [net._kind(x), ("int32", net.out[1])]
    place = top_values(net, x, net.fixed(x)[axis], axis, down, kinds)[1]
    if net.out[0] == "int32":
        net.set_result(place)
    else:
        net.result("Cast", place, Type(net.out[0]))


@of("CumsumExt")
def cumulative_sum(net, x, axis, *_):
    net.result("CumSum", net.cast(x, net.out[0]), int(net.number(axis)), exclusive=False, reverse=False)
