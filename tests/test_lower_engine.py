"""What mindspore_lite 2.0.0's CPU would compute wrongly, hang or crash on, in files of version 1, against NumPy.

Each net runs in its own process, with a time limit: without its repair it may crash the process.
"""

import math

import numpy as np
import pytest
from graphs import build
from nets_table import Worker, judge

import mindir
from mindir.constants import Type

DRAW = np.random.RandomState(5)
X = DRAW.uniform(-3, -1, (2, 3, 4)).astype(np.float32)
Y = DRAW.uniform(-9, 9, (3, 4)).astype(np.float32)
POSITIVE, NUMBERS = np.abs(Y) + 1, DRAW.randint(-9, 9, (3, 4)).astype(np.int32)
MASK = Y > 0
F, B = "float32", "bool"


def reduction(op, axes, shape, keep=False):
    return lambda net, x: [net.make(op, x, axes, kind=(net.dtype(x), shape), keep_dims=keep)]


def one(op, kind=None, **attributes):
    return lambda net, *values: [net.make(op, *values, kind=kind, **attributes)]


def std(net, x):
    kind = (F, (3,))
    both = net.make("ReduceStd", x, kind=[kind, kind], axis=(1,), unbiased=True, keep_dims=False)
    return [net.make("TupleGetItem", both, index, kind=kind) for index in (0, 1)]


def gated(net, x):
    kinds = [(F, (3, 2))] * 2
    both = net.make("Split", x, kind=kinds, axis=-1, output_num=2, num_split=2, size_splits=(2, 2))
    first, second = (net.make("TupleGetItem", both, index, kind=kinds[0]) for index in (0, 1))
    return [net.make("Mul", first, net.make("Sigmoid", second))]


def rounded(net, x):
    half = net.make("Cast", x, Type("float16"), kind=("float16", (3, 4)))
    return [net.make("Cast", half, Type(F), kind=(F, (3, 4)))]


def apart(net, x):
    """A ReLU of a product that another node takes, too, and a Transpose that keeps the shape."""
    turned = net.make("Transpose", x, (0, 2, 1), kind=(F, (2, 3, 3)))
    return [net.make("Reshape", turned, (2, 9), kind=(F, (2, 9))), net.make("ReLU", turned)]


def spelled(order):
    """GeLU by its definition, its factors in one of MindSpore's orders; "other": with erf of another value."""

    def make(net, x, y):
        to_erf = y if order == "other" else x
        if order == "divided":
            scaled = net.make("RealDiv", to_erf, net.like(x, 2**0.5))
        else:
            scaled = net.make("Mul", to_erf, net.like(x, 0.5**0.5))
        terms = [net.like(x, 1), net.make("Erf", scaled)]
        sum_ = net.make("Add", *(terms if order == "divided" else terms[::-1]))
        if order == "divided":
            return [net.make("Mul", net.make("Mul", x, net.like(x, 0.5)), sum_)]
        return [net.make("Mul", net.make("Mul", x, sum_), net.like(x, 0.5))]

    return make


