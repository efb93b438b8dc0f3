"""What MindSpore itself split runs on CPU ranks: groups of some ranks, pipelines, values of many dimensions."""

import json
import re
import shutil
import sys

import numpy as np
import pytest
import splits
from conftest import ROOT, assert_refused, command, run_main, run_ranks
from untrusted import Builder

import mindir

SPLITS = splits.SPLITS


def run_split(name, tmp_path, *words, folder=None, inputs=None):
    """Run a set on its ranks; return what was printed and the output that was written."""
    folder = folder or SPLITS / name
    inputs = inputs or SPLITS / name / "in.npz"
    words = (*words, "--input", inputs, "--output", tmp_path / "out.npz")
    done = run_main(splits.count(name), folder / "Net.mindir", *words)
    assert done.returncode == 0, done.stderr
    (output,) = np.load(str(tmp_path / "out.npz")).values()
    return done.stdout, output


def error_of(output, right):
    assert output.shape == right.shape
    return float(np.max(np.abs(output - right)) / np.max(np.abs(right)))


@pytest.mark.parametrize("name", splits.NAMES)
def test_a_set_that_mindspore_split_agrees_with_the_net(name, tmp_path):
    text, output = run_split(name, tmp_path)
    assert "check: PASS" in text
    assert not error_of(output, splits.expected(name)) > 1e-5
    if not name.startswith("block"):  # see splits.py
        assert not error_of(output, np.load(str(SPLITS / name / "out.npz"))["0"]) > 1e-5


@pytest.mark.parametrize("name", ["mlp2d_semi_4", "plain_auto_recursive_programming_2", "pipe_2", "pipe_tensor_4"])
def test_rows_that_differ_keep_their_places(name, tmp_path):
    """The in.npz of these sets is all ones, which wouldn't show rows that are mixed up."""
    x = np.random.RandomState(3).standard_normal((8, 64)).astype(np.float32)
    np.savez(str(tmp_path / "in.npz"), x=x)
    _, output = run_split(name, tmp_path, inputs=tmp_path / "in.npz")
    right = splits.NETS[name.split("_")[0]](x.astype(float), splits.weights(name))
    assert not error_of(output, right) > 1e-5


def test_a_weight_may_be_exchanged(tmp_path):
    """Each rank has half of the rows of a weight, and gathers it before the product."""
    random = np.random.RandomState(1)
    w, x = random.standard_normal((8, 8)).astype(np.float32), random.standard_normal((4, 8)).astype(np.float32)
    for rank in (0, 1):
        builder = Builder()
        builder.model.little_endian = True
        builder.input("x")
        builder.parameter("w", (4, 8), raw_data=w[4 * rank :][:4].tobytes())
        builder.collective("AllGather", "gathered", "w", (8, 8))
        builder.output(builder.node("MatMul", "y", ["x", "gathered"], (4, 8)))
        builder.write(tmp_path / f"Net{rank}.mindir")
    np.savez(str(tmp_path / "in.npz"), x=x)
    words = ("--input", tmp_path / "in.npz", "--output", tmp_path / "out.npz", "--repeat=3")
    done = run_main(2, tmp_path / "Net.mindir", *words)
    assert done.returncode == 0, done.stderr
    (output,) = np.load(str(tmp_path / "out.npz")).values()
    assert not error_of(output, x.astype(float) @ w) > 1e-6


# What TensorRT gets, run by CPU ranks


def world_sets():
    sets = {name: mindir.load(str(SPLITS / name / "Net0.mindir")).collectives for name in splits.NAMES}
    return [name for name, steps in sets.items() if all(step.world and step.op != "Send" for step in steps)]


@pytest.mark.parametrize("name", world_sets())
def test_collectives_of_two_dimensions_are_the_same_model(name, tmp_path):
    for rank in range(splits.count(name)):
        shard = mindir.load(str(SPLITS / name / f"Net{rank}.mindir"))
        mindir.check_tensorrt(shard)
        mindir.in_two_dimensions(mindir.split_all_reduce(mindir.repair(shard), splits.count(name)))
        after = mindir.load(mindir.save(shard, str(tmp_path)))
        assert {collective.op for collective in after.collectives} <= {"AllGather", "ReduceScatter"}
        assert {len(collective.shape) for collective in after.collectives} == {2}
        domains = [node.domain for node in after.model.graph.node if node.domain]
        assert len(set(domains)) == len(domains)
    _, output = run_split(name, tmp_path, "--check=off", folder=tmp_path)
    assert not error_of(output, splits.expected(name)) > 1e-5


