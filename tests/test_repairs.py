"""More of what mindspore_lite 2.0.0's CPU would compute wrongly: far from 0, NaN, products and their ReLU, shapes."""

import numpy as np
import pytest
from graphs import build
from test_lower_engine import MASK, F, X, Y, one, run, worker  # noqa: F401  (the last a fixture)

import mindir
from mindir.constants import Type

WEIGHTS = np.random.RandomState(7).standard_normal((4, 5)).astype(np.float32)
PRODUCT = Y.astype(np.float64) @ WEIGHTS
SLOPES = np.array([0.1, 0.2, 0.3], np.float32)
EDGES = np.array([np.nan, np.inf, -np.inf, -2, -1, -0.5, 0, 0.5, 1, 2, 3], np.float32)  # 8 at once, and the others


def product(net, x):
    return net.make("MatMul", x, WEIGHTS, kind=(F, (3, 5)), transpose_a=False, transpose_b=False)


def renamed(net, x):
    """A ReLU and another node take a product through a Cast that changes nothing."""
    both = net.make("Cast", product(net, x), Type(F), kind=(F, (3, 5)))
    return [net.make("ReLU", both), net.make("Neg", both)]


def backwards(begin, end, strides, masks):
    given = {"begin_mask": masks, "end_mask": masks, "ellipsis_mask": 0, "new_axis_mask": 0, "shrink_axis_mask": 0}
    return lambda net, x: [net.make("StridedSlice", x, begin, end, strides, kind=net._kind(x), **given)]


def there_and_back(net, x):
    wide = net.make("ExpandDims", x, 1, kind=(F, (-1, 1, 4)))
    return [net.make("Squeeze", wide, axis=(1,), kind=(F, (-1, 4)))]


def of_edges(op, right):
    with np.errstate(all="ignore"):
        return [EDGES], one(op), [right(EDGES.astype(np.float64)).astype(np.float32)]


