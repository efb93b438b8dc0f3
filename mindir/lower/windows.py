"""Operations along one axis: pick places, multiply by a matrix, take extremes of windows.

Poolings, paddings and resizings of all kinds are made of them, one axis after the other: a window's maximum is that of
its rows' maxima, and a mean or a linear interpolation is a product with a constant matrix.
"""

import numpy as np

from mindir.shapes import product


def pick_places(net, x, axis, places):
    """Return x with the values at these places along an axis, in their order."""
    shape = net.shape(x)
    if list(places) == list(range(shape[axis])):
        return x
    kind = net.dtype(x), (*shape[:axis], len(places), *shape[axis + 1 :])
    return net.make("Gather", x, np.array(places, np.int32), axis, kind=kind, batch_dims=0)


def multiply_along(net, x, axis, matrix):
    """Return x times the matrix (places, results) along an axis."""
    shape, results = net.fixed(x), matrix.shape[1]
    outer, inner = product(shape[:axis]), product(shape[axis + 1 :])
    flags = {"transpose_a": False, "transpose_b": False, "transpose_x1": False, "transpose_x2": False}
    matrix = np.ascontiguousarray(matrix, np.float32)
    flat = net.reshape(x, (outer, shape[axis], inner))
    flat = net.reshape(swap_last_axes(net, flat) if inner > 1 else flat, (outer * inner, shape[axis]))
    made = net.make("MatMul", flat, matrix, kind=(net.dtype(x), (outer * inner, results)), **flags)
    if inner > 1:
        made = swap_last_axes(net, net.reshape(made, (outer, inner, results)))
    return net.reshape(made, (*shape[:axis], results, *shape[axis + 1 :]))


def swap_last_axes(net, x):
    """Return x (a, b, c) as (a, c, b), through (1, a, c, b): an engine drops a Transpose that keeps the shape."""
    a, b, c = net.shape(x)
    wide = net.reshape(x, (a, b, c, 1))
    turned = net.make("Transpose", wide, (3, 0, 2, 1), kind=(net.dtype(x), (1, a, c, b)))
    return net.reshape(turned, (a, c, b))


def extreme(net, x, axis, windows):
    """Return the maximum of each window, a list of places, along an axis."""
    size = max(map(len, windows))
    places = [place for window in windows for place in (*window, *[window[-1]] * (size - len(window)))]
    shape = net.fixed(x)
    made = pick_places(net, x, axis, places)
    if size == 1:
        return made
    parts = (*shape[:axis], len(windows), size, *shape[axis + 1 :])
    # the engine's ReduceMax starts from 1.2e-38 where the axis isn't the last, so ReduceMin between two Neg
    made = net.make("Neg", net.reshape(made, parts))
    kind = net.dtype(x), (*shape[:axis], len(windows), *shape[axis + 1 :])
    made = net.make("ReduceMin", made, (axis + 1,), kind=kind, keep_dims=False)
    return net.make("Neg", made)


def mean(net, x, axis, windows, counts=None):
    """Return the sum of each window along an axis divided by its count, which is its size unless counts are given."""
    matrix = np.zeros((net.fixed(x)[axis], len(windows)))
    for index, window in enumerate(windows):
        for place in window:
            matrix[place, index] += 1 / (counts[index] if counts else len(window))
    return multiply_along(net, x, axis, matrix)


def pool_windows(size, kernel, stride, before, after, dilation, ceil):
    """Return the windows of a pooling along an axis, without padding, and how many places each has with padding."""
    whole = size + before + after - dilation * (kernel - 1) - 1
    count = (-(-whole // stride) if ceil else whole // stride) + 1
    if ceil and (count - 1) * stride >= size + before:
        count -= 1
    windows, counts = [], []
    for index in range(count):
        first = index * stride - before
        places = [first + step * dilation for step in range(kernel)]
        windows.append([place for place in places if 0 <= place < size])
        counts.append(sum(place < size + after for place in places))
    return windows, counts


def adaptive_windows(size, results):
    return [list(range(index * size // results, -(-(index + 1) * size // results))) for index in range(results)]