def test_tensorrt_is_given_no_group_of_some_ranks_and_no_pipeline():
    for name, text in (("mlp2d_semi_4", "AllReduce-op13: AllReduce among ranks 0, 1"), ("pipe_2", "Send-op9: Send")):
        with pytest.raises(mindir.MindIRError, match=text):
            mindir.check_tensorrt(mindir.load(str(SPLITS / name / "Net0.mindir")))


# Pipelines


def test_only_the_last_stage_has_outputs(tmp_path):
    text, _ = run_split("pipe_tensor_4", tmp_path, "--json", tmp_path / "out.json")
    assert {line[:6] for line in text.splitlines() if "tensor's name" in line} == {"rank 2", "rank 3"}
    assert "outputs are those of ranks 2, 3" in text
    report = json.loads((tmp_path / "out.json").read_text())
    assert [output["shape"] for output in report["outputs"]] == [[8, 64]]


def two_inputs(folder):
    """Write the pipeline's files with an unused input y in its second stage; the first has only x."""
    for rank in (0, 1):
        model = mindir.load(str(SPLITS / "pipe_2" / f"Net{rank}.mindir")).model
        if rank:
            (value,) = model.graph.input
            value.name = value.name.replace(":x", ":y")
            value.tensor[0].dims[:] = (3,)
        (folder / f"Net{rank}.mindir").write_bytes(model.SerializeToString())
    return folder / "Net.mindir"


def test_inputs_are_those_of_all_stages_together(tmp_path):
    path, x = two_inputs(tmp_path), np.load(str(SPLITS / "pipe_2" / "in.npz"))["x"]
    np.savez(str(tmp_path / "in.npz"), x=x, y=np.ones(3, np.float32))
    done = run_main(2, path, "--input", tmp_path / "in.npz", "--output", tmp_path / "out.npz")
    assert done.returncode == 0, done.stderr
    (output,) = np.load(str(tmp_path / "out.npz")).values()
    assert not error_of(output, splits.expected("pipe_2")) > 1e-5
    np.savez(str(tmp_path / "in.npz"), x=x)
    assert_refused(run_main(2, path, "--input", tmp_path / "in.npz"), 2, "x, y")
    shutil.copy(str(SPLITS / "pipe_2" / "Net.mindir"), str(tmp_path))
    assert_refused(run_main(2, path), 2, "y float32", "(3,)")


def test_the_stages_work_at_the_same_time(tmp_path):
    """Each stage's predict is made to take 50 ms: ten inputs one after the other would take twice as long."""
    program = """
import sys, time
import numpy as np
import mindspore_lite as mslite
import cpu_mpi_distributed as page, ranks
from suite import cpu_model
comm = ranks.world()
model = cpu_model.Model(comm)
path = ranks.shard_path(sys.argv[1], comm.rank, comm.size)
model.build_from_file(path, mslite.ModelType.MINDIR, page.create_context(comm))
run = cpu_model._StageRun.__call__
def slow(self, tensors):
    time.sleep(0.05)
    return run(self, tensors)
cpu_model._StageRun.__call__ = slow
given = [np.random.RandomState(number).standard_normal((8, 64)).astype(np.float32) for number in range(10)]
made = [[output.get_data_to_numpy().copy() for output in model.predict([given[0]])]]
comm.Barrier()
start = time.perf_counter()
made += [[output.get_data_to_numpy().copy() for output in model.predict([x])] for x in given]
took = time.perf_counter() - start
if made[0]:
    np.savez(sys.argv[2], took=took, made=np.array(made[1:])[:, 0], given=given)
"""
    done = run_ranks(2, "-c", program, SPLITS / "pipe_2" / "Net.mindir", tmp_path / "out.npz", PYTHONPATH=str(ROOT))
    assert done.returncode == 0, done.stderr
    found = np.load(str(tmp_path / "out.npz"))
    assert 0.5 < found["took"] < 0.8  # 11 steps of 50 ms; one after the other it would be 20
    for output, x in zip(found["made"], found["given"]):  # each from its own input
        assert not error_of(output, splits.pipe(x.astype(float), splits.weights("pipe_2"))) > 1e-5


def test_repeat_with_a_pipeline_says_what_is_timed(tmp_path):
    text, output = run_split("pipe_tensor_4", tmp_path, "--warmup=2", "--repeat=20")
    assert re.search(r"predict: p50 [\d.]+ .*from one output to the next, of 20", text)
    assert not error_of(output, splits.expected("pipe_tensor_4")) > 1e-5


# Sets that would wait for ever are refused before anything is built


