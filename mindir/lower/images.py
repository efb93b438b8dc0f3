"""Convolutions, poolings and paddings, of images in NCHW."""

from mindir.lower.table import split
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


@of("AvgPool2D")
def average_pool(net, x, kernel, stride, padding, ceil, include, divisor):
    if any(net.ints(padding)) or net.number(ceil) or net.number(divisor) is not None:
        net.refuse("with padding, ceil_mode or a divisor", "pad before it")
    net.result("AvgPool", x, **window(net, kernel, stride))


@of("MaxPoolWithMask", "MaxPoolWithIndices")
def max_pool(net, x, kernel, stride, padding, dilation, ceil, *_):
    """(values, places); the places are refused where something takes them, as they aren't made."""
    if any(net.ints(padding)) or set(net.ints(dilation)) != {1} or net.number(ceil):
        net.refuse("with padding, dilation or ceil_mode", "pad before it")
    net.give_first(net.make("MaxPool", x, kind=net.out[0], **window(net, kernel, stride)))


@of("AdaptiveAvgPool2DExt")
def adaptive_pool(net, x, _):
    net.result("AdaptiveAvgPool2D", x, output_size=net.out[1][-2:])


@of("ConstantPadND")
def pad(net, x, pads, value):
    """The pads come in pairs, the last axis first."""
    pads, number = net.ints(pads), net.number(value)
    if number != 0:
        net.refuse(f"with the value {number}", "pad with 0")
    net.result("Pad", x, paddings=pairs(net, x, pads))


def pairs(net, x, pads):
    """Return ((before, after), ...) for each axis, of a list that has the last axis's first."""
    found = [(pads[index], pads[index + 1]) for index in range(0, len(pads), 2)][::-1]
    return tuple([(0, 0)] * (len(net.shape(x)) - len(found)) + found)
