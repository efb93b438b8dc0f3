"""Parts of tensors: slices, rows by number, values chosen by a mask."""

import numpy as np

from mindir.constants import UNKNOWN
from mindir.rules import rules

RULES, of = rules()


def cut_out(net, x, axis, start, stop, step=1, drop=False):
    """Make the result x from start to stop along an axis; `drop` leaves that axis out."""
    rank = len(net.shape(x))
    axis %= max(rank, 1)
    size = net.shape(x)[axis]
    if size >= 0:
        start, stop = (min(max(place + size if place < 0 else place, 0), size) for place in (start, stop))
    begin, end, strides = [0] * rank, [0] * rank, [1] * rank
    begin[axis], end[axis], strides[axis] = start, stop, step
    whole = sum(1 << index for index in range(rank) if index != axis)
    masks = {"begin_mask": whole, "end_mask": whole, "ellipsis_mask": 0, "new_axis_mask": 0}
    shrink = (1 << axis) if drop else 0
    net.result("StridedSlice", x, tuple(begin), tuple(end), tuple(strides), **masks, shrink_axis_mask=shrink)


@of("SliceExt", "SliceExtView")
def from_to(net, x, axis, start, stop, step):
    cut_out(net, x, *net.numbers(axis, start, stop, step))


@of("Narrow", "NarrowView")
def narrow(net, x, axis, start, length):
    axis, start, length = net.numbers(axis, start, length)
    start += net.shape(x)[axis] if start < 0 else 0
    cut_out(net, x, axis, start, start + length)


@of("SelectExt", "SelectExtView")
def at(net, x, axis, index):
    axis, index = net.numbers(axis, index)
    index += net.shape(x)[axis] if index < 0 else 0
    cut_out(net, x, axis, index, index + 1, drop=True)


@of("IndexSelect")
def index_select(net, x, axis, indices):
    net.result("Gather", x, indices, int(net.number(axis)), batch_dims=0)


@of("Embedding")
def embedding(net, indices, table, padding, max_norm, *_):
    if net.known(max_norm) is not None:
        net.refuse("with max_norm", "scale the rows before the export")
    net.result("Gather", table, indices, 0, batch_dims=0)


@of("MaskedFill", "MaskedFillScalar")
def masked_fill(net, x, mask, value):
    """Select; mindir.repairs broadcasts its inputs."""
    number = net.known(value)
    dtype = net.out[0]
    if number is not UNKNOWN:
        value = net.constant(np.asarray(number).astype(net.numpy_dtype(dtype)))
    net.result("Select", mask, net.cast(value, dtype), net.cast(x, dtype))


@of("TrilExt", "Triu", "Tril", "TriuExt")
def triangle(net, x, diagonal):
    net.result("Triu" if "Triu" in net.op else "Tril", x, diagonal=int(net.number(diagonal)))
