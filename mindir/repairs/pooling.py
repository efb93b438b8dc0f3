"""Poolings that mindspore_lite 2.0.0's CPU lacks, in 3 dimensions, padded, adaptive: one axis after the other."""

from mindir.lower.pooling import adaptive, pooled
from mindir.lower.windows import extreme, mean
from mindir.rules import rules

RULES, of = rules()


def pads_of(mode, pads, sizes, kernel, strides):
    """Return [(before, after)] for each axis, according to the pad_mode."""
    if mode.upper() == "VALID":
        return [(0, 0)] * len(sizes)
    if mode.upper() == "SAME":
        missing = [max((-(-n // s) - 1) * s + k - n, 0) for n, k, s in zip(sizes, kernel, strides)]
        return [(count // 2, count - count // 2) for count in missing]
    return list(zip(pads[::2], pads[1::2]))


def last_axes(numbers, many):
    """Return an attribute's numbers for the last axes: it has one number for all of them, or one for each."""
    return (numbers,) * many if isinstance(numbers, int) else tuple(numbers)[-many:]


@of("MaxPool3D", "MaxPool3DWithArgmax", "AvgPool3D")
def pool_3d(net, x):
    """For MaxPool3DWithArgmax, only the first item of (values, places)."""
    given, sizes = net.attributes(), net.fixed(x)[-3:]
    kernel, strides = last_axes(given.get("kernel_size", given.get("ksize")), 3), last_axes(given["strides"], 3)
    if given.get("divisor_override"):
        net.refuse("with a divisor", "multiply after it")
    if net.op == "MaxPool3DWithArgmax":
        pads = [(pad, pad) for pad in last_axes(given["pads"], 3)]
        how = {"dilation": last_axes(given["dilation"], 3)}
    else:
        pads = pads_of(given.get("pad_mode", "VALID"), last_axes(given.get("pad_list", 0), 6), sizes, kernel, strides)
        padded = given.get("pad_mode", "VALID").upper() == "PAD"
        counted = bool(given.get("count_include_pad", True)) and padded  # with "same", MindSpore doesn't count padding
        how = {"counted": counted if net.op == "AvgPool3D" else None}
    made = pooled(net, x, kernel, strides, pads, ceil=bool(given.get("ceil_mode", False)), **how)
    net.set_first_result(made) if isinstance(net.out, list) else net.set_result(made)


@of("AdaptiveAvgPool2D", "AdaptiveAvgPool3D", "AdaptiveMaxPool2D")
def adaptive_pool(net, x):
    """Each result's window is all values that its share of the axis touches. Only the first of several outputs."""
    shape, many = net.fixed(x), 3 if net.op.endswith("3D") else 2
    first = net.out[0] if isinstance(net.out, list) else net.out
    if net.op == "AdaptiveAvgPool2D" and first[1][-2:] == (1, 1):
        return net.result("ReduceMean", x, (len(shape) - 2, len(shape) - 1), keep_dims=True)
    made = adaptive(net, x, extreme if "Max" in net.op else mean, many)
    return net.set_first_result(made) if isinstance(net.out, list) else net.set_result(made)


@of("MaxPoolWithArgmaxV2")
def max_pool(net, x):
    """Only the first item of (values, places). Its pads are (1, 1, rows, columns)."""
    given = net.attributes()
    names = ("kernel_size", "strides", "pads", "dilation")
    kernel, strides, pads, dilation = (last_axes(given[name], 2) for name in names)
    how = {"dilation": dilation, "ceil": bool(given.get("ceil_mode", False))}
    net.set_first_result(pooled(net, x, kernel, strides, [(pad, pad) for pad in pads], **how))
