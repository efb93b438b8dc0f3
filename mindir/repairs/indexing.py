"""Parts of tensors, and values chosen by a mask."""

import numpy as np

from mindir.constants import UNKNOWN, Type
from mindir.rules import rules

RULES, of = rules()


@of("Gather")
def gather(net, x, indices, axis):
    """The engine takes no negative axis, and ignores batch_dims."""
    batch = int(net.attributes().get("batch_dims", 0))
    if batch % max(1, len(net.shape(indices))):
        net.refuse(f"with batch_dims {batch}, which mindspore_lite 2.0 overlooks", "use GatherD")
    net.result("Gather", x, indices, int(net.ints(axis)[0]) % max(1, len(net.shape(x))), batch_dims=0)


@of("Select")
def select(net, mask, x, y):
    """The engine doesn't broadcast here."""
    shape = net.out[1]
    if any(net.shape(value) != shape for value in (mask, x, y)):
        net.result("Select", *expand_all(net, (mask, x, y), shape))


@of("MaskedFill")
def masked_fill(net, x, mask, value):
    dtype, shape = net.out
    net.result("Select", *expand_all(net, (mask, net.cast(value, dtype), x), shape))


def expand_all(net, values, shape):
    """Return the values broadcast to the shape; to an open one by products with ones, made from one of the values."""
    whole = next((value for value in values if net.shape(value) == shape), None)
    if min(shape, default=1) >= 0 or whole is None:
        return [expand(net, value, shape) for value in values]
    return [value if net.shape(value) == shape else spread(net, value, ones_of(net, whole)) for value in values]


def ones_of(net, x):
    """Return float32 ones in the shape of x, whatever its values are."""
    true = x if net.dtype(x) == "bool" else net.make("Greater", x, net.like(x, 0), kind=("bool", net.shape(x)))
    always = net.make("LogicalOr", true, net.make("LogicalNot", true))
    return net.make("Cast", always, Type("float32"), kind=("float32", net.shape(x)))


def spread(net, value, ones):
    """Return the value, float32 or bool, in the shape of the ones."""
    if net.dtype(value) not in ("float32", "bool"):
        net.refuse(f"broadcasts {net.dtype(value)} to an open shape", "export it with a fixed shape")
    wide = net.make("Mul", net.cast(value, "float32"), ones)
    if net.dtype(value) == "float32":
        return wide
    return net.make("NotEqual", wide, np.array(0, np.float32), kind=("bool", net.shape(ones)))


def expand(net, value, shape):
    """Return the value broadcast to the shape; truth values as int32, which the engine's BroadcastTo takes."""
    if net.shape(value) == tuple(shape):
        return value
    if net.dtype(value) != "bool":
        return net.expand(value, shape)
    wide = net.expand(net.cast(value, "int32"), shape)
    return net.make("NotEqual", wide, np.array(0, np.int32), kind=("bool", tuple(shape)))


@of("Tril", "Triu")
def triangle(net, x):
    """Select with a constant: the engine has neither."""
    diagonal = int(net.attributes().get("diagonal", 0))
    dtype, shape = net.out
    net.check_size(shape)
    mask = (np.triu if net.op == "Triu" else np.tril)(np.ones(net.fixed(x)[-2:]), diagonal).astype(bool)
    net.result("Select", np.broadcast_to(mask, shape).copy(), x, np.zeros(shape, net.numpy_dtype(dtype)))


@of("StridedSlice")
def strided_slice(net, x, begin, end, strides):
    """The engine has it for numbers only, and going backwards it ignores the masks of first and last."""
    given = net.attributes()
    backwards = any(step < 0 for step in net.ints(strides)) if net.known(strides) is not UNKNOWN else False
    if backwards:
        begin, end = written_out(net, net.fixed(x), net.ints(begin), net.ints(end), net.ints(strides), given)
        given.update(begin_mask=0, end_mask=0)
    if net.dtype(x) == "bool":
        made = net.make("StridedSlice", net.cast(x, "int32"), begin, end, strides, kind=("int32", net.out[1]), **given)
        net.result("NotEqual", made, np.array(0, np.int32))
    elif backwards:
        net.result("StridedSlice", x, begin, end, strides, **given)


def written_out(net, shape, begin, end, strides, given):
    """Return first and last places without masks: -1 - size is the place before the first value."""
    if given.get("ellipsis_mask") or given.get("new_axis_mask"):
        net.refuse("that goes backwards beside an ellipsis or a new axis", "slice in two steps")
    first, last = list(begin), list(end)
    for axis, (size, step) in enumerate(zip(shape, strides)):
        if given.get("begin_mask", 0) >> axis & 1:
            first[axis] = 0 if step > 0 else size - 1
        if given.get("end_mask", 0) >> axis & 1:
            last[axis] = size if step > 0 else -1 - size
    return tuple(first), tuple(last)


@of("OneHot")
def one_hot(net, indices, depth, on, off):
    """The engine's result is always float32."""
    axis, dtype = net.attributes().get("axis", -1), net.out[0]
    on, off = (np.asarray(net.number(value)).astype(np.float32).reshape(()) for value in (on, off))
    if net.numpy_dtype(dtype) == "float32":
        return net.result("OneHot", indices, int(net.number(depth)), on, off, axis=axis)
    made = net.make("OneHot", indices, int(net.number(depth)), on, off, kind=("float32", net.out[1]), axis=axis)
    net.result("Cast", made, Type(net.numpy_dtype(dtype)))
    return None


def whole_sizes(net, x, begin, size):
    """TensorRT's plug-in takes a size of -1 for all of the dimension, wherever the part begins."""
    if net.known(size) is not UNKNOWN and -1 in net.ints(size) and min(net.out[1], default=0) >= 0:
        net.result("Slice", x, begin, net.out[1])
