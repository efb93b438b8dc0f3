"""Convolutions, poolings and paddings, of images in NCHW."""

from mindir.lower.padding import filled, padded
from mindir.lower.pooling import adaptive, pooled
from mindir.lower.table import split
from mindir.lower.windows import extreme, mean
from mindir.rules import rules

RULES, of = rules()


def pair(numbers):
    return tuple(numbers) if len(numbers) == 2 else (numbers[0],) * 2


@of("BiasAdd")
def bias_add(net, *args):
    given, inputs = split(net, *args)
    net.result("BiasAdd", *inputs, **given, format=given["data_format"])


@of("Conv2DExt", "Conv2DPadding", "Convolution")
def convolution(net, x, weight, bias, stride, padding, dilation, *more):
    if len(net.shape(weight)) != 4 or len(net.shape(x)) != 4:
        net.refuse(f"of {net.shape(x)} and {net.shape(weight)}", "convolve in two dimensions")
    if net.op == "Convolution":
        transposed, output_padding, groups = net.numbers(*more[:3])
        if transposed:
            net.refuse("transposed", "use nn.Conv2dTranspose")
    else:
        groups = net.number(more[0])
    stride, dilation, padding = pair(net.ints(stride)), pair(net.ints(dilation)), net.number(padding)
    pads, mode, kernel = (0, 0, 0, 0), "valid", net.shape(weight)[2:]
    if padding == "same" or padding == 1 and net.op == "Conv2DPadding":
        mode = "same"
    elif net.op != "Conv2DPadding":
        rows, columns = pair(padding if isinstance(padding, tuple) else (padding,))
        pads, mode = (rows, rows, columns, columns), "pad"
    how = {
        "kernel_size": kernel, "mode": 1, "out_channel": net.shape(weight)[0], "pad": pads, "pad_list": pads,
        "pad_mode": mode, "stride": (1, 1, *stride), "dilation": (1, 1, *dilation), "group": groups, "groups": groups,
        "format": "NCHW",
    }  # fmt: skip
    if net.known(bias) is None:
        return net.result("Conv2D", x, weight, **how)
    made = net.make("Conv2D", x, weight, kind=net.out, **how)
    net.result("BiasAdd", made, bias, format="NCHW", data_format="NCHW")
    return None


def window(net, kernel, stride):
    kernel = pair(net.ints(kernel))
    given = net.known(stride)
    stride = kernel if given is None or given == () else pair(net.ints(stride))
    return {"kernel_size": (1, 1, *kernel), "strides": (1, 1, *stride), "pad_mode": "VALID", "format": "NCHW"}


def windows_of(net, x, kernel, stride, padding, many):
    """Return the kernel, the strides and the pads [(before, after)] of a pooling over the last `many` axes."""
    kernel = last_axes(net.ints(kernel), many)
    given = net.known(stride)
    stride = kernel if given is None or given == () else last_axes(net.ints(stride), many)
    return kernel, stride, [(count, count) for count in last_axes(net.ints(padding), many)]


def last_axes(numbers, many):
    return tuple(numbers) * many if len(numbers) == 1 else tuple(numbers)


@of("AvgPool1D", "AvgPool2D", "AvgPool3DExt")
def average_pool(net, x, kernel, stride, padding, ceil, include, divisor=None):
    if divisor is not None and net.number(divisor) is not None:
        net.refuse("with a divisor", "multiply after it")
    many = {"AvgPool1D": 1, "AvgPool2D": 2, "AvgPool3DExt": 3}[net.op]
    if many == 2 and not any(net.ints(padding)) and not net.number(ceil):
        return net.result("AvgPool", x, **window(net, kernel, stride))
    found = windows_of(net, x, kernel, stride, padding, many)
    return net.set_result(pooled(net, x, *found, ceil=bool(net.number(ceil)), counted=bool(net.number(include))))


@of("MaxPoolWithMask", "MaxPoolWithIndices")
def max_pool(net, x, kernel, stride, padding, dilation, ceil, *_):
    """(values, places); a node that takes the places is refused, as they aren't computed."""
    if not any(net.ints(padding)) and set(net.ints(dilation)) == {1} and not net.number(ceil):
        return net.set_first_result(net.make("MaxPool", x, kind=net.out[0], **window(net, kernel, stride)))
    found = windows_of(net, x, kernel, stride, padding, 2)
    how = {"dilation": last_axes(net.ints(dilation), 2), "ceil": bool(net.number(ceil))}
    return net.set_first_result(pooled(net, x, *found, **how))


@of("AdaptiveAvgPool1D", "AdaptiveAvgPool3DExt", "AdaptiveMaxPool1D", "AdaptiveMaxPool2DExt")
def adaptive_windows_of_all(net, x, _):
    many = {"1": 1, "2": 2, "3": 3}[net.op.replace("Ext", "")[-2]]
    made = adaptive(net, x, extreme if "Max" in net.op else mean, many)
    net.set_first_result(made) if isinstance(net.out, list) else net.set_result(made)


@of("AdaptiveAvgPool2DExt")
def adaptive_pool(net, x, _):
    net.result("AdaptiveAvgPool2D", x, output_size=net.out[1][-2:])


@of("ConstantPadND")
def pad(net, x, pads, value):
    """The pads are pairs, the last axis first."""
    pads, number = net.ints(pads), net.number(value)
    if number == 0 and min(pads) >= 0:
        net.result("Pad", x, paddings=tuple(pairs(net, x, pads)))
    else:
        net.set_result(filled(net, x, pairs(net, x, pads), number))


PADS = {"Reflection": "reflect", "Replication": "edge", "Circular": "circular"}


@of(*(f"{name}Pad{many}D" for name in PADS for many in (1, 2, 3)))
def pad_with_values(net, x, pads):
    mode = next(mode for name, mode in PADS.items() if net.op.startswith(name))
    net.set_result(padded(net, x, mode, pairs(net, x, net.ints(pads))))


def pairs(net, x, pads):
    """Return [(before, after), ...] by axis, from a list with the last axis first."""
    found = [(pads[index], pads[index + 1]) for index in range(0, len(pads), 2)][::-1]
    return [(0, 0)] * (len(net.shape(x)) - len(found)) + found
