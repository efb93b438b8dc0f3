"""Shards cut at their collectives and run on MPI ranks, against NumPy in float64."""

import sys

import nets
import numpy as np
import pytest
from conftest import ROOT, assert_refused, command, run_ranks
from graphs import build

import mindir

HALF = ("dtypes", "converted")  # inputs and outputs are float16
FIXTURES = ROOT / "tests" / "fixtures"


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    folder = tmp_path_factory.mktemp("outputs")
    for count in nets.RANKS:
        done = run_ranks(count, ROOT / "tests" / "rank_fixtures.py", folder)
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
                assert output.dtype == (np.float16 if name in HALF else np.float32)
                error = relative_error(output, right)
                assert error <= (2e-3 if name in HALF else 2e-6), error


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


@pytest.mark.parametrize("after, both, shape", [((4, 6), False, (4, 6)), ((6, 4), False, (24,)), ((4, 6), True, (24,))])
def test_a_sum_of_what_is_reshaped_for_it_is_done_without(tmp_path, after, both, shape):
    """As long as it gets its shape back, and nobody takes it without."""
    group = {"group": "hccl_world_group", "rank_size": 2}

    def make(net, x):
        flat = net.make("Reshape", net.make("Add", x, x), (-1,), kind=("float32", (24,)))
        mine = net.make("ReduceScatter", flat, kind=("float32", (12,)), **group)
        (primitive,) = (one for one in net.model.primitives if one.op_type == "ReduceScatter")
        primitive.attribute.add(name="op", type=8, s=b"sum")
        whole = net.make("AllGather", mine, kind=("float32", (24,)), **group)
        return [net.make("Reshape", whole, after, kind=("float32", after))] + ([net.make("Add", whole, whole)] * both)

    build(tmp_path / "X0.mindir", {"x": ("float32", (4, 6))}, make)
    plan = mindir.cut(mindir.load(str(tmp_path / "X0.mindir")))
    assert [step.shape for step in plan.steps if isinstance(step, mindir.Collective)] == [shape]
    assert len(plan.steps) == (2 if shape == (4, 6) else 3)


@pytest.mark.parametrize("dtype, op", [("float32", "Mul"), ("int32", "Mul"), ("bool", "LogicalAnd")])
def test_what_is_reshaped_first_may_become_less_and_then_more(tmp_path, dtype, op):
    """mindspore_lite 2.0 itself is wrong there, and writes where it shouldn't."""

    def make(net, x):
        y = net.make("Reshape", x, (-1, 3), kind=(dtype, (-1, 3)))
        return [net.make(op, y, y, kind=(dtype, (-1, 3)))]

    build(tmp_path / "X0.mindir", {"x": (dtype, (-1, 6))}, make)
    program = """
import sys
import numpy as np, mindspore_lite as mslite
import ranks
from cpu_mpi_distributed import create_context
from suite.cpu_model import Model
comm = ranks.world()
model = Model(comm)
model.build_from_file(sys.argv[1], mslite.ModelType.MINDIR, create_context(comm))
for rows in (120, 2, 120, 7, 1000, 1):
    x = np.arange(rows * 6).reshape(-1, 6).astype(sys.argv[2])
    (y,) = (output.get_data_to_numpy() for output in model.predict([x]))
    assert np.array_equal(y, x.reshape(-1, 3) * x.reshape(-1, 3)), rows
"""
    done = run_ranks(1, "-c", program, tmp_path / "X0.mindir", dtype, PYTHONPATH=str(ROOT))
    assert done.returncode == 0, done.stderr


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
    """Unknown fields stay in a stage's nodes: here a field 15 with the text "kept"."""
    shard = mindir.load(str(FIXTURES / "skip" / "2" / "Net0.mindir"))
    node = next(node for node in shard.model.graph.node if "MatMul" in node.op_type)
    node.MergeFromString(b"\x7a\x04kept")
    stages = [step for step in mindir.cut(shard).steps if isinstance(step, mindir.Stage)]
    assert sum(stage.model.SerializeToString().count(b"\x7a\x04kept") for stage in stages) == 1
    path = FIXTURES / "skip" / "2" / "Net0.mindir"
    assert len(mindir.load(str(path)).model.SerializeToString()) == path.stat().st_size


