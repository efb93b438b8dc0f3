"""Nets of one model that are built once if they are alike, against NumPy."""

import numpy as np
from conftest import ROOT, run_ranks
from graphs import build

import mindir
from suite import threads

F = "float32"
NETS = """
import sys
import numpy as np
import ranks
from suite import nets
comm = ranks.world()
models = nets.build(comm, sys.argv[1:])
"""


def layer_norm(path, rows):
    """Write a net of 64 columns that has one, whose result is a tuple."""
    begin = {"begin_norm_axis": 1, "begin_params_axis": 1, "epsilon": 1e-5}

    def make(net, x):
        kinds = [(F, (rows, 64)), (F, (rows, 1)), (F, (rows, 1))]
        made = net.make("LayerNorm", x, np.ones(64, np.float32), np.zeros(64, np.float32), kind=kinds, **begin)
        return [net.make("TupleGetItem", made, 0, kind=(F, (rows, 64)))]

    build(path, {"x": (F, (rows, 64))}, make)
    return path


def summed(path, dtype=F, shape=(64, 64), factor=None, count=2):
    """Write a net that adds up its input, multiplied by the factor if there is one, and doubles that."""

    def make(net, x):
        x = x if factor is None else net.make("Mul", x, net.like(x, factor))
        total = net.make("AllReduce", x, kind=(dtype, shape), group="hccl_world_group", rank_size=count)
        (primitive,) = (one for one in net.model.primitives if one.op_type == "AllReduce")
        primitive.attribute.add(name="op", type=8, s=b"sum")
        return [net.make("Add", total, total, kind=(dtype, shape))]

    build(path, {"x": (dtype, shape)}, make)
    return path


def marks(*paths):
    return {mindir.fingerprint(mindir.load(str(path)), threads.BY_SHAPE) for path in paths}


def test_a_net_with_fewer_rows_is_right_beside_one_with_more(tmp_path):
    """How many threads are safe for a LayerNorm depends on its shape."""
    folder = [layer_norm(tmp_path / f"{name}0.mindir", rows) for name, rows in (("Many", 256), ("Few", 2))]
    assert len(marks(*folder)) == 2
    program = f"""{NETS}
for model, rows in zip(models * 2, (256, 2) * 2):
    x = np.random.RandomState(rows).standard_normal((rows, 64)).astype(np.float32)
    right = (x - x.mean(1, keepdims=True)) / np.sqrt(x.var(1, keepdims=True) + 1e-5)
    assert np.abs(model.predict([x])[0].get_data_to_numpy() - right).max() <= 1e-5, rows
"""
    paths = [tmp_path / f"{name}.mindir" for name in ("Many", "Few")]
    done = run_ranks(1, "-c", program, *paths, PYTHONPATH=str(ROOT), LAUNCH_BACKEND="cpu")
    assert done.returncode == 0, done.stderr


def test_nets_that_exchange_other_dtypes_are_not_alike(tmp_path):
    """Though the CPU computes both in float32: what a collective takes from outside comes as it is."""
    paths = [summed(tmp_path / f"{dtype}.mindir", dtype) for dtype in (F, "float16")]
    assert len(marks(*paths)) == 2


def test_ranks_take_the_same_net_again(tmp_path):
    """A and B are the same net on rank 1 only, A and C on both."""
    for name, factors in (("A", (2, 3)), ("B", (5, 3)), ("C", (2, 3))):
        for rank, factor in enumerate(factors):
            summed(tmp_path / f"{name}{rank}.mindir", factor=factor)
    program = """
import sys
import numpy as np
import ranks
from suite import nets
def main():
    models = nets.build(ranks.world(), sys.argv[1:])
    for model, factor in list(zip(models, (5, 8, 5))) * 2:
        x = np.full((64, 64), factor, np.float32)
        if not np.array_equal(model.predict([x])[0].get_data_to_numpy(), 2 * factor * x):
            raise ranks.Stop(ranks.DIFFERENT, f"not {factor} times the input")
    if models[2].net is not models[0].net:
        raise ranks.Stop(ranks.FAILED, "C is built again")
ranks.run(main)
"""
    paths = [tmp_path / f"{name}.mindir" for name in "ABC"]
    done = run_ranks(2, "-c", program, *paths, PYTHONPATH=str(ROOT), LAUNCH_BACKEND="cpu", timeout=60)
    assert done.returncode == 0, done.stderr


def test_what_comes_after_a_resize_is_checked_against_it(tmp_path):
    summed(tmp_path / "X0.mindir", shape=(-1, 6), count=1)
    program = f"""{NETS}
(model,) = models
x = np.ones((4, 6), np.float32)
model.predict([x])
model.resize(model.get_inputs(), [[3, 6]])
try:
    model.predict([x])
except ranks.Stop as error:
    assert error.status == ranks.REFUSED and "given {F} [4, 6]" in str(error), error
else:
    raise AssertionError("[4, 6] is taken for [3, 6]")
assert model.predict([x[:3]])[0].shape == [3, 6]
"""
    done = run_ranks(1, "-c", program, tmp_path / "X.mindir", PYTHONPATH=str(ROOT), LAUNCH_BACKEND="cpu")
    assert done.returncode == 0, done.stderr


def test_a_callers_arrays_are_not_kept(tmp_path):
    """A model may take new ones in every predict: a collective that takes an input itself remembers no large ones."""
    summed(tmp_path / "X0.mindir", shape=(256, 1024), count=1)
    program = f"""{NETS}
import weakref
(model,) = models
alive = []
for index in range(6):
    x = np.full((256, 1024), index, np.float32)
    assert np.array_equal(model.predict([x])[0].get_data_to_numpy(), 2 * x)
    alive.append(weakref.ref(x))
del x
assert sum(array() is not None for array in alive) <= 1, alive
"""
    done = run_ranks(1, "-c", program, tmp_path / "X.mindir", PYTHONPATH=str(ROOT), LAUNCH_BACKEND="cpu")
    assert done.returncode == 0, done.stderr
