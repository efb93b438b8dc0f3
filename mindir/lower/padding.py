"""Padding: with numbers by Concat, with the values themselves by Gather, one axis after the other."""

import numpy as np

from mindir.lower.windows import pick_places


def places(mode, size, before, after):
    """Return, for each place of the padded axis, the place whose value it gets."""
    wanted = np.arange(-before, size + after)
    if mode == "edge":
        return np.clip(wanted, 0, size - 1)
    if mode in ("circular", "wrap"):
        return wanted % size
    period = 2 * size if mode == "symmetric" else max(2 * size - 2, 1)  # symmetric: the edge itself is repeated
    wanted = wanted % period
    return np.where(wanted < size, wanted, period - wanted - (mode == "symmetric"))


def padded(net, x, mode, pairs):
    """Return x with (before, after) more values along each axis, taken from x; fewer if negative."""
    for axis, (before, after) in enumerate(pairs):
        x = pick_places(net, x, axis, places(mode, net.fixed(x)[axis], before, after).tolist())
    return x


def filled(net, x, pairs, number):
    """Return x padded with the number, (before, after) times along each axis."""
    for axis, (before, after) in enumerate(pairs):
        if min(before, after) < 0:
            size = net.fixed(x)[axis]
            x = pick_places(net, x, axis, range(max(-before, 0), size - max(-after, 0)))
            before, after = max(before, 0), max(after, 0)
        shape, dtype = net.fixed(x), net.dtype(x)
        ends = [
            net.constant(np.full((*shape[:axis], size, *shape[axis + 1 :]), number, net.numpy_dtype(dtype)))
            for size in (before, after)
        ]
        parts = [value for value, size in ((ends[0], before), (x, 1), (ends[1], after)) if size]
        if len(parts) > 1:
            both = net.make("MakeTuple", *parts, kind=[net._kind(part) for part in parts])
            kind = dtype, (*shape[:axis], shape[axis] + before + after, *shape[axis + 1 :])
            x = net.make("Concat", both, kind=kind, axis=axis, N=len(parts), inputNums=len(parts))
    return x
