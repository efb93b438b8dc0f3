"""mindir: what it reads, what it refuses, and that nothing makes it crash."""

import re
import sys

import numpy as np
import pytest
from conftest import MODEL, ROOT, command
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import mindir

FIXTURES = ROOT / "tests" / "fixtures"
SHARD = str(MODEL.with_name("Matmul0.mindir"))
OTHER = str(MODEL.with_name("Matmul1.mindir"))


def changed(path, change, folder):
    """Write a copy of the model, changed by change(message); return its path."""
    model = mindir.load(str(path)).model
    change(model)
    target = folder / "Changed.mindir"
    target.write_bytes(model.SerializeToString())
    return str(target)


def collective_of(model, op):
    return next(primitive for primitive in model.primitives if primitive.op_type == op)


def attribute_of(primitive, name):
    return next(attribute for attribute in primitive.attribute if attribute.name == name)


def test_a_shard_lists_what_it_holds():
    shard = mindir.load(SHARD)
    assert shard.inputs == [("x", "float32", (4, 256))]
    assert [value[1:] for value in shard.outputs] == [("float32", (4, 128))]
    assert (shard.parameters, shard.nbytes) == (1, 256 * 64 * 4)
    (gather,) = shard.collectives
    assert (gather.op, gather.ranks, gather.group) == ("AllGather", 2, "hccl_world_group")
    assert (gather.dtype, gather.shape) == ("float32", (4, 64))
    assert shard.producer == "MindSpore 2.0.0"


def test_the_command_prints_it_and_knows_a_set():
    done = command(
        sys.executable, "-m", "mindir", "models/Matmul.mindir", "models/Matmul0.mindir", "models/Matmul1.mindir"
    )
    assert done.returncode == 0, done.stderr
    for text in ("x  float32 (4, 256)", "parameters  1, 65536 bytes", "AllGather of float32 (4, 64)", "2 ranks"):
        assert text in done.stdout
    assert "one set for 2 ranks" in done.stdout
    assert command(sys.executable, "-m", "mindir", "models/Matmul0.mindir").returncode == 0


def test_reading_only_the_first_line_shows_no_error():
    read = f"'{sys.executable}' -m mindir models/Matmul0.mindir | sleep 0"
    done = command("bash", "-c", read)
    assert (done.returncode, done.stderr) == (0, "")


