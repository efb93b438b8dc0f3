"""Losses: one for each value, then their sum or mean."""

import numpy as np

from mindir.lower.reductions import reduce
from mindir.rules import rules

RULES, of = rules()
SUM, MEAN, NONE = 0, 1, 2  # reductions in 2.10's files; mint's are the names


def reduce_loss(net, value, reduction):
    """Let the values, their sum or their mean be the node's result."""
    how = net.number(reduction)
    how = {"sum": SUM, "mean": MEAN, "none": NONE}.get(how, how)
    if how == NONE:
        return net.set_result(value)
    axes = tuple(range(len(net.shape(value))))
    op = "ReduceMean" if how == MEAN else "ReduceSum"
    return net.set_result(reduce(net, op, value, axes, False) if axes else value)


@of("L1LossExt")
def absolute(net, x, y, reduction):
    reduce_loss(net, net.make("Abs", net.make("Sub", x, y)), reduction)


@of("MSELossExt")
def squared(net, x, y, reduction):
    reduce_loss(net, net.make("Square", net.make("Sub", x, y)), reduction)


@of("SmoothL1Loss")
def smooth(net, x, y, beta, reduction):
    """d^2 / (2 beta) where d = |x - y| < beta, d - beta / 2 elsewhere: m^2 / (2 beta) + d - m for m = min(d, beta)."""
    beta = float(net.number(beta))
    apart = net.make("Abs", net.make("Sub", x, y))
    if beta == 0:
        return reduce_loss(net, apart, reduction)
    small = net.make("Minimum", apart, net.like(x, beta))
    curved = net.make("Mul", net.make("Square", small), net.like(x, 0.5 / beta))
    return reduce_loss(net, net.make("Add", curved, net.make("Sub", apart, small)), reduction)


def weighed(net, value, weight):
    return value if net.known(weight) is None else net.make("Mul", value, weight)


@of("BinaryCrossEntropy")
def cross_entropy(net, x, y, weight, reduction):
    """-(y log(x) + (1 - y) log(1 - x)), the logarithms at least -100."""
    one, least = net.like(x, 1), net.like(x, -100)
    logs = [
        net.make("Maximum", net.make("Log", value), least) for value in (x, net.make("Sub", one, x, kind=net._kind(x)))
    ]
    first = net.make("Mul", y, logs[0])
    second = net.make("Mul", net.make("Sub", one, y, kind=net._kind(y)), logs[1])
    reduce_loss(net, weighed(net, net.make("Neg", net.make("Add", first, second)), weight), reduction)


@of("BCEWithLogitsLoss")
def cross_entropy_of_logits(net, x, y, weight, positive, reduction):
    """(1 - y) x + (1 + (p - 1) y) log(1 + exp(-x)), where p is the weight of positive examples, 1 by default."""
    one = net.like(x, 1)
    log = net.make("Softplus", net.make("Neg", x))
    if net.known(positive) is not None:
        more = net.make("Mul", net.make("Sub", positive, one), y)
        log = net.make("Mul", net.make("Add", more, one), log)
    value = net.make("Add", net.make("Mul", net.make("Sub", one, y, kind=net._kind(y)), x), log)
    reduce_loss(net, weighed(net, value, weight), reduction)


@of("KLDiv")
def divergence(net, x, y, reduction, is_log):
    """y (log y - x), 0 where y is 0; exp(y) (y - x) where y is a logarithm."""
    if net.number(is_log):
        exp = net.make("Exp", y, base=-1.0, scale=1.0, shift=0.0)
        return reduce_loss(net, net.make("Mul", exp, net.make("Sub", y, x)), reduction)
    log = net.make("Log", net.make("Maximum", y, net.like(y, 1e-37)))
    return reduce_loss(net, net.make("Mul", y, net.make("Sub", log, x)), reduction)


@of("NLLLoss")
def likelihood(net, x, y, weight, reduction, ignored):
    """-x[i, y[i]] weight[y[i]], in a tuple with the sum of these weights, by which the mean divides."""
    rows, classes = net.fixed(x)
    dtype, kind, how = net.dtype(x), net._kind(x), net.number(reduction)
    # a row of zeros for what is `ignored` if that is no class; if it is one, its weight is 0
    on, off = np.array(1, net.numpy_dtype(dtype)), np.array(0, net.numpy_dtype(dtype))
    mask = net.make("OneHot", net.cast(y, "int32"), classes, on, off, kind=kind, axis=-1)
    mask = net.make("Mul", mask, weight)
    ignored = net.number(ignored)
    if 0 <= ignored < classes:
        kept = np.ones(classes, net.numpy_dtype(dtype))
        kept[ignored] = 0
        mask = net.make("Mul", mask, kept)
    values = net.make("Neg", reduce(net, "ReduceSum", net.make("Mul", mask, x), (1,), False))
    total = reduce(net, "ReduceSum", mask, (0, 1), False)
    if how != NONE:
        values = reduce(net, "ReduceSum", values, (0,), False)
        values = net.make("RealDiv", values, total) if how == MEAN else values
    net.set_results(values, total)
