"""Activations that a newer MindSpore has in addition to those of 2.0."""

from mindir.rules import rules

RULES, of = rules()


@of("GeluExt")
def gelu(net, x, approximate):
    """2.0's GeLU is the formula with tanh; otherwise x (1 + erf(x / sqrt 2)) / 2."""
    if net.number(approximate) in (1, "tanh"):
        return net.result("GeLU", x)
    inner = net.make("Add", net.make("Erf", net.make("Mul", x, net.like(x, 0.5**0.5))), net.like(x, 1))
    net.result("Mul", net.make("Mul", x, inner), net.like(x, 0.5))
    return None


@of("LeakyReLUExt")
def leaky_relu(net, x, slope):
    """max(x, slope x), if the slope is at most 1."""
    slope = net.number(slope)
    op = "Maximum" if slope <= 1 else "Minimum"
    net.result(op, x, net.make("Mul", x, net.like(x, slope)))


@of("EluExt")
def elu(net, x, alpha):
    """max(x, 0) + alpha (exp(min(x, 0)) - 1)."""
    alpha = net.number(alpha)
    exp = net.make("Exp", net.make("Minimum", x, net.like(x, 0)), base=-1.0, scale=1.0, shift=0.0)
    below = net.make("Sub", exp, net.like(x, 1))
    below = below if alpha == 1 else net.make("Mul", below, net.like(x, alpha))
    net.result("Add", net.make("Maximum", x, net.like(x, 0)), below)


@of("SoftplusExt")
def softplus(net, x, beta, threshold):
    """log(1 + exp(beta x)) / beta; beyond the threshold just x, to which that is equal by then."""
    beta, threshold = net.numbers(beta, threshold)
    scaled = x if beta == 1 else net.make("Mul", x, net.like(x, beta))
    made = net.make("Softplus", scaled)
    made = made if beta == 1 else net.make("RealDiv", made, net.like(x, beta))
    if threshold >= 20:  # if the formula is equal to x by then
        return net.set_result(made)
    above = net.make("Greater", scaled, net.like(x, threshold), kind=("bool", net.shape(x)))
    return net.result("Select", above, x, made)


@of("MishExt")
def mish(net, x):
    net.result("Mish", x)


@of("LogSoftmaxExt")
def log_softmax(net, x, axis, *_):
    axis = net.number(axis)
    if axis is None:
        net.refuse("without an axis", "give dim")
    net.result("LogSoftmax", net.cast(x, net.out[0]), axis=axis)


@of("Swish", "SiLUExt")
def silu(net, x):
    net.result("SiLU", x)


@of("HSigmoidExt", "HardSigmoid")
def hard_sigmoid(net, x):
    net.result("HSigmoid", x)


@of("HSwishExt", "HardSwish")
def hard_swish(net, x):
    net.result("HSwish", x)


@of("PReLUExt")
def prelu(net, x, weight):
    net.result("PReLU", x, weight)


@of("LogSigmoidExt", "LogSigmoid")
def log_sigmoid(net, x):
    """-log(1 + exp(-x)), in a tuple with what training needs."""
    made = net.make("Neg", net.make("Softplus", net.make("Neg", x)))
    net.set_first_result(made) if isinstance(net.out, list) else net.set_result(made)


@of("GLU", "GluExt")
def glu(net, x, axis=None):
    """The first half times the sigmoid of the second."""
    axis = -1 if axis is None else net.number(axis)
    shape, dtype = net.out[1], net.out[0]
    halves = [(dtype, shape)] * 2
    both = net.make(
        "Split", x, kind=halves, axis=axis, output_num=2, num_split=2, size_splits=(shape[axis], shape[axis])
    )
    first, second = (net.make("TupleGetItem", both, index, kind=halves[0]) for index in (0, 1))
    net.result("Mul", first, net.make("Sigmoid", second))
