"""Trigonometric and hyperbolic functions and their inverses, made of sin, sqrt, log and polynomials."""

import math

from mindir.repairs.activations import logarithm, root
from mindir.rules import rules

RULES, of = rules()


def where(net, op, x, y, a, b):
    """Return a where x op y, b elsewhere; all of one shape, or broadcast to it."""
    shape = net.out[1]
    mask = net.make(op, x, y, kind=("bool", net.broadcast(x, y)))
    if net.shape(mask) != shape:
        mask = net.make("Greater", net.expand(net.cast(mask, "float32"), shape), net.like(x, 0.5), kind=("bool", shape))
    return net.make("Select", mask, net.expand(a, shape), net.expand(b, shape), kind=(net.dtype(x), shape))


def plus(net, a, b):
    return net.make("Add", a, b)


def times(net, a, b):
    return net.make("Mul", a, b)


def root_of_1_and(net, square, sign):
    """Return sqrt(1 + sign * square); NaN where the sign is -1 and the square above 1."""
    under = net.make("Add" if sign > 0 else "Sub", net.like(square, 1), square, kind=net._kind(square))
    return net.make("Sqrt", under) if sign > 0 else root(net, under)


def half_angle(net, x):
    """Return tan(atan(x) / 2) = x / (1 + sqrt(1 + x^2))."""
    return net.make("RealDiv", x, plus(net, root_of_1_and(net, times(net, x, x), 1), net.like(x, 1)))


def arctangent(net, x):
    """Return atan(x) for |x| <= 1: halved twice, |t| < 0.2, then t - t^3 / 3 + t^5 / 5 - ..., to 1e-9."""
    t = half_angle(net, half_angle(net, x))
    square, sum_ = times(net, t, t), None
    for power in (11, 9, 7, 5, 3, 1):
        term = net.like(x, (-1) ** (power // 2) / power)
        sum_ = term if sum_ is None else plus(net, times(net, square, sum_), term)
    return times(net, times(net, t, sum_), net.like(x, 4))


@of("Atan")
def atan(net, x):
    """For |x| > 1, atan(x) = 2 atan(t), t = x / (1 + sqrt(1 + x^2)) <= 1; x is cut at 1e8, so that x^2 is finite."""
    x = net.make("Maximum", net.make("Minimum", x, net.like(x, 1e8)), net.like(x, -1e8))
    net.set_result(times(net, arctangent(net, half_angle(net, x)), net.like(x, 2)))


def arcsine(net, x):
    """Return asin(x) = 2 atan(x / (1 + sqrt(1 - x^2)))."""
    t = net.make("RealDiv", x, plus(net, root_of_1_and(net, times(net, x, x), -1), net.like(x, 1)))
    return times(net, arctangent(net, t), net.like(x, 2))


@of("Asin")
def asin(net, x):
    net.set_result(arcsine(net, x))


@of("Acos")
def acos(net, x):
    net.set_result(net.make("Sub", net.like(x, math.pi / 2), arcsine(net, x), kind=net._kind(x)))


@of("Asinh")
def asinh(net, x):
    """sign(x) log(|x| + sqrt(x^2 + 1))."""
    size = net.make("Abs", x)
    log = logarithm(net, plus(net, size, root_of_1_and(net, times(net, x, x), 1)))
    net.set_result(where(net, "Less", x, net.constant(net.like(x, 0)), net.make("Neg", log), log))


@of("Acosh")
def acosh(net, x):
    """log(x + sqrt(x^2 - 1))."""
    below = root(net, net.make("Sub", times(net, x, x), net.like(x, 1)))
    net.set_result(logarithm(net, plus(net, x, below)))


@of("Atanh")
def atanh(net, x):
    """log((1 + x) / (1 - x)) / 2."""
    up, down = plus(net, x, net.like(x, 1)), net.make("Sub", net.like(x, 1), x, kind=net._kind(x))
    net.set_result(times(net, logarithm(net, net.make("RealDiv", up, down)), net.like(x, 0.5)))


@of("Tan")
def tan(net, x):
    """sin(r) / cos(r) for r = x - k pi / 2 between -pi / 4 and pi / 4, -cos(r) / sin(r) where k is odd."""
    k = net.make("Floor", plus(net, times(net, x, net.like(x, 2 / math.pi)), net.like(x, 0.5)))
    r = x
    for part in (1.5703125, 4.837512969970703e-04, 7.549789948768648e-08):  # pi / 2, in parts of few bits
        r = net.make("Sub", r, times(net, k, net.like(x, part)))
    sine, half = net.make("Sin", r), net.make("Sin", times(net, r, net.like(x, 0.5)))
    cosine = net.make("Sub", net.like(x, 1), times(net, times(net, half, half), net.like(x, 2)), kind=net._kind(x))
    twice = times(net, net.make("Floor", times(net, k, net.like(x, 0.5))), net.like(x, 2))
    odd = net.make("Greater", net.make("Sub", k, twice), net.like(x, 0.5), kind=("bool", net.shape(x)))
    inverse = net.make("Neg", net.make("RealDiv", cosine, sine))
    net.result("Select", odd, inverse, net.make("RealDiv", sine, cosine))


@of("Hypot")
def hypotenuse(net, x, y):
    net.result("Sqrt", plus(net, times(net, x, x), times(net, y, y)))
