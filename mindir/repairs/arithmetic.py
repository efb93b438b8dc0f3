"""Functions of two tensors, and dtypes."""

import numpy as np

from mindir.constants import UNKNOWN
from mindir.rules import rules

RULES, of = rules()


@of("Cast")
def cast(net, x, *_):
    if net.dtype(x) == net.out[0]:
        net.give(x)
    elif net.out[0] == "bool":
        net.result("NotEqual", x, net.like(x, 0))


@of("Pow")
def power(net, base, exponent):
    """Of one positive number, exp(log(base) exponent)."""
    number = net.known(base)
    if number is UNKNOWN or np.size(number) != 1 or not float(np.reshape(number, -1)[0]) > 0:
        return
    log = float(np.log(np.float64(np.reshape(number, -1)[0])))
    net.result("Exp", net.make("Mul", exponent, net.like(exponent, log)), base=-1.0, scale=1.0, shift=0.0)


@of("BitwiseAnd", "BitwiseOr")
def of_truth_values(net, x, y):
    if net.out[0] != "bool":
        net.refuse("of whole numbers isn't in mindspore_lite 2.0")
    net.result(net.op.replace("Bitwise", "Logical"), x, y)
