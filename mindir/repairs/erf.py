"""GeLU by its definition, x (1 + erf(x / sqrt 2)) / 2, and erf for an engine that lacks it."""

import math

import numpy as np

from mindir.constants import decode
from mindir.graph import Graph, attribute
from mindir.rules import rules

RULES, of = rules()
DEEPEST = 4  # how deeply products may be nested: MindSpore nests three
# tanh(x p(x^2)) is erf(x) within 6.5e-7 in float32 up to |x| = BOUND, where erf is 1 within 1.6e-8; fitted by weighted
# least squares to atanh(erf(x)) / x
BOUND = 4
P = (1.1283751636, 0.10280366318, -2.640535374e-4, -5.629759077e-4, 6.834031760e-5, -2.853567152e-6)


@of("Erf")
def by_tanh(net, x):
    """For mindspore_lite's TensorRT, which has no Erf."""
    x = net.make("Maximum", net.make("Minimum", x, net.like(x, BOUND)), net.like(x, -BOUND))
    square, sum_ = net.make("Square", x), net.like(x, P[-1])
    for number in P[-2::-1]:
        sum_ = net.make("Add", net.make("Mul", square, sum_), net.like(x, number))
    net.result("Tanh", net.make("Mul", x, sum_))


class GeLUs:
    """GeLUs that a shard's model spells out: the engine's own, the one with erf, takes a ninth of their time."""

    def __init__(self, shard):
        self.net = Graph(shard.path, shard.model)
        self.x_of = {}  # value: the x whose GeLU it is
        if "Erf" in self.net.op.values():
            for value, op in self.net.op.items():
                x = self._argument(value) if op in ("Mul", "RealDiv", "Div") else None
                if x is not None:
                    self.x_of[value] = x

    def rule(self, value):
        """Return the rule that replaces the value by the engine's GeLU; None if it isn't a GeLU."""
        if value not in self.x_of:
            return None
        return lambda net, *_: net.result("GeLU", net.alias.get(self.x_of[value], self.x_of[value]))

    def _argument(self, value):
        """Return x if the value is 0.5 x (erf(x / sqrt 2) + 1), whatever the order; None otherwise."""
        number, factors = self._factors(value)
        if len(factors) != 2 or not math.isclose(number, 0.5, rel_tol=1e-6):
            return None
        for x, sum_ in (factors, factors[::-1]):
            terms = [self._factors(term) for term in self.net.inputs[sum_]] if self.net.op.get(sum_) == "Add" else []
            inner = [term for term in terms if len(term[1]) == 1]
            if len(terms) != 2 or len(inner) != 1 or (1.0, []) not in terms or inner[0][0] != 1:
                continue
            erf = inner[0][1][0]
            number, scaled = self._factors(self.net.inputs[erf][0]) if self.net.op.get(erf) == "Erf" else (0, [])
            if scaled == [x] and math.isclose(number, 0.5**0.5, rel_tol=1e-6):
                return x
        return None

    def _factors(self, value, depth=DEEPEST):
        """Return a value as a number times other values."""
        op = self.net.op.get(value)
        if op == "Constant":
            number = decode(attribute(self.net.nodes[value], "value"))
            if isinstance(number, (int, float, np.number, np.ndarray)) and np.ndim(number) == 0:
                return float(number), []
        if op not in ("Mul", "RealDiv", "Div") or len(self.net.inputs[value]) != 2 or not depth:
            return 1.0, [value]
        (first, values), (second, others) = (self._factors(factor, depth - 1) for factor in self.net.inputs[value])
        if op == "Mul":
            return first * second, values + others
        return (first / second, values) if second and not others else (1.0, [value])
