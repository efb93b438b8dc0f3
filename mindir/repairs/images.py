"""Convolutions and their normalisation."""

from mindir.lower.reductions import variance
from mindir.lower.windows import mean
from mindir.rules import rules
from mindir.shapes import product

RULES, of = rules()


@of("BiasAdd")
def bias_add(net, x, bias):
    """The engine has none for three dimensions, and with an open one its converter puts a Transpose around it."""
    if len(net.shape(x)) not in (2, 4) or min(net.shape(x)) < 0:
        one = (1, *net.shape(bias)) + (1,) * (len(net.shape(x)) - 2)
        net.result("Add", x, net.reshape(bias, one))


@of("BatchNorm")
def batch_norm(net, x, *four):
    """The engine takes only weights as its four vectors, no inputs and no computed values."""
    if all(vector in net.products.parameters for vector in four):
        return
    scale, offset, mean, var = four
    one = (1, *net.shape(scale)) + (1,) * (len(net.shape(x)) - 2)
    scale, offset, mean, var = (net.reshape(vector, one) for vector in (scale, offset, mean, var))
    root = net.make("Sqrt", net.make("Add", var, net.like(var, net.attributes().get("epsilon", 1e-5))))
    y = net.make("RealDiv", net.make("Sub", x, mean), root)
    y = net.make("Add", net.make("Mul", y, scale), offset)
    if isinstance(net.out, list):
        net.set_first_result(y)
    else:
        net.set_result(y)


@of("Conv2D")
def convolution(net, x, weight):
    """With groups of several channels, the engine's kernel has to be a weight."""
    given = net.attributes()
    group = given.get("group", given.get("groups", 1))
    if group > 1 and net.shape(weight)[1] != 1 and weight not in net.products.parameters:
        net.refuse(f"of {group} groups with a weight that is computed while the model runs", "make it a Parameter")


@of("Conv2DTranspose", "Conv2DBackpropInput")
def transposed_convolution(net, x, weight, *_):
    """The engine has it for one group only, and under one of its names."""
    given = net.attributes()
    group = given.get("group", given.get("groups", 1))
    if group > 1:
        net.refuse(f"of {group} groups isn't in mindspore_lite 2.0", "convolve each group on its own")


@of("InstanceNorm")
def instance_norm(net, x, gamma, beta, *_):
    """(x - mean) / sqrt(variance + epsilon) gamma + beta for each channel of each image; in a tuple with both."""
    shape, epsilon = net.fixed(x), net.attributes().get("epsilon", 1e-5)
    axes = tuple(range(2, len(shape)))
    average, square = variance(net, x, axes, product(shape[2:]))
    root = net.make("Sqrt", net.make("Add", square, net.like(x, epsilon)))
    one = (1, shape[1]) + (1,) * len(axes)
    y = net.make("Mul", net.make("RealDiv", net.make("Sub", x, average), root), net.reshape(gamma, one))
    net.set_first_result(net.make("Add", y, net.reshape(beta, one)))


@of("LRN")
def across_channels(net, x):
    """x / (bias + alpha * the sum of the squares of 2 * depth_radius + 1 channels)^beta."""
    given, channels = net.attributes(), net.fixed(x)[1]
    reach = range(channels)
    near = [[other for other in reach if abs(other - channel) <= given["depth_radius"]] for channel in reach]
    total = mean(net, net.make("Square", x), 1, near, [1] * channels)
    base = net.make("Add", net.make("Mul", total, net.like(x, given["alpha"])), net.like(x, given["bias"]))
    net.result("RealDiv", x, net.make("Pow", base, net.like(x, given["beta"])))