GELU = 0.5 * Y * (1 + np.tanh(np.sqrt(2 / np.pi) * (Y + 0.044715 * Y.astype(np.float64) ** 3)))
PHI = (1 + np.vectorize(math.erf)(Y.astype(np.float64) / 2**0.5)) / 2
SQUARE = DRAW.uniform(-3, 3, (2, 3, 3)).astype(np.float32)
WIDE = Y.astype(np.float64)
CASES = {  # name: inputs, what is made of them, what comes out
    "ReduceMax over the first axis": ([X], reduction("ReduceMax", (0,), (3, 4)), [X.max(0)]),
    "ReduceMax over all": ([X], reduction("ReduceMax", (), ()), [X.max()]),
    "ReduceMax of one value": ([X[0, 0, :1]], reduction("ReduceMax", (0,), ()), [X[0, 0, 0]]),
    "ReduceMean over all": ([X], reduction("ReduceMean", (), ()), [X.mean()]),
    "ReduceSum over all, kept": ([X], reduction("ReduceSum", (), (1, 1, 1), True), [X.sum().reshape(1, 1, 1)]),
    "ReduceAny": ([MASK], reduction("ReduceAny", (0,), (4,)), [MASK.any(0)]),
    "ReduceAll over all": ([MASK], reduction("ReduceAll", (), ()), [MASK.all()]),
    "ReduceStd": ([Y], std, [WIDE.std(1, ddof=1), WIDE.mean(1)]),
    "Rsqrt": ([POSITIVE], one("Rsqrt"), [1 / np.sqrt(POSITIVE.astype(np.float64))]),
    "Tanh": ([Y], one("Tanh"), [np.tanh(WIDE)]),
    "Cos": ([Y], one("Cos"), [np.cos(WIDE)]),
    "Mish": ([Y], one("Mish"), [WIDE * np.tanh(np.logaddexp(0, WIDE))]),
    "GeLU": ([Y], one("GeLU"), [GELU]),
    "GeLU by erf": ([Y, Y], spelled("last"), [Y * PHI]),
    "GeLU by erf, divided": ([Y, Y], spelled("divided"), [Y * PHI]),
    "no GeLU: erf of another": ([Y[::-1], Y], spelled("other"), [Y[::-1] * PHI]),
    "SiLU": ([Y], one("SiLU"), [WIDE / (1 + np.exp(-WIDE))]),
    "Sign, one of two": ([Y], lambda net, x: [net.make("Neg", x), net.make("Sign", x)], [-Y, np.sign(Y)]),
    "Expm1, one of two": ([X], lambda net, x: [net.make("Neg", x), net.make("Expm1", x)], [-X, np.expm1(X)]),
    "FloorDiv of whole numbers": (
        [NUMBERS, np.full((3, 4), 4, np.int32)], one("FloorDiv"), [np.floor_divide(NUMBERS, 4)],
    ),
    "Pow that broadcasts": ([POSITIVE, Y[0] / 9], one("Pow"), [POSITIVE ** (Y[0] / 9)]),
    "NotEqual of truth values": ([MASK, MASK[::-1]], one("NotEqual", (B, (3, 4))), [MASK[::-1] != MASK]),
    "Select that broadcasts": ([MASK[0], Y, Y[:, :1]], one("Select", (F, (3, 4))), [np.where(MASK[0], Y, Y[:, :1])]),
    "Cast to bool": ([NUMBERS], lambda net, x: [net.make("Cast", x, Type(B), kind=(B, (3, 4)))], [NUMBERS != 0]),
    "Cast to float16 and back": ([Y], rounded, [Y.astype(np.float16).astype(np.float32)]),
    "Gather along the last axis": (
        [X, np.array([2, 0], np.int32)],
        lambda net, x, places: [net.make("Gather", x, places, -1, kind=(F, (2, 3, 2)), batch_dims=0)],
        [X[..., [2, 0]]],
    ),
    "Argmin": (
        [Y], one("Argmin", ("int32", (3,)), axis=-1, output_type=Type("int32")), [Y.argmin(-1).astype(np.int32)],
    ),
    "Argmax of a vector": (
        [Y[0]], one("Argmax", ("int32", ()), axis=-1, output_type=Type("int32")), [np.int32(Y[0].argmax())],
    ),
    "Tril": ([Y], one("Tril", diagonal=0), [np.tril(Y)]),
    "Tile with more multiples": (
        [Y], lambda net, x: [net.make("Tile", x, (2, 1, 1), kind=(F, (2, 3, 4)))], [np.tile(Y, (2, 1, 1))],
    ),
    "Reshape to no dimensions": ([Y[:1, :1]], lambda net, x: [net.make("Reshape", x, (), kind=(F, ()))], [Y[0, 0]]),
    "Split, Sigmoid, Mul": ([Y], gated, [WIDE[:, :2] / (1 + np.exp(-WIDE[:, 2:]))]),
    "Transpose that keeps the shape": (
        [SQUARE], apart, [SQUARE.transpose(0, 2, 1).reshape(2, 9), np.maximum(SQUARE.transpose(0, 2, 1), 0)],
    ),
}  # fmt: skip
ALSO_INPUT = {
    name: (inputs, lambda net, *values, make=make: [*make(net, *values), values[0]], [*wanted, inputs[0]])
    for name, (inputs, make, wanted) in CASES.items()
}


@pytest.fixture(scope="module")
def worker():
    made = Worker()
    yield made
    made.close()


def run(worker, folder, inputs, make, wanted, shapes=None):
    """Return (verdict, largest error, words) of the net."""
    names = [f"x{index}" for index in range(len(inputs))]
    shapes = shapes or [array.shape for array in inputs]
    build(
        folder / "Net.mindir",
        {name: (array.dtype.name, shape) for name, array, shape in zip(names, inputs, shapes)},
        make,
    )
    arrays = {f"in{index}": array for index, array in enumerate(inputs)}
    arrays.update({f"out{index}": array for index, array in enumerate(wanted)})
    np.savez(str(folder / "Net.npz"), **arrays)
    return judge(worker.run_job({"model": str(folder / "Net.mindir"), "arrays": str(folder / "Net.npz")}))


@pytest.mark.parametrize("name", CASES)
def test_right(name, worker, tmp_path):
    inputs, make, wanted = CASES[name]
    verdict, error, words = run(worker, tmp_path, inputs, make, wanted)
    assert verdict == "ok", (words, error)


@pytest.mark.parametrize("name", ALSO_INPUT)
def test_right_with_the_input_an_output_too(name, worker, tmp_path):
    inputs, make, wanted = ALSO_INPUT[name]
    verdict, error, words = run(worker, tmp_path, inputs, make, wanted)
    assert verdict == "ok", (words, error)


