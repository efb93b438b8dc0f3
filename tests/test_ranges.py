"""What is computed from int64 inputs must fit int32, in which CPU ranks compute it: its ranges, against NumPy."""

import numpy as np
import pytest
from graphs import build
from test_lower_engine import run, worker  # noqa: F401  (a fixture)

import mindir
from mindir.constants import Type
from mindir.ranges import RULES, Ranges

L, F, LARGEST = "int64", "float32", 2**31 - 1


def product(net, x):
    return [net.make("Mul", x, x)]


def times_a_mask(net, x):
    mask = net.make("Cast", net.make("Greater", x, np.array(0), kind=("bool", (3, 4))), Type(L), kind=(L, (3, 4)))
    return [net.make("Mul", x, mask)]


def by_way_of_float(net, x):
    """Such a value is let through: how large it gets isn't known."""
    wide = net.make("Cast", x, Type(F), kind=(F, (3, 4)))
    whole = net.make("Cast", net.make("Mul", wide, net.like(wide, 0.001)), Type(L), kind=(L, (3, 4)))
    return [net.make("Mul", whole, np.array(1000))]


def by_way_of_a_tuple(net, x):
    both = net.make("MakeTuple", x, x, kind=[(L, (3, 4))] * 2)
    return [net.make("Mul", net.make("Concat", both, kind=(L, (6, 4)), axis=0), np.array(1000))]


CASES = {  # name: what is made of x, the most that x may be
    "x x": (product, 46340),
    "2 x": (lambda net, x: [net.make("Mul", x, np.array(2))], 2**30 - 1),
    "x + 5": (lambda net, x: [net.make("Add", x, np.array(5))], LARGEST - 5),
    "x^3": (lambda net, x: [net.make("Pow", x, np.array(3))], 1290),
    "sum": (lambda net, x: [net.make("ReduceSum", x, (1,), kind=(L, (3,)), keep_dims=False)], LARGEST // 4),
    "tuple between": (by_way_of_a_tuple, LARGEST // 1000),
    "x or 0": (times_a_mask, LARGEST),
    "float between": (by_way_of_float, LARGEST),
}


@pytest.mark.parametrize("name", CASES)
def test_the_most_that_fits(name, tmp_path):
    make, most = CASES[name]
    build(tmp_path / "Net.mindir", {"x": (L, (3, 4))}, make)
    ranges = Ranges(mindir.load(str(tmp_path / "Net.mindir"), 1))
    assert ranges.grows
    ranges.check({0: (0, most)})
    if most < LARGEST:
        for _ in range(2):
            with pytest.raises(mindir.MindIRError, match="beyond int32"):
                ranges.check({0: (0, most + 1)})
            ranges.check({0: (0, most)})


@pytest.mark.parametrize(
    "op", ["Add", "Sub", "Mul", "Maximum", "Minimum", "FloorDiv", "FloorMod", "Neg", "Abs", "Square"]
)
def test_a_range_holds_all_that_numpy_computes(op):
    draw = np.random.RandomState(3)
    names = {"Sub": "subtract", "Mul": "multiply", "FloorDiv": "floor_divide", "FloorMod": "mod", "Neg": "negative"}
    compute = getattr(np, names.get(op, op.lower()))
    for _ in range(200):
        bounds = [tuple(sorted(map(int, draw.randint(-9, 10, 2)))) for _ in range(compute.nin)]
        if op.startswith("Floor") and bounds[1][0] <= 0 <= bounds[1][1]:
            continue
        made = compute(*np.meshgrid(*(np.arange(least, most + 1) for least, most in bounds)))
        least, most = RULES[op](*bounds)
        assert least <= made.min() and made.max() <= most


def test_predict_refuses_what_would_wrap_round(worker, tmp_path):  # noqa: F811
    x = np.full((3, 4), 46341)
    verdict, _, words = run(worker, tmp_path, [x], product, [x * x])
    assert verdict == "refused" and "Mul" in words
    verdict, _, words = run(worker, tmp_path, [x - 1], product, [(x - 1) ** 2])
    assert verdict == "ok", words
