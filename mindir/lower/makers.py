"""Primitives that make tensors from numbers only: constants, if the shape is known."""

import numpy as np

from mindir.rules import rules

RULES, of = rules()


def full(net, number, x=None):
    dtype, shape = net.out
    if min(shape, default=1) < 0 and x is not None and net.kind.get(x) == net.out:
        return net.result("OnesLike" if number else "ZerosLike", x)
    if min(shape, default=1) < 0:
        net.refuse(f"of the open shape {shape}", "export it with a fixed shape")
    net.check_size(shape)
    return net.set_result(np.full(shape, number, net.numpy_dtype(dtype)))


@of("ZerosLikeExt", "Zeros", "ZerosLike")
def zeros(net, x, *_):
    full(net, 0, x)


@of("OnesLikeExt", "Ones", "OnesLike")
def ones(net, x, *_):
    full(net, 1, x)


@of("FillScalar", "FullLike", "FillTensor")
def filled(net, _, number, *more):
    full(net, net.number(number))


@of("Eye")
def eye(net, rows, columns, _):
    net.check_size(net.out[1])
    net.set_result(np.eye(*net.numbers(rows, columns), dtype=net.numpy_dtype(net.out[0])))


@of("LinSpaceExt")
def linspace(net, start, end, steps, *_):
    net.check_size(net.out[1])
    net.set_result(np.linspace(*net.numbers(start, end, steps)).astype(net.numpy_dtype(net.out[0])))


@of("Arange")
def arange(net, start, end, step, *_):
    net.check_size(net.out[1])
    net.set_result(np.arange(*net.numbers(start, end, step)).astype(net.numpy_dtype(net.out[0])))


@of("OneHot")
def one_hot_of_both(net, indices, depth, on, off, axis):
    one_hot(net, indices, depth, on, off, axis)


@of("OneHotExt")
def one_hot(net, indices, depth, on, off, axis):
    on, off = (np.asarray(net.number(value)).astype(net.numpy_dtype(net.out[0])).reshape(()) for value in (on, off))
    net.result("OneHot", indices, int(net.number(depth)), on, off, axis=int(net.number(axis)))
