"""Resize images and rows: pick the nearest values, or multiply by a matrix along each axis."""

import numpy as np

from mindir.lower.windows import multiply_along, pick_places
from mindir.rules import rules

RULES, of = rules()


def sources(size, results, align, half, scale=None):
    """Return where, along an axis, each result is in the original. `scale`: how many times larger it should be."""
    wide = np.arange(results, dtype=np.float32)
    if align:
        return wide * np.float32((size - 1) / max(results - 1, 1))
    step = np.float32(1 / scale) if scale else np.float32(size) / np.float32(results)
    return (wide + np.float32(0.5)) * step - np.float32(0.5) if half else wide * step


def nearest(size, results, align=False, half=False, scale=None):
    """Return the place of each result's nearest value."""
    if half and not align:  # half a pixel on, and down
        found = np.floor(sources(size, results, align, half, scale) + np.float32(0.5))
    else:
        found = sources(size, results, align, False, scale)
        found = np.floor(found + 0.5) if align else np.floor(found)
    return np.clip(found, 0, size - 1).astype(int).tolist()


def linear(size, results, align, half, scale=None):
    """Return the matrix (size, results) for linear interpolation."""
    at = np.clip(sources(size, results, align, half, scale), 0, size - 1)
    low = np.floor(at).astype(int)
    matrix = np.zeros((size, results))
    for index, (place, more) in enumerate(zip(low, at - low)):
        matrix[place, index] += 1 - more
        matrix[min(place + 1, size - 1), index] += more
    return matrix


def resized(net, x, how, align, half, scales=None):
    """Return x with the last dimensions of the result's shape."""
    shape, wanted = net.fixed(x), net.out[1]
    scales = scales or (None,) * (len(shape) - 2)
    for axis, scale in zip(range(2, len(shape)), scales):
        if how is nearest:
            x = pick_places(net, x, axis, nearest(shape[axis], wanted[axis], align, half, scale))
        elif shape[axis] != wanted[axis] or scale not in (None, 1.0):
            x = multiply_along(net, x, axis, how(shape[axis], wanted[axis], align, half, scale))
    return x


@of("ResizeNearestNeighborV2", "ResizeNearestNeighbor")
def resize_nearest(net, x, _, align, half):
    net.set_result(resized(net, x, nearest, *net.numbers(align, half)))


@of("ResizeBilinearV2")
def resize_linear(net, x, _, align, half):
    net.set_result(resized(net, x, linear, *net.numbers(align, half)))


@of("UpsampleNearest1D", "UpsampleNearest2D", "UpsampleNearest3D")
def upsample_nearest(net, x, _, scales):
    net.set_result(resized(net, x, nearest, False, False, net.number(scales)))


@of("UpsampleLinear1D", "UpsampleBilinear2D", "UpsampleTrilinear3D")
def upsample(net, x, _, scales, align):
    net.set_result(resized(net, x, linear, bool(net.number(align)), True, net.number(scales)))