def test_a_large_export_runs_as_the_small_one_does(tmp_path):
    """X0_graph.mindir and X0_variables, with AllReduce."""
    from test_mindir import large_form

    for rank in (0, 1):
        (tmp_path / str(rank)).mkdir()
        large_form(FIXTURES / "mlp-all_reduce" / "2" / f"Net{rank}.mindir", tmp_path, f"Net{rank}")
    np.savez(str(tmp_path / "in.npz"), **nets.inputs("mlp-all_reduce"))
    words = ("--backend=cpu", f"--model_path={tmp_path / 'Net.mindir'}", "--input", tmp_path / "in.npz")
    done = run_ranks(2, "main.py", *words, "--output", tmp_path / "out.npz")
    assert done.returncode == 0, done.stderr
    (output,) = np.load(str(tmp_path / "out.npz")).values()
    assert relative_error(output, nets.expected("mlp-all_reduce", nets.inputs("mlp-all_reduce"), 2)[0]) <= 2e-6


def test_what_does_not_fit_the_engines_integers_is_refused(tmp_path):
    given = nets.inputs("converted")
    given["long"][3] = 2**40
    np.savez(str(tmp_path / "in.npz"), **given)
    path = FIXTURES / "converted" / "1" / "Net.mindir"
    done = run_ranks(1, "main.py", "--backend=cpu", f"--model_path={path}", "--input", tmp_path / "in.npz")
    assert_refused(done, 2, "input long has the value 1099511627776", "int32")


def test_freed_memory_comes_back_without_fresh_pages():
    """Counted in page faults: 64 MiB are 16384 pages, or 32 huge ones."""
    program = """
import resource, numpy as np
from suite import memory
memory.keep_memory()
for _ in range(3):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    np.ones(1 << 24, np.float32)
    faults = resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
print(faults)
"""
    done = command(sys.executable, "-c", program, PYTHONPATH=str(ROOT))
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) < 10


def test_ranks_share_the_cores_and_an_exchange_its_memory():
    program = """
import os, sys
import numpy as np
import cpu_mpi_distributed as cpu, ranks
from suite import inputs as model_inputs, memory
from suite.cpu_model import Model
from suite.exchange import Exchange
from suite.tensors import new_tensor
comm = ranks.world()
cores = len(os.sched_getaffinity(0))
memory.share_cores(comm)
context = cpu.create_context(comm)
model = Model(comm)
path = ranks.shard_path(sys.argv[1], comm.rank, comm.size)
model.build_from_file(path, cpu.mslite.ModelType.MINDIR, context)
inputs, _ = model_inputs.fill(model, {})
own = comm.allgather(os.sched_getaffinity(0))
apart = cores < comm.size or len(set.union(*own)) == sum(map(len, own)) == cores // comm.size * comm.size
exchanges = [run for _, run, _, _ in model.steps if isinstance(run, Exchange)]
places = set()
for exchange in exchanges:
    tensor = new_tensor(np.ones((12, 8), np.float32))
    places.add(tuple(exchange([tensor])[0].get_data_to_numpy().ctypes.data for _ in range(3)))
kept = all(len(set(place)) == 1 for place in places)
threads = comm.allgather(context.cpu.thread_num), context.cpu.inter_op_parallel_num
if comm.rank == 0:
    print(threads[0], threads[1], max(1, cores // comm.size), len(exchanges), kept, apart)
"""
    done = run_ranks(2, "-c", program, FIXTURES / "skip" / "2" / "Net.mindir", PYTHONPATH=str(ROOT))
    assert done.returncode == 0, done.stderr
    share = done.stdout.split()[3]
    assert done.stdout.split() == [f"[{share},", f"{share}]", "1", share, "5", "True", "True"]


