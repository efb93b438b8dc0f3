"""Primitives that change shapes: views, splits, stacks."""

from mindir.constants import UNKNOWN
from mindir.lower.table import split as by_table
from mindir.rules import rules
from mindir.shapes import product

RULES, of = rules()


def parts(net, x, axis, kinds, result=True):
    """Split x along an axis into parts of these kinds."""
    axis %= max(len(net.shape(x)), 1)
    sizes = tuple(kind[1][axis] for kind in kinds)
    if min(sizes) < 0:
        net.refuse("along an open dimension", "export it with a fixed shape")
    how = {"axis": axis, "output_num": len(sizes), "num_split": len(sizes), "size_splits": sizes}
    if result:
        return net.result("Split", x, **how)
    both = net.make("Split", x, kind=list(kinds), **how)
    return [net.make("TupleGetItem", both, index, kind=kind) for index, kind in enumerate(kinds)]


@of("Split", "SplitTensor", "SplitTensorView", "SplitWithSize", "SplitWithSizeView", "Chunk", "ChunkView")
def split(net, x, *args):
    """The axis is the last argument, except Split's; the parts and their sizes are those of the file's result."""
    parts(net, x, int(net.number(args[0] if net.op == "Split" else args[-1])), net.out)


@of("Concat")
def concat(net, *args):
    given, inputs = by_table(net, *args)
    count = len(net.tuples.get(inputs[0], ()))
    net.result("Concat", *inputs, axis=given["axis"], N=count, inputNums=count)


@of("StackExt")
def stack(net, values, axis):
    count = len(net.tuples.get(values, ()))
    net.result("Stack", values, axis=int(net.number(axis)), num=count, N=count)


@of("UnstackExtView", "UnstackExt")
def unstack(net, x, axis):
    net.result("Unstack", x, axis=int(net.number(axis)), num=len(net.out))


@of("TransposeView", "Transpose")
def transpose(net, x, order):
    if net.known(order) is not UNKNOWN:
        rank = len(net.shape(x))
        net.result("Transpose", x, tuple(axis % rank for axis in net.ints(order)))


@of("TransposeExtView", "TransposeExt")
def swap_two(net, x, first, second):
    rank = len(net.shape(x))
    order = list(range(rank))
    first, second = (axis % rank for axis in net.numbers(first, second))
    order[first], order[second] = second, first
    net.result("Transpose", x, tuple(order))


@of("TExt")
def transpose_matrix(net, x):
    net.result("Transpose", x, tuple(range(len(net.shape(x))))[::-1])


@of("ExpandDims", "ExpandDimsView")
def expand_dims(net, x, axis):
    net.result("ExpandDims", x, int(net.number(axis)))


@of("Squeeze")
def squeeze(net, x, axis):
    axes = net.ints(axis) or tuple(index for index, size in enumerate(net.fixed(x)) if size == 1)
    rank = len(net.shape(x))
    axes = tuple(index % rank for index in axes if net.shape(x)[index % rank] == 1)
    if axes:
        net.result("Squeeze", x, axis=axes)
    else:
        net.set_result(x)


@of("SqueezeView", "FlattenExt", "View", "ReshapeView", "Unsqueeze", "UnsqueezeView")
def reshape(net, x, *_):
    net.result_reshaped(x)


@of("BroadcastTo", "BroadcastToView", "ExpandAs")
def broadcast(net, x, *_):
    if min(net.out[1], default=1) < 0:
        net.refuse(f"to the open shape {net.out[1]}", "export it with a fixed shape")
    net.result("BroadcastTo", x, shape=net.out[1])


@of("RepeatInterleaveInt")
def repeat_interleave(net, x, repeats, axis, *_):
    """Each of the values along an axis `repeats` times: Tile along a new dimension."""
    repeats, axis = net.numbers(repeats, axis)
    shape = net.fixed(x)
    if axis is None:
        shape, axis = (product(shape),), 0
    axis %= len(shape)
    wide = (*shape[: axis + 1], 1, *shape[axis + 1 :])
    tiled = (*shape[: axis + 1], int(repeats), *shape[axis + 1 :])
    many = tuple(int(repeats) if index == axis + 1 else 1 for index in range(len(wide)))
    net.result_reshaped(net.make("Tile", net.reshape(x, wide), many, kind=(net.dtype(x), tiled)))


@of("Tile")
def tile(net, x, multiples):
    net.result("Tile", x, net.ints(multiples))


@of("Roll")
def roll(net, x, shifts, axes):
    net.set_result(rolled(net, x, net.number(shifts), net.number(axes)))


def rolled(net, x, shifts, axes):
    """Return x with the last `shift` values of each axis at the front."""
    if axes is None or axes == ():
        net.refuse("without axes", "give dims")
    axes, shifts = ((given,) if isinstance(given, int) else given for given in (axes, shifts))
    shape = net.fixed(x)
    for axis, shift in zip(axes, shifts):
        axis %= len(shape)
        size = shape[axis]
        if shift % size:
            sizes = (size - shift % size, shift % size)
            kinds = [(net.dtype(x), (*shape[:axis], length, *shape[axis + 1 :])) for length in sizes]
            first, last = parts(net, x, axis, kinds, result=False)
            both = net.make("MakeTuple", last, first, kind=kinds[::-1])
            x = net.make("Concat", both, kind=(net.dtype(x), shape), axis=axis, N=2, inputNums=2)
    return x


@of("Meshgrid")
def meshgrid(net, values, indexing):
    """Each vector along its own axis, broadcast to all of them."""
    vectors, order = net.items.get(values, ()), net.number(indexing)
    if not vectors or min(min(kind[1]) for kind in net.out) < 0:
        net.refuse("of an open shape", "export it with a fixed shape")
    made = []
    for place, (value, kind) in enumerate(zip(vectors, net.out)):
        if order == 1 and place < 2:  # "xy"; "ij" is 0
            place = 1 - place
        one = tuple(size if index == place else 1 for index, size in enumerate(kind[1]))
        made.append(net.expand(net.reshape(value, one), kind[1]))
    net.set_results(*made)
