"""Pooling and padding."""

from mindir.rules import rules

RULES, of = rules()


@of("AdaptiveAvgPool2D")
def adaptive_pool(net, x):
    rank, shape = len(net.shape(x)), net.fixed(x)
    rows, columns = net.out[1][-2:]
    if (rows, columns) == (1, 1):
        return net.result("ReduceMean", x, (rank - 2, rank - 1), keep_dims=True)
    if shape[-2] % rows or shape[-1] % columns or rank != 4:
        net.refuse(f"of {shape} to {(rows, columns)}", "export it with a size that divides the image's")
    size = (1, 1, shape[-2] // rows, shape[-1] // columns)
    net.result("AvgPool", x, kernel_size=size, strides=size, pad_mode="VALID", format="NCHW")
    return None


@of("PadV3")
def pad(net, x, pads, value=None):
    given, numbers = net.attributes(), net.ints(pads)
    number = 0 if value is None or net.known(value) is None else float(net.number(value))
    if given.get("mode", "constant") != "constant" or number != 0:
        net.refuse(f"with the mode {given.get('mode')} or the value {number}", "pad with 0")
    if given.get("paddings_contiguous", True):
        found = [(numbers[index], numbers[index + 1]) for index in range(0, len(numbers), 2)][::-1]
    else:
        half = len(numbers) // 2
        found = list(zip(numbers[:half], numbers[half:]))[::-1]
    pairs = [(0, 0)] * (len(net.shape(x)) - len(found)) + found
    net.result("Pad", x, paddings=tuple(pairs))


@of("BiasAdd")
def bias_add(net, x, bias):
    """Of three dimensions the engine has none."""
    if len(net.shape(x)) not in (2, 4):
        one = (1, *net.shape(bias)) + (1,) * (len(net.shape(x)) - 2)
        net.result("Add", x, net.reshape(bias, one))


@of("BatchNorm")
def batch_norm(net, x, *four):
    """The engine takes weights only for its four vectors, not what is computed or put in."""
    if all(each in net.products.parameters for each in four):
        return
    scale, offset, mean, var = four
    one = (1, *net.shape(scale)) + (1,) * (len(net.shape(x)) - 2)
    scale, offset, mean, var = (net.reshape(each, one) for each in (scale, offset, mean, var))
    root = net.make("Sqrt", net.make("Add", var, net.like(var, net.attributes().get("epsilon", 1e-5))))
    y = net.make("RealDiv", net.make("Sub", x, mean), root)
    y = net.make("Add", net.make("Mul", y, scale), offset)
    if isinstance(net.out, list):
        net.give_first(y)
    else:
        net.give(y)


@of("Conv2D")
def convolution(net, x, weight):
    """Of groups that aren't single channels the engine takes weights only."""
    given = net.attributes()
    group = given.get("group", given.get("groups", 1))
    if group > 1 and net.shape(weight)[1] != 1 and weight not in net.products.parameters:
        net.refuse(f"of {group} groups with a weight that is computed as the model runs", "make it a Parameter")
