"""Shards cut at their collectives and run on MPI ranks, against NumPy in float64."""

import nets
import numpy as np
import pytest
from conftest import ROOT, ranks

import mindir

FIXTURES = ROOT / "tests" / "fixtures"


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    folder = tmp_path_factory.mktemp("outputs")
    for count in nets.RANKS:
        done = ranks(count, ROOT / "tests" / "rank_fixtures.py", folder)
        assert done.returncode == 0, done.stderr
    return folder


def relative_error(output, expected):
    return np.max(np.abs(output.astype(np.float64) - expected)) / np.max(np.abs(expected))


@pytest.mark.parametrize("count", nets.RANKS)
@pytest.mark.parametrize("name", nets.NAMES)
def test_every_rank_has_the_outputs_of_numpy(results, name, count):
    given = nets.inputs(name, seed=2)
    expected = nets.expected(name, given, count)
    for rank in range(count):
        outputs = list(np.load(str(results / f"{name}-{count}-{rank}.npz")).values())
        assert len(outputs) == len(expected)
        for output, right in zip(outputs, expected):
            assert output.shape == right.shape
            if right.dtype.kind in "ib":
                assert output.dtype == right.dtype
                assert np.array_equal(output, right)
            else:
                assert output.dtype == (np.float16 if name == "dtypes" else np.float32)
                error = relative_error(output, right)
                assert error <= (2e-3 if name == "dtypes" else 2e-6), error


@pytest.mark.parametrize("count", nets.RANKS)
def test_an_open_batch_size_may_change(results, count):
    x = np.concatenate([nets.inputs("dynamic", 3)["x"], nets.inputs("dynamic", 4)["x"]])
    (expected,) = nets.expected("dynamic", {"x": x}, count)
    for rank in range(count):
        output = np.load(str(results / f"again-{count}-{rank}.npz"))["arr_0"]
        assert output.shape == expected.shape
        assert relative_error(output, expected) <= 2e-6


def steps(name, count, rank=0):
    plan = mindir.cut(mindir.load(str(FIXTURES / name / str(count) / f"Net{rank}.mindir")))
    return ["stage" if isinstance(step, mindir.Stage) else step.op for step in plan.steps]


def test_reduce_scatter_and_all_gather_are_one_all_reduce():
    assert steps("mlp-reduce_scatter", 2) == ["stage", "AllReduce", "stage"]
    assert steps("mlp-reduce_scatter", 2) == steps("mlp-all_reduce", 2)


def test_collectives_that_do_not_wait_for_each_other_share_a_stage():
    assert steps("branches", 2) == ["stage", "AllReduce", "AllGather", "stage"]


def test_a_value_may_skip_stages():
    plan = mindir.cut(mindir.load(str(FIXTURES / "skip" / "2" / "Net0.mindir")))
    stages = [step for step in plan.steps if isinstance(step, mindir.Stage)]
    assert len(stages) == 6
    kept = [value for value in stages[0].outputs if value in stages[-1].inputs]
    assert len(kept) == 1
    assert all(kept[0] not in stage.inputs for stage in stages[:-1])


def test_what_only_orders_is_gone():
    for name in nets.NAMES:
        for step in mindir.cut(mindir.load(str(FIXTURES / name / "2" / "Net0.mindir"))).steps:
            if isinstance(step, mindir.Stage):
                operators = {node.op_type.split(":")[2] for node in step.model.graph.node if ":" in node.op_type}
                assert not operators & {"Load", "Depend", "UpdateState"}
                assert not operators & set(mindir.COLLECTIVES)


def test_fields_outside_the_schema_survive():
    path = FIXTURES / "skip" / "2" / "Net0.mindir"
    model = mindir.load(str(path)).model
    assert b"bprop_hash" not in path.read_bytes()  # a field name never is in the file; its number is:
    again = mindir.PROTO["Model"].FromString(model.SerializeToString())
    assert again.SerializeToString() == model.SerializeToString()
    assert len(model.SerializeToString()) == path.stat().st_size
