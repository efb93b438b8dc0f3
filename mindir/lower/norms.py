"""Normalisations."""

import numpy as np

from mindir.lower.reductions import reduce, variance
from mindir.lower.table import split
from mindir.rules import rules
from mindir.shapes import product

RULES, of = rules()


def given_or(net, value, number, shape, dtype):
    """Return the value, or a constant full of the number if it is None."""
    if net.known(value) is None:
        return net.constant(np.full(shape, number, net.numpy_dtype(dtype)))
    return value


def root(net, square, epsilon):
    """Return sqrt(square + epsilon)."""
    return net.make("Sqrt", net.make("Add", square, net.like(square, net.number(epsilon))))


@of("BatchNorm")
def batch_norm_of_both(net, *args):
    given, inputs = split(net, *args)
    if given["is_training"]:
        net.refuse("of a net that is in training", "export it after set_train(False)")
    net.result("BatchNorm", *inputs, **given, data_format=given["format"])


@of("BatchNormExt")
def batch_norm(net, x, gamma, beta, mean, var, training, _, epsilon):
    if net.number(training):
        net.refuse("of a net that is in training", "export it after set_train(False)")
    dtype, shape = net._kind(x)
    (count,) = net.shape(mean)
    gamma, beta = given_or(net, gamma, 1, (count,), dtype), given_or(net, beta, 0, (count,), dtype)
    one = (1, count) + (1,) * (len(shape) - 2)
    gamma, beta, mean, var = (net.reshape(vector, one) for vector in (gamma, beta, mean, var))
    y = net.make("RealDiv", net.make("Sub", x, mean), root(net, var, epsilon))
    net.set_results(net.make("Add", net.make("Mul", y, gamma), beta), mean, var)


@of("LayerNormExt")
def layer_norm(net, x, shape, gamma, beta, epsilon):
    sizes, dtype = net.ints(shape), net.dtype(x)
    axis = len(net.shape(x)) - len(sizes)
    gamma, beta = given_or(net, gamma, 1, sizes, dtype), given_or(net, beta, 0, sizes, dtype)
    begin = {"begin_norm_axis": axis, "begin_params_axis": axis}
    net.result("LayerNorm", x, gamma, beta, **begin, epsilon=net.number(epsilon))


@of("GroupNorm")
def group_norm(net, x, groups, gamma, beta, epsilon):
    shape, groups, dtype = net.shape(x), net.number(groups), net.dtype(x)
    if min(shape[1:]) < 0:
        net.fixed(x)
    flat = (shape[0], groups, product(shape[1:]) // groups)
    y = net.reshape(x, flat)
    mean, var = variance(net, y, (2,), flat[2])
    y = net.make("RealDiv", net.make("Sub", y, mean), root(net, var, epsilon))
    one = (1, shape[1]) + (1,) * (len(shape) - 2)
    gamma, beta = given_or(net, gamma, 1, (shape[1],), dtype), given_or(net, beta, 0, (shape[1],), dtype)
    y = net.make("Mul", net.reshape(y, shape), net.reshape(gamma, one))
    net.set_results(net.make("Add", y, net.reshape(beta, one)), net.reshape(mean, flat[:2]), net.reshape(var, flat[:2]))


@of("RmsNorm")
def rms_norm(net, x, gamma, epsilon):
    """x / sqrt(mean(x^2) + epsilon) gamma, over the dimensions that gamma has."""
    rank = len(net.shape(x))
    axes = tuple(range(rank - len(net.shape(gamma)), rank))
    scale = root(net, reduce(net, "ReduceMean", net.make("Square", x), axes, True), epsilon)
    net.set_results(net.make("Mul", net.make("RealDiv", x, scale), gamma), net.make("Reciprocal", scale))
