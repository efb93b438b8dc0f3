"""Images and rows of another size: the nearest values are picked, the others are products with a matrix an axis."""

import numpy as np

from mindir.lower.windows import mix, pick
from mindir.rules import rules

RULES, of = rules()
CUBIC = -0.75  # of the kernel's four pieces, as most libraries have it


def sources(size, results, align, half, scale=None):
    """Return where, along an axis, each result lies in the original. `scale`: how much larger the result was asked."""
    wide = np.arange(results, dtype=np.float32)
    if align:
        return wide * np.float32((size - 1) / max(results - 1, 1))
    step = np.float32(1 / scale) if scale else np.float32(size) / np.float32(results)
    return (wide + np.float32(0.5)) * step - np.float32(0.5) if half else wide * step


def nearest(size, results, align=False, half=False, scale=None):
    """Return the place of each result."""
    if half and not align:  # half a pixel on, and down
        found = np.floor(sources(size, results, align, half, scale) + np.float32(0.5))
    else:
        found = sources(size, results, align, False, scale)
        found = np.floor(found + 0.5) if align else np.floor(found)
    return np.clip(found, 0, size - 1).astype(int).tolist()


def linear(size, results, align, half, scale=None):
    """Return the matrix (size, results) of linear interpolation."""
    at = np.clip(sources(size, results, align, half, scale), 0, size - 1)
    low = np.floor(at).astype(int)
    matrix = np.zeros((size, results))
    for index, (place, more) in enumerate(zip(low, at - low)):
        matrix[place, index] += 1 - more
        matrix[min(place + 1, size - 1), index] += more
    return matrix


def cubic(size, results, align, half, scale=None):
    """Return the matrix (size, results) of cubic convolution (Keys 1981); the outermost values go on for ever."""
    at = sources(size, results, align, half, scale).astype(np.float64)
    matrix = np.zeros((size, results))
    for index, place in enumerate(at):
        low = int(np.floor(place))
        for step in range(-1, 3):
            d = abs(place - low - step)
            inner = (CUBIC + 2) * d**3 - (CUBIC + 3) * d**2 + 1
            outer = CUBIC * (d**3 - 5 * d**2 + 8 * d - 4)
            matrix[min(max(low + step, 0), size - 1), index] += inner if d <= 1 else outer
    return matrix


def resized(net, x, how, align, half, scales=None):
    """Return x with the last dimensions of the result's shape."""
    shape, wanted = net.fixed(x), net.out[1]
    scales = scales or (None,) * (len(shape) - 2)
    for axis, scale in zip(range(2, len(shape)), scales):
        if how is nearest:
            x = pick(net, x, axis, nearest(shape[axis], wanted[axis], align, half, scale))
        elif shape[axis] != wanted[axis] or scale not in (None, 1.0):
            x = mix(net, x, axis, how(shape[axis], wanted[axis], align, half, scale))
    return x


@of("ResizeNearestNeighborV2", "ResizeNearestNeighbor")
def resize_nearest(net, x, _, align, half):
    net.give(resized(net, x, nearest, *net.numbers(align, half)))


@of("ResizeBilinearV2")
def resize_linear(net, x, _, align, half):
    net.give(resized(net, x, linear, *net.numbers(align, half)))


@of("ResizeBicubic")
def resize_cubic(net, x, _, align, half):
    align, half = net.numbers(align, half)
    if not align and not half:
        net.refuse("without half_pixel_centers", "set it or align_corners")
    net.give(resized(net, x, cubic, align, half))


@of("UpsampleNearest1D", "UpsampleNearest2D", "UpsampleNearest3D")
def upsample_nearest(net, x, _, scales):
    net.give(resized(net, x, nearest, False, False, net.number(scales)))


@of("UpsampleLinear1D", "UpsampleBilinear2D", "UpsampleTrilinear3D", "UpsampleBicubic2D")
def upsample(net, x, _, scales, align):
    how = cubic if "cubic" in net.op else linear
    net.give(resized(net, x, how, bool(net.number(align)), True, net.number(scales)))
