"""Functions of one tensor."""

import math

from mindir.rules import rules

RULES, of = rules()
EXP = {"base": -1.0, "scale": 1.0, "shift": 0.0}


@of("GeLU")
def gelu(net, x):
    """MindSpore's is the formula with tanh, the engine's the one with erf. (1 + tanh(z)) / 2 = sigmoid(2 z)."""
    inner = net.make("Add", net.make("Mul", net.make("Square", x), net.like(x, 0.044715)), net.like(x, 1))
    inner = net.make("Mul", net.make("Mul", x, inner), net.like(x, 2 * math.sqrt(2 / math.pi)))
    net.result("Mul", x, net.make("Sigmoid", inner))


@of("SiLU")
def silu(net, x):
    net.result("Mul", x, net.make("Sigmoid", x))


@of("Rsqrt")
def rsqrt(net, x):
    """The engine's is off by up to 1.8e-4."""
    net.result("RealDiv", net.like(x, 1), net.make("Sqrt", x))


@of("Mish")
def mish(net, x):
    """x tanh(log(1 + exp(x))) = x (1 - 2 / ((1 + exp(x))^2 + 1)); exp of at most 20, where that is 1."""
    exp = net.make("Exp", net.make("Minimum", x, net.like(x, 20)), **EXP)
    square = net.make("Square", net.make("Add", exp, net.like(x, 1)))
    below = net.make("RealDiv", net.like(x, 2), net.make("Add", square, net.like(x, 1)))
    net.result("Mul", x, net.make("Sub", net.like(x, 1), below))


@of("Cos")
def cos(net, x):
    """1 - 2 sin(x / 2)^2: the engine's is off by 2e-5."""
    square = net.make("Square", net.make("Sin", net.make("Mul", x, net.like(x, 0.5))))
    net.result("Sub", net.like(x, 1), net.make("Mul", square, net.like(x, 2)))
