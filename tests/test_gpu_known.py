"""What TensorRT was found to compute wrongly is refused by name; what it was found to compute right isn't."""

import pytest
from conftest import ROOT
from graphs import build

import mindir
from mindir.constants import decode
from mindir.graph import Graph
from suite import reading

NETS = ROOT / "tests" / "fixtures" / "lower" / "nets"
F, B, N = "float32", "bool", "int32"
X, ROW, COLUMN = (F, (3, 4)), (F, (4,)), (F, (4, 1))


def one(op, kind=None, **attributes):
    return lambda net, *values: [net.make(op, *values, kind=kind, **attributes)]


def summed(net, *values):
    return [net.make("AddN", net.make("MakeTuple", *values), kind=X)]


WRONG = {
    "a bool": ((X, X), one("Greater", (B, (3, 4)))),
    "a single value": ((X,), lambda net, x: [net.make("ReduceSum", x, (0, 1), kind=(F, ()), keep_dims=False)]),
    "a kernel that is an input": (((F, (1, 3, 8, 8)), (F, (2, 3, 3, 3))), one("Conv2D", (F, (1, 2, 6, 6)))),
    "batch_dims": ((X, (N, (3, 2))), lambda net, x, i: [net.make("Gather", x, i, 1, kind=(F, (3, 2)), batch_dims=1)]),
    "a value twice": ((X,), lambda net, x: summed(net, x, x)),
    "Select": (((B, (3, 4)), X, X), one("Select", X)),
    "both grow": ((COLUMN, ROW), one("Mul", (F, (4, 4)))),
}
RIGHT = {
    "one grows": ((X, ROW), one("Mul", X)),
    "other values": ((X, X), summed),
    "whole rows": ((X, (N, (2,))), lambda net, x, i: [net.make("Gather", x, i, 0, kind=(F, (2, 4)))]),
    "a bool inside": (
        (X, X),
        lambda net, x, y: [net.make("Cast", net.make("Greater", x, y, kind=(B, (3, 4))), kind=X)],
    ),
}


def repaired(tmp_path, kinds, make):
    path = tmp_path / "Net.mindir"
    build(path, {f"x{index}": kind for index, kind in enumerate(kinds)}, make)
    return mindir.repair(mindir.load(str(path)), "gpu")


@pytest.mark.parametrize("name", WRONG)
def test_what_a_gpu_computes_wrongly_is_refused(tmp_path, name):
    with pytest.raises(mindir.MindIRError):
        repaired(tmp_path, *WRONG[name])


@pytest.mark.parametrize("name", RIGHT)
def test_what_is_like_it_goes_through(tmp_path, name):
    repaired(tmp_path, *RIGHT[name])


@pytest.mark.parametrize("name", ["mint_silu", "dense_open", "masked_fill"])
def test_of_newer_files_only_what_is_known_on_gpus_goes_through(name):
    mindir.repair(reading.load(str(NETS / f"{name}.mindir")))
    with pytest.raises(mindir.MindIRError, match="known to be right on GPUs"):
        mindir.repair(reading.load(str(NETS / f"{name}.mindir")), "gpu")


@pytest.mark.parametrize("name", ["attention", "batchnorm", "conv", "mint_layer_norm"])
def test_newer_files_that_were_right_on_gpus_go_through(name):
    mindir.repair(reading.load(str(NETS / f"{name}.mindir")), "gpu")


def test_a_slice_to_the_end_says_how_much_it_takes(tmp_path):
    """TensorRT's plug-in would take all of the dimension from where the part begins, and build nothing."""
    path = tmp_path / "Net.mindir"
    build(path, {"x": X}, lambda net, x: [net.make("Slice", x, (1, 2), (1, -1), kind=(F, (1, 2)))])
    sizes = {}
    for back_end in ("cpu", "gpu"):
        net = Graph(str(path), mindir.repair(mindir.load(str(path)), back_end).model)
        (value,) = (value for value, op in net.op.items() if op == "Slice")
        (attribute,) = net.nodes[net.inputs[value][2]].attribute
        sizes[back_end] = decode(attribute)
    assert sizes == {"cpu": (1, -1), "gpu": (1, 2)}
