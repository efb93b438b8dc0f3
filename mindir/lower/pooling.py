"""Poolings of any kind, one axis after the other."""

from mindir.lower.windows import adaptive_windows, extreme, mean, pool_windows


def pooled(net, x, kernel, strides, pads, dilation=None, ceil=False, counted=None):
    """Return the maxima of windows over the last dimensions, or the means if `counted` says whether padding counts."""
    shape, many = net.fixed(x), len(kernel)
    for place in range(many):
        axis, (before, after) = len(shape) - many + place, pads[place]
        step = dilation[place] if dilation else 1
        windows, counts = pool_windows(shape[axis], kernel[place], strides[place], before, after, step, ceil)
        if not all(windows):
            net.refuse("has windows that hold padding only", "pad less")
        if counted is None:
            x = extreme(net, x, axis, windows)
        else:
            x = mean(net, x, axis, windows, counts if counted else None)
    wanted = (net.out[0] if isinstance(net.out, list) else net.out)[1]
    if net.shape(x) != wanted:
        net.refuse(f"gives the shape {wanted}, and by its arguments {net.shape(x)}", "export it again")
    return x


def adaptive(net, x, step, many):
    """Return a pooling to the result's shape: a window is all values that its share of the axis touches."""
    shape = net.fixed(x)
    wanted = (net.out[0] if isinstance(net.out, list) else net.out)[1]
    for axis in range(len(shape) - many, len(shape)):
        x = step(net, x, axis, adaptive_windows(shape[axis], wanted[axis]))
    return x