def test_the_folder_runs_from_anywhere_and_takes_nothing_from_there(tmp_path):
    for name in ("argparse", "mindir", "numpy", "ranks"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit(7)\n")
    done = command(sys.executable, ROOT / "mindir", SHARD, OTHER, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "one set for 2 ranks" in done.stdout
    assert not (tmp_path / "__pycache__").exists()


def test_names_in_a_file_are_shown_in_one_line(tmp_path):
    """No control character reaches the terminal; a terminal that lacks a letter gets its code."""

    def rename(model):
        model.graph.input[0].name = "x\n\x1b[31m\u4e2d"
        for node in model.graph.node:
            node.input[:] = [model.graph.input[0].name if "x" in name.split(":") else name for name in node.input]

    path = changed(MODEL, rename, tmp_path)
    done = command(sys.executable, ROOT / "mindir", path, PYTHONIOENCODING="ascii")
    assert done.returncode == 0, done.stderr
    assert r"  input       x\n\x1b[31m\u4e2d  float32 (4, 256)" in done.stdout.splitlines()


@pytest.mark.parametrize(
    "files, text",
    [
        ([SHARD, OTHER, OTHER], "made for 2 ranks, started with 3"),
        ([SHARD, FIXTURES / "mlp-all_reduce" / "2" / "Net1.mindir"], "different models"),
        (
            [FIXTURES / name / "2" / f"Net{rank}.mindir" for rank, name in enumerate(["mlp-all_reduce", "skip"])],
            "5 collectives among all ranks, but .* has 1",
        ),
        ([FIXTURES / "skip" / "2" / "Net.mindir", SHARD, MODEL], "Matmul.mindir: has no collectives"),
        ([SHARD, MODEL], "has no collectives"),
        (["models/Matmul9.mindir"], "no such file"),
        (["run.sh"], "is a text file.* MindIR"),
    ],
)
def test_the_command_says_why_files_are_no_set(files, text):
    done = command(sys.executable, "-m", "mindir", *files)
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1
    assert re.search(text, done.stderr), done.stderr


def test_another_reduction_is_another_set(tmp_path):
    shards = [str(FIXTURES / "mlp-all_reduce" / "2" / f"Net{rank}.mindir") for rank in (0, 1)]

    def largest(model):
        attribute_of(collective_of(model, "AllReduce"), "op").s = b"max"

    mindir.check_set([mindir.load(path).summary() for path in shards])
    shards[1] = changed(shards[1], largest, tmp_path)
    with pytest.raises(mindir.MindIRError, match=r"collective 1 .* is AllReduce\(max\).* AllReduce\(sum\)"):
        mindir.check_set([mindir.load(path).summary() for path in shards])


def test_a_group_that_lacks_a_rank_of_its_own_is_refused(tmp_path):
    shard = mindir.load(str(FIXTURES / "mlp-all_reduce" / "2" / "Net0.mindir"))
    alone = shard.collectives[0]._replace(members=(1,), world=False, ranks=1)
    with pytest.raises(mindir.MindIRError, match="among rank 1: not a shard of this rank"):
        mindir.check_set([shard.summary()._replace(collectives=[alone])] * 2)


def test_what_cannot_be_cut_is_named(tmp_path):
    def group(model):
        attribute_of(collective_of(model, "AllGather"), "group").s = b"tp-0"

    def neighbours(model):
        collective_of(model, "AllGather").op_type = "NeighborExchange"

    def average(model):
        attribute_of(collective_of(model, "AllReduce"), "op").s = b"mean"

    reduce = FIXTURES / "mlp-all_reduce" / "2" / "Net0.mindir"
    for path, change, text in (
        (SHARD, group, r"AllGather-op\d+: AllGather over the group 'tp-0'"),
        (SHARD, neighbours, r"AllGather-op\d+: NeighborExchange isn't one of AllReduce, ReduceScatter, AllGather"),
        (reduce, average, r"AllReduce-op\d+: AllReduce with 'mean'"),
        (FIXTURES / "refused" / "If.mindir", None, r"node .*Partial-op\d+: control flow"),
        (FIXTURES / "refused" / "While.mindir", None, r"node .*: control flow"),
        (FIXTURES / "refused" / "Assign.mindir", None, r"Assign-op\d+: Assign changes state: .*input and an output"),
    ):
        path = changed(path, change, tmp_path) if change else str(path)
        with pytest.raises(mindir.MindIRError, match=text):
            mindir.cut(mindir.load(path))


def large_form(path, folder, name="Large"):
    """Write the model as MindSpore writes one over 1 GB, NAME_graph.mindir; return the path without `_graph`."""
    model = mindir.load(str(path)).model
    (folder / f"{name}_variables").mkdir()
    data = b"\1".ljust(64, b"\0")
    for tensor in model.graph.parameter:
        external = tensor.external_data
        external.location, external.offset, external.length = (
            f"{name}_variables/data_0",
            len(data),
            len(tensor.raw_data),
        )
        data += tensor.raw_data
        tensor.ClearField("raw_data")
    (folder / f"{name}_variables" / "data_0").write_bytes(data)
    (folder / f"{name}_graph.mindir").write_bytes(model.SerializeToString())
    return str(folder / f"{name}.mindir")


def test_both_forms_of_a_file_hold_the_same(tmp_path):
    large = mindir.load(large_form(SHARD, tmp_path))
    assert large.summary()._replace(path="") == mindir.load(SHARD).summary()._replace(path="")


def test_missing_or_short_values_of_a_large_export_are_found(tmp_path):
    path = large_form(SHARD, tmp_path)
    data = tmp_path / "Large_variables" / "data_0"
    data.write_bytes(data.read_bytes()[:-1])
    with pytest.raises(mindir.MindIRError, match=r"data_0: .*65536 bytes at 64.* 65599"):
        mindir.load(path)
    data.unlink()
    with pytest.raises(mindir.MindIRError, match=r"data_0: no such file"):
        mindir.load(path)


def test_a_stage_holds_the_values_of_its_parameters(tmp_path):
    shard = mindir.load(SHARD)
    stage = mindir.cut(shard).steps[0]
    written = mindir.load(mindir.write(stage, shard, str(tmp_path), "stage"))
    (tensor,) = written.model.graph.parameter
    values = np.fromfile(str(tmp_path / tensor.external_data.location), np.float32, offset=64)
    assert np.array_equal(values, np.frombuffer(shard.model.graph.parameter[0].raw_data, np.float32))


def refuses_or_cuts(path):
    """Return whether the file was refused; anything but a MindIRError is a crash."""
    try:
        mindir.cut(mindir.load(str(path)))
    except mindir.MindIRError as error:
        assert str(path) in str(error)
        return True
    return False


def test_no_cut_off_file_gets_through(tmp_path):
    """Wherever the file is cut off: if it is accepted, nothing may be missing."""
    path = FIXTURES / "branches" / "2" / "Net0.mindir"
    data, target = path.read_bytes(), tmp_path / "Short.mindir"
    whole = mindir.load(str(path)).model
    for end in range(len(data)):
        target.write_bytes(data[:end])
        if not refuses_or_cuts(target):
            model = mindir.load(str(target)).model  # only what nothing refers to may be missing
            assert model.graph == whole.graph, end


@settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_no_damage_makes_it_crash(tmp_path_factory, data):
    source = (
        FIXTURES
        / data.draw(st.sampled_from(["skip", "branches", "dtypes", "reused", "transposed"]))
        / "2"
        / "Net0.mindir"
    ).read_bytes()
    damaged = bytearray(source)
    for at, byte in data.draw(st.lists(st.tuples(st.integers(0, len(source) - 1), st.integers(0, 255)), min_size=1)):
        damaged[at] = byte
    target = tmp_path_factory.mktemp("damaged") / "Net.mindir"
    target.write_bytes(bytes(damaged))
    refuses_or_cuts(target)


@settings(max_examples=100, deadline=None)
@given(data=st.binary(max_size=4096))
def test_random_bytes_are_refused(tmp_path_factory, data):
    target = tmp_path_factory.mktemp("random") / "Net.mindir"
    target.write_bytes(data)
    assert refuses_or_cuts(target)


def test_only_the_last_ending_takes_the_number():
    import ranks

    assert ranks.insert("a.mindir/b.mindir.d/Net.mindir", 12) == "a.mindir/b.mindir.d/Net12.mindir"
    assert ranks.insert("Net_graph.mindir", 1) == "Net1_graph.mindir"
    with pytest.raises(ranks.Stop, match="must end in .mindir"):
        ranks.insert("a.mindir/Net.onnx", 0)