def exchanged(name, tmp_path, first, second):
    """Copy a set with two ranks' shards exchanged."""
    for path in (SPLITS / name).glob("*.mindir"):
        shutil.copy(str(path), str(tmp_path))
    shutil.copy(str(SPLITS / name / f"Net{second}.mindir"), str(tmp_path / f"Net{first}.mindir"))
    return tmp_path / "Net.mindir"


def test_a_shard_of_another_rank_is_refused(tmp_path):
    done = run_main(4, exchanged("mlp2d_semi_4", tmp_path, 0, 3))
    assert_refused(done, 2, "rank 0", "among ranks 2, 3")
    (tmp_path / "pipe").mkdir()
    done = run_main(2, exchanged("pipe_2", tmp_path / "pipe", 0, 1))
    assert_refused(done, 2, "rank 0", "with itself")


def test_a_set_without_its_last_ranks_says_so(tmp_path):
    for rank in (0, 1):
        shutil.copy(str(SPLITS / "mlp2d_semi_4" / f"Net{rank}.mindir"), str(tmp_path))
    done = run_main(2, tmp_path / "Net.mindir")
    assert_refused(done, 2, "ranks 0, 2", "2 here")


def test_the_command_knows_a_set_with_groups():
    for name in ("mlp2d_semi_4", "pipe_tensor_4"):
        files = [SPLITS / name / f"Net{rank}.mindir" for rank in range(4)]
        done = command(sys.executable, "-m", "mindir", *files)
        assert done.returncode == 0, done.stderr
        assert "one set for 4 ranks" in done.stdout
        assert "ranks 0, 2" in done.stdout
        done = command(sys.executable, "-m", "mindir", *reversed(files))
        assert done.returncode == 2


# What the files are called


@pytest.mark.parametrize("pattern", ["rank_{rank}/net.mindir", "rank_{rank}_graph.mindir", "{rank}.mindir"])
def test_rank_in_the_path_says_where_the_number_goes(pattern, tmp_path):
    for rank in (0, 1):
        target = tmp_path / pattern.format(rank=rank)
        target.parent.mkdir(exist_ok=True)
        shutil.copy(str(SPLITS / "pipe_2" / f"Net{rank}.mindir"), str(target))
    assert run_main(2, tmp_path / pattern).returncode == 0


@pytest.mark.parametrize(
    "pattern, wrong_path",
    [
        ("rank_{rank}/net.mindir", "net.mindir"),
        ("rank_{rank}/net.mindir", "rank_0/net.mindir"),
        ("rank_{rank}_graph.mindir", "rank_0_graph.mindir"),
        ("rank_{rank}_graph.mindir", "rank.mindir"),
        ("rank_{rank}_graph.mindir", "rank_0.mindir"),
    ],
)
def test_patterns_for_other_exports_are_suggested(pattern, wrong_path, tmp_path):
    for rank in (0, 1):
        target = tmp_path / pattern.format(rank=rank)
        target.parent.mkdir(exist_ok=True)
        shutil.copy(str(SPLITS / "pipe_2" / f"Net{rank}.mindir"), str(target))
    done = run_main(2, tmp_path / wrong_path)
    assert_refused(done, 2)
    (advised_path,) = re.findall(r"(/\S*{rank}\S*\.mindir)", done.stderr)
    assert run_main(2, advised_path).returncode == 0


@pytest.mark.parametrize("threads", [1, 8, 32])
def test_many_threads_compute_a_small_layer_norm_rightly(threads):
    """Some of mindspore_lite 2.0.0's threads did nothing: with 8 or more, rows were silently left out."""
    program = (
        "import sys, numpy as np, mindspore_lite as mslite, ranks\n"
        "from suite.cpu_model import Model\n"
        "context = mslite.Context(); context.target = ['cpu']; context.cpu.thread_num = int(sys.argv[1])\n"
        "model = Model(ranks.world())\n"
        "model.build_from_file(sys.argv[2] + '/Net.mindir', mslite.ModelType.MINDIR, context)\n"
        "(output,) = model.predict([np.load(sys.argv[2] + '/in.npz')['x']])\n"
        "expected = np.load(sys.argv[2] + '/out.npz')['0']\n"
        "error = np.abs(output.get_data_to_numpy() - expected).max() / np.abs(expected).max()\n"
        "print('error', error); assert error <= 1e-5 and context.cpu.thread_num == int(sys.argv[1])\n"
    )
    done = command(sys.executable, "-c", program, threads, ROOT / "tests/fixtures/splits/block_semi_2", GLOG_v="4")
    assert done.returncode == 0, done.stdout + done.stderr
