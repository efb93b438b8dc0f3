"""Primitives that change shapes."""

import numpy as np

from mindir.constants import UNKNOWN
from mindir.lower.shapes import rolled
from mindir.repairs.functions import truth_values
from mindir.repairs.indexing import ones_of
from mindir.rules import rules

RULES, of = rules()


@of("Tile")
def tile(net, x, multiples):
    """The engine takes no more multiples than dimensions."""
    many = net.ints(multiples)
    missing = len(many) - len(net.shape(x))
    if missing > 0:
        net.result("Tile", net.reshape(x, (1,) * missing + net.fixed(x)), many)


@of("Transpose")
def transpose(net, x, order):
    """The engine drops a Transpose before a Reshape if its input and output have one shape.

    So a dimension of 1 is moved from the last place to the first on the way, and their shapes differ.
    """
    if net.known(order) is UNKNOWN or net.out is None or net.shape(x) != net.out[1]:
        return
    order, shape = net.ints(order), net.out[1]
    if list(order) == sorted(order):
        return
    wide = net.reshape(x, (*shape, 1))
    turned = net.make("Transpose", wide, (len(order), *order), kind=(net.dtype(x), (1, *shape)))
    net.result_reshaped(turned)


@of("Reshape")
def reshape(net, x, shape):
    """With open dimensions the shape is a tensor; a computed one is replaced by the shape that the file states."""
    if net.out is None:
        return None
    if 0 in net.out[1]:
        net.refuse(f"to the shape {net.out[1]}, which has no values")
    if reuse_earlier_value(net, x):
        return None
    known = net.known(shape)
    new_shape = net.ints(shape) if known is not UNKNOWN else None
    if net.out[1] == () or new_shape is None:
        if new_shape is None and sum(size < 0 for size in net.out[1]) > 1:
            new_shape = _dimensions(net, x, shape)
            if new_shape is not None:
                return net.result("Reshape", x, np.array(new_shape, np.int32))
        return net.result_reshaped(x)
    if min(net.shape(x) + net.out[1] + new_shape, default=1) < 0:
        net.result("Reshape", x, np.array(new_shape, np.int32))
    return None


def _dimensions(net, x, shape):
    """Return the shape in a tuple of numbers and of x's own dimensions; None for any other tuple."""
    new_shape = []
    for place, item in enumerate(net.items.get(shape, [None])):
        number = net.known(item)
        if number is not UNKNOWN:
            new_shape.append(int(np.reshape(number, -1)[0]))
        elif net.dimension.get(item) == (x, place):
            new_shape.append(0)
        else:
            new_shape.append(-1)
    return new_shape if new_shape.count(-1) < 2 else None


@of("TupleGetItem")
def dimension(net, values, place):
    """Remember of which value an item of a Shape is a dimension."""
    if values in net.shapes_of:
        net.dimension[net.node.output[0]] = net.shapes_of[values], int(net.number(place))


@of("Shape", "TensorShape")
def shape_of(net, x):
    net.shapes_of[net.node.output[0]] = x


@of("ExpandDims")
def expand_dims(net, x, axis):
    """With an open dimension the engine's converter takes the axis only as a tensor."""
    if reuse_earlier_value(net, x):
        return
    if not net.shape(x):
        net.result("Reshape", x, (1,))
    elif min(net.shape(x)) < 0:
        net.result("ExpandDims", x, np.array(net.ints(axis)[0], np.int32))


def reuse_earlier_value(net, x):
    """If changes of shape lead back to an earlier value, let that replace the result; return whether they do.

    If a net does nothing else, the engine's converter drops all its nodes, and then can't build what is left.
    """
    first = net.first_shape.setdefault(net.node.output[0], net.first_shape.get(x, x))
    same = net.out is not None and net._kind(first) == net.out and net.out[1].count(-1) < 2 and 0 not in net.out[1]
    if same:
        net.set_result(first)
    return same


@of("Squeeze")
def squeeze(net, x, *_):
    reuse_earlier_value(net, x)


@of("OnesLike", "ZerosLike")
def constant_like(net, x):
    number = int(net.op == "OnesLike")
    if min(net.shape(x), default=1) < 0 and net.dtype(x) == "float32":
        ones = ones_of(net, x)
        return net.set_result(ones if number else net.make("Sub", ones, ones))
    net.check_size(net.fixed(x))
    return net.set_result(np.full(net.fixed(x), number, net.numpy_dtype(net.dtype(x))))


@of("Roll")
def roll(net, x):
    given = net.attributes()
    net.set_result(rolled(net, x, given["shift"], given["axis"]))


@of("Split")
def split(net, x):
    """The engine fuses Split, Sigmoid and Mul, and crashes if the axis is counted from the end."""
    if net.dtype(x) == "bool":
        truth_values(net, x)
        return
    given = net.attributes()
    if given.get("axis", 0) < 0:
        net.result("Split", x, **{**given, "axis": given["axis"] % len(net.shape(x))}, kind=net.out)


@of("Softmax", "LogSoftmax")
def axis_from_the_front(net, x):
    """The only negative axis that the engine takes is -1."""
    given = net.attributes()
    axis = given.get("axis", -1)
    axis = axis[0] if isinstance(axis, tuple) and len(axis) == 1 else axis
    if isinstance(axis, tuple):
        net.refuse(f"over the axes {axis}", "use one axis")
    if axis < -1:
        axis %= len(net.shape(x))
        net.result(net.op, x, **{**given, "axis": (axis,) if net.op == "Softmax" else axis})