@pytest.mark.parametrize("order", ["last", "divided", "other"])
def test_a_gelu_is_the_engines_own_only_where_it_is_one(order, tmp_path):
    path = tmp_path / "Net.mindir"
    build(path, {"x": (F, (3, 4)), "y": (F, (3, 4))}, spelled(order))
    operators = {primitive.op_type for primitive in mindir.repair(mindir.load(str(path))).model.primitives}
    assert operators == ({"MakeTuple", "Mul", "Erf", "Add"} if order == "other" else {"MakeTuple", "GeLU"})


def test_erf_for_tensorrt(worker, tmp_path):
    """As rewritten for TensorRT, which isn't here, but computed on the CPU."""
    numbers = np.linspace(-9, 9, 4001, dtype=np.float32)
    wanted = np.vectorize(math.erf)(numbers.astype(np.float64))
    build(tmp_path / "Net.mindir", {"x": (F, numbers.shape)}, one("Erf"))
    shard = mindir.repair(mindir.load(str(tmp_path / "Net.mindir")), "gpu")
    assert "Erf" not in {primitive.op_type for primitive in shard.model.primitives}
    folder = tmp_path / "rewritten"
    folder.mkdir()
    arrays = folder / "Net.npz"
    np.savez(str(arrays), in0=numbers, out0=wanted)
    verdict, error, words = judge(worker.run_job({"model": mindir.save(shard, str(folder)), "arrays": str(arrays)}))
    assert verdict == "ok" and error <= 3e-6, (words, error)  # on the CPU Tanh is made of Sigmoid


def heads(net, x):
    """The reshapes of attention, to heads and back, with open batch and length."""
    y = net.make("Reshape", x, (0, 0, 2, 4), kind=(F, (-1, -1, 2, 4)))
    return [net.make("Neg", net.make("Transpose", y, (0, 2, 1, 3), kind=(F, (-1, 2, -1, 4))))]


@pytest.mark.parametrize(
    "make,wanted",
    [
        (lambda net, x: [net.make("Neg", net.make("Reshape", x, (-1, 4), kind=(F, (-1, 4))))], -X.reshape(-1, 4)),
        (lambda net, x: [net.make("Tanh", x)], np.tanh(X.astype(np.float64))),
        (lambda net, x: [net.make("ReduceMax", x, (1,), kind=(F, (-1, 4)), keep_dims=False)], X.max(1)),
    ],
)
@pytest.mark.parametrize("size", [1, 2])
def test_open_dimensions(make, wanted, size, worker, tmp_path):
    x = X[:size]
    wanted = wanted[: size * len(wanted) // 2]
    verdict, error, words = run(worker, tmp_path, [x], make, [wanted], [(-1, 3, 4)])
    assert verdict == "ok", (words, error)


def test_two_open_dimensions(worker, tmp_path):
    x = DRAW.standard_normal((2, 3, 8)).astype(np.float32)
    wanted = -x.reshape(2, 3, 2, 4).transpose(0, 2, 1, 3)
    verdict, error, words = run(worker, tmp_path, [x], heads, [wanted], [(-1, -1, 8)])
    assert verdict == "ok", (words, error)


REFUSED = {
    "ReduceMean of whole numbers": ("ReduceMean", [NUMBERS], reduction("ReduceMean", (0,), (4,))),
    "no values": ("StridedSlice", [Y], lambda net, x: [net.make(
        "StridedSlice", x, (0, 0), (0, 4), (1, 1), kind=(F, (0, 4)), begin_mask=0, end_mask=0, ellipsis_mask=0,
        new_axis_mask=0, shrink_axis_mask=0,
    )]),
    "batch_dims": ("Gather", [Y, NUMBERS % 3], lambda net, x, places: [
        net.make("Gather", x, places, 0, kind=(F, (3, 4)), batch_dims=1)
    ]),
    "a primitive that isn't known": ("Atan2", [Y, Y], one("Atan2")),
    "Exp with a scale": ("scale", [Y], one("Exp", base=-1.0, scale=2.0, shift=0.0)),
    "Pow of a whole number": ("whole numbers", [NUMBERS], lambda net, x: [net.make("Pow", np.array(2, np.int32), x)]),
    "bits of whole numbers": ("BitwiseXor", [NUMBERS, NUMBERS], one("BitwiseXor")),
    "beyond int32": ("int32", [NUMBERS.astype(np.int64)], lambda net, x: [net.make("Add", x, np.array([2**40]))]),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_refused_by_name(name, tmp_path):
    word, inputs, make = REFUSED[name]
    kinds = {f"x{index}": (array.dtype.name, array.shape) for index, array in enumerate(inputs)}
    build(tmp_path / "Net.mindir", kinds, make)
    shard = mindir.load(str(tmp_path / "Net.mindir"), 1)._replace(is_lowered=True)
    with pytest.raises(mindir.MindIRError, match=word):
        mindir.cut(shard)
