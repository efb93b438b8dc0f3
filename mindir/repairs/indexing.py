"""Parts of tensors, and values where a mask says so."""

import numpy as np

from mindir.constants import Type
from mindir.rules import rules

RULES, of = rules()


@of("Gather")
def gather(net, x, indices, axis):
    """The engine takes no negative axis, and overlooks batch_dims."""
    batch = int(net.attributes().get("batch_dims", 0))
    if batch % max(1, len(net.shape(indices))):
        net.refuse(f"with batch_dims {batch}, which mindspore_lite 2.0 overlooks", "use GatherD")
    net.result("Gather", x, indices, int(net.ints(axis)[0]) % max(1, len(net.shape(x))), batch_dims=0)


@of("Select")
def select(net, mask, x, y):
    """The engine broadcasts nothing here."""
    shape = net.out[1]
    if any(net.shape(each) != shape for each in (mask, x, y)):
        net.result("Select", *(expand(net, each, shape) for each in (mask, x, y)))


@of("MaskedFill")
def masked_fill(net, x, mask, value):
    dtype, shape = net.out
    net.result("Select", expand(net, mask, shape), expand(net, net.cast(value, dtype), shape), expand(net, x, shape))


def expand(net, value, shape):
    """Return the value broadcast to the shape; truth values by way of int32, which the engine's BroadcastTo takes."""
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
    net.room(shape)
    mask = (np.triu if net.op == "Triu" else np.tril)(np.ones(net.fixed(x)[-2:]), diagonal).astype(bool)
    net.result("Select", np.broadcast_to(mask, shape).copy(), x, np.zeros(shape, net.numpy_dtype(dtype)))


@of("StridedSlice")
def slice_of_truth_values(net, x, begin, end, strides):
    """Which the engine hasn't: of whole numbers."""
    if net.dtype(x) == "bool":
        made = net.make(
            "StridedSlice", net.cast(x, "int32"), begin, end, strides, kind=("int32", net.out[1]), **net.attributes()
        )
        net.result("NotEqual", made, np.array(0, np.int32))


@of("OneHot")
def one_hot(net, indices, depth, on, off):
    """The engine's gives float32 only."""
    axis, dtype = net.attributes().get("axis", -1), net.out[0]
    on, off = (np.asarray(net.number(each)).astype(np.float32).reshape(()) for each in (on, off))
    if net.numpy_dtype(dtype) == "float32":
        return net.result("OneHot", indices, int(net.number(depth)), on, off, axis=axis)
    made = net.make("OneHot", indices, int(net.number(depth)), on, off, kind=("float32", net.out[1]), axis=axis)
    net.result("Cast", made, Type(net.numpy_dtype(dtype)))
    return None