CASES = {  # name: inputs, what is made of them, what comes out
    "ReLU of a product under another name": ([Y], renamed, [np.maximum(PRODUCT, 0), -PRODUCT]),
    "ReLU of one of two equal products": (
        [Y],
        lambda net, x: [net.make("ReLU", product(net, x)), net.make("Neg", product(net, x))],
        [np.maximum(PRODUCT, 0), -PRODUCT],
    ),
    "Sqrt of edges": of_edges("Sqrt", np.sqrt),
    "Rsqrt of edges": of_edges("Rsqrt", lambda x: 1 / np.sqrt(x)),
    "Log of edges": of_edges("Log", np.log),
    "Exp of edges": of_edges("Exp", np.exp),
    "Softplus of edges": of_edges("Softplus", lambda x: np.logaddexp(0, x)),
    "Acos of edges": of_edges("Acos", np.arccos),
    "Acosh of edges": of_edges("Acosh", np.arccosh),
    "Atanh of edges": of_edges("Atanh", np.arctanh),
    "PReLU of slopes that come in": (
        [X[:, [0, 1, 2]], SLOPES], one("PReLU", (F, X.shape)), [np.where(X > 0, X, X * SLOPES[:, None])],
    ),
    "StridedSlice backwards": ([Y], backwards((0, 0), (0, 0), (1, -1), 3), [Y[:, ::-1]]),
    "StridedSlice backwards, of truth values": ([MASK], backwards((2, 0), (-4, 4), (-1, 1), 0), [MASK[::-1]]),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_right(name, worker, tmp_path):  # noqa: F811
    inputs, make, wanted = CASES[name]
    verdict, error, words = run(worker, tmp_path, inputs, make, wanted)
    assert verdict == "ok", (words, error)


@pytest.mark.parametrize("kind", ["PReLU", "Pow", "there and back"])
def test_open_dimensions(kind, worker, tmp_path):  # noqa: F811
    make, wanted = {
        "PReLU": (
            lambda net, x: [net.make("PReLU", net.make("Neg", x), SLOPES[:1])],
            np.where(Y < 0, -Y, -Y * SLOPES[0]),
        ),
        "Pow": (power_of(2), 2 ** Y.astype(np.float64)),
        "there and back": (there_and_back, Y),
    }[kind]
    verdict, error, words = run(worker, tmp_path, [Y], make, [wanted], [(-1, 4)])
    assert verdict == "ok", (words, error)


def test_a_root_of_what_is_never_negative_is_the_engines_own(tmp_path):
    """As in a norm: sqrt(mean(x x) + epsilon)."""

    def make(net, x):
        mean = net.make("ReduceMean", net.make("Mul", x, x), (1,), kind=(F, (3, 1)), keep_dims=True)
        return [net.make("Sqrt", net.make("Add", mean, net.like(x, 1e-5)))]

    build(tmp_path / "Net.mindir", {"x": (F, (3, 4))}, make)
    repaired = mindir.repair(mindir.load(str(tmp_path / "Net.mindir"), 1))
    assert "Select" not in {primitive.op_type for primitive in repaired.model.primitives}


def power_of(base):
    return lambda net, *values: [net.make("Pow", np.array(base, np.float32), x, kind=(F, net.shape(x))) for x in values]


def of_each(op):
    return lambda net, *values: [net.make(op, x) for x in values]


E_32 = np.float64(np.float32(np.e))
FAR = {  # name: what is made of each value, what comes out; the engine's own exp stops at 88
    "Exp": (of_each("Exp"), np.exp),
    "Expm1": (of_each("Expm1"), np.expm1),
    "Sinh": (of_each("Sinh"), np.sinh),
    "Cosh": (of_each("Cosh"), np.cosh),
    "Softplus": (of_each("Softplus"), lambda x: np.logaddexp(0, x)),
    "LogSigmoid": (of_each("LogSigmoid"), lambda x: -np.logaddexp(0, -x)),
    "Mish": (of_each("Mish"), lambda x: x * np.tanh(np.logaddexp(0, x))),
    "SeLU": (of_each("SeLU"), lambda x: 1.0507009873554805 * np.where(x > 0, x, 1.6732632423543772 * np.expm1(x))),
    "Pow of e": (power_of(np.e), lambda x: E_32**x),
    "Pow of 0.5": (power_of(0.5), lambda x: 0.5**x),
}


@pytest.mark.parametrize("name", FAR)
def test_far_from_0(name, worker, tmp_path):  # noqa: F811
    """Each value is an output of its own, so that its error isn't hidden by a larger value's."""
    make, wanted = FAR[name]
    values = [np.full(1, value, np.float32) for value in (0, 1, 80, 88.7, 89, 100, 1e4, -100, np.inf)]
    with np.errstate(over="ignore"):
        right = [wanted(value.astype(np.float64)).astype(np.float32) for value in values]
    verdict, error, words = run(worker, tmp_path, values, make, right)
    assert verdict == "ok", (words, error)


@pytest.mark.parametrize("last", ["ReduceStd", "Atan2", "beyond int32"])
def test_what_is_refused_stays_as_it_was(last, tmp_path):
    """Also the inputs, constants and nodes before the one that is refused by a rule, at the end or by its values."""

    def make(net, half, whole):
        x = net.make("Tanh", net.make("Cast", half, Type(F), kind=(F, (3, 4))))
        net.make("Mul", half, np.full((3, 4), 2, np.float16))
        net.make("Add", whole, np.array([3]))
        if last == "beyond int32":
            return [x, net.make("Add", whole, np.array([2**40]))]
        return [x, net.make("Add", half, net.make(last, half, half)), net.make("Add", whole, np.array([3]))]

    build(tmp_path / "Net.mindir", {"half": ("float16", (3, 4)), "whole": ("int64", (3, 4))}, make)
    shard = mindir.load(str(tmp_path / "Net.mindir"), 1)._replace(is_lowered=True)
    before = shard.model.SerializeToString()
    with pytest.raises(mindir.MindIRError, match=last.split()[0]):
        mindir.repair(shard)
    assert shard.model.SerializeToString() == before