def test_collectives_are_those_of_numpy():
    """Every kind and reduction, with few and with many bytes, which are exchanged differently, evenly and unevenly.

    With memory that the ranks share, and without, as on several servers or with a full /dev/shm.
    """
    program = """
import itertools, sys
import numpy as np
import mindir, ranks
from suite import same_server
from suite.exchange import Exchange
same_server.FOLDER = sys.argv[1]
shared = 0
from suite.tensors import new_tensor
comm = ranks.world()
numpy = {"sum": np.sum, "max": np.max, "min": np.min, "prod": np.prod}
sizes = [(12, 1), (12, 3000), (24, 40, 7), (12,)]
cases = [("AllGather", "", shape, dtype) for shape in sizes for dtype in ("float16", "float32", "int32", "bool")]
cases += itertools.product(("AllReduce", "ReduceScatter"), numpy, sizes, ("float16", "float32", "int32"))
cases += [("AllReduce", "sum", (5, 997), "float32"), ("AllReduce", "max", (7, 5003), "int32")]
for op, reduction, size, dtype in cases:
    exchange = Exchange(comm, mindir.Collective(op, reduction, comm.size, "", dtype, size, "", "", ""), "name")
    for attempt, times in enumerate((1, 1, 1, 2, 1)):  # in memory, again, in another, larger, and smaller there
        shape = (times * size[0],) + size[1:]
        random = [np.random.RandomState(rank + attempt) for rank in range(comm.size)]
        everyone = [generator.uniform(-3, 3, shape).astype(dtype) for generator in random]
        given = np.empty(shape, dtype) if attempt in (0, 2, 3) else given[: shape[0]]
        given[...] = everyone[comm.rank]
        (found,) = exchange([new_tensor(given)])
        shared += exchange.in_shared_memory
        found = found.get_data_to_numpy()
        if op == "AllGather":
            right = np.concatenate(everyone)
        else:
            right = numpy[reduction](np.stack(everyone).astype(np.float64), axis=0)
        if op == "ReduceScatter":
            right = np.split(right, comm.size)[comm.rank]
        tolerance = {"float16": 2e-3, "float32": 1e-6}.get(dtype, 0) * max(1, np.abs(right).max())
        what = (op, reduction, shape, dtype)
        assert found.dtype == dtype and found.shape == right.shape, what
        assert np.array_equal(given, everyone[comm.rank]), what  # a stage may need it again
        assert np.max(np.abs(found.astype(np.float64) - right)) <= tolerance, what
if comm.rank == 0:
    print(len(cases), "right", shared > 0)
"""
    for count, folder in ((1, "/dev/shm"), (2, "/dev/shm"), (2, "/nonexistent"), (3, "/dev/shm"), (4, "/dev/shm")):
        done = run_ranks(count, "-c", program, folder, PYTHONPATH=str(ROOT))
        assert done.returncode == 0, done.stderr
        assert done.stdout == f"114 right {count > 1 and folder == '/dev/shm'}\n"


def test_a_predict_leaves_no_memory_behind():
    """A stage takes another's outputs: 4000 predicts, of which each could leave a few hundred bytes, 3 MiB in all."""
    program = """
import sys
import cpu_mpi_distributed as cpu, ranks
from suite import inputs as model_inputs, memory
from suite.cpu_model import Model
comm = ranks.world()
memory.keep_memory()
model = Model(comm)
path = ranks.shard_path(sys.argv[1], comm.rank, comm.size)
model.build_from_file(path, cpu.mslite.ModelType.MINDIR, cpu.create_context(comm))
inputs, _ = model_inputs.fill(model, {})
pages = []
for number in range(4601):
    model.predict(inputs)
    if number in (600, 4600):
        pages.append(int(open("/proc/self/statm").read().split()[1]))
grown = comm.allgather((pages[1] - pages[0]) * 4)
if comm.rank == 0:
    print(max(grown))
"""
    done = run_ranks(2, "-c", program, FIXTURES / "skip" / "2" / "Net.mindir", PYTHONPATH=str(ROOT))
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) < 1024, done.stdout
