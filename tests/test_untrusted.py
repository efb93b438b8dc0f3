"""mindir reads files from untrusted sources: impossible sizes, places and types are refused in one line."""

import os
import sys

import pytest
from conftest import command
from untrusted import HUGE, OUTSIDE, PROTO, Builder, everything

import mindir

# Sizes


@pytest.mark.parametrize(
    "dims",
    [(-1, 8), (-8, -8), (HUGE, 4), (HUGE, HUGE), (2**32, 2**32), (HUGE, 0, HUGE), (-(2**63), 1), (1,) * 100_000],
)
@pytest.mark.parametrize("stored", ["inside", "outside"])
def test_a_parameter_of_an_impossible_size_is_refused(tmp_path, dims, stored):
    builder = Builder()
    builder.input("x")
    if stored == "inside":
        builder.parameter("w", dims, raw_data=b"")
    else:
        (tmp_path / "data_0").write_bytes(bytes(256))
        builder.external("w", "data_0", dims, length=0)
    path = builder.output(builder.node("ReLU", "y", ["x"])).write(tmp_path / "Net.mindir")
    with pytest.raises(mindir.MindIRError, match="parameter w"):
        mindir.load(path)


@pytest.mark.parametrize(
    "offset, length", [(-1, 256), (-256, 256), (2**63 - 1, 256), (0, -256), (0, 2**63 - 1), (1, 256)]
)
def test_a_place_outside_the_data_file_is_refused(tmp_path, offset, length):
    (tmp_path / "data_0").write_bytes(bytes(256))
    builder = Builder()
    builder.input("x")
    builder.external("w", "data_0", (8, 8), offset, length)
    path = builder.output(builder.node("ReLU", "y", ["x"])).write(tmp_path / "Net.mindir")
    with pytest.raises(mindir.MindIRError, match="data_0.*parameter w"):
        mindir.load(path)


@pytest.mark.parametrize("dims", [(HUGE, 4), (-3, 4), (-2, 4), (1,) * 33])
def test_an_input_or_a_value_of_an_impossible_shape_is_refused(tmp_path, dims):
    for place in ("input", "node"):
        builder = Builder()
        builder.input("x", dims if place == "input" else (4, 8))
        builder.output(builder.node("ReLU", "y", ["x"], dims if place == "node" else (4, 8)))
        with pytest.raises(mindir.MindIRError, match=place):
            mindir.load(builder.write(tmp_path / "Net.mindir"))


def test_a_node_without_inputs(tmp_path):
    """A repair that is refused leaves the model as it was: everything() sees to that."""
    builder = Builder()
    builder.input("x")
    builder.node("Tanh", "y", ["x"])  # which is rewritten
    builder.node("ReLU", "nothing", [], None)
    builder.output(builder.node("ReLU", "z", ["nothing"]), "y")
    assert everything(builder.write(tmp_path / "Net.mindir"), tmp_path)["load done"]


def model_with_values_in(location, path):
    builder = Builder()
    builder.input("x")
    builder.external("w", location)
    builder.output(builder.node("MatMul", "y", ["x", "w"]))
    return builder.write(path)


@pytest.mark.parametrize("location", OUTSIDE)
def test_values_are_in_the_models_folder(tmp_path, location):
    (tmp_path / "data_0").write_bytes(bytes(256))
    (tmp_path / "inner").mkdir()
    path = model_with_values_in(location, tmp_path / "inner" / "Net.mindir")
    with pytest.raises(mindir.MindIRError, match="parameter w has its values in"):
        mindir.load(path)
    tensor = PROTO["Model"].FromString((tmp_path / "inner" / "Net.mindir").read_bytes()).graph.parameter[0]
    with pytest.raises(mindir.MindIRError):
        mindir.data_file(path, tensor)


@pytest.mark.parametrize("kind", ["missing", "folder", "fifo", "device", "loop", "long"])
def test_values_are_in_a_plain_file(tmp_path, kind):
    """Reading a FIFO would wait, and /dev/zero has no end."""
    data = tmp_path / ("x" * 300 if kind == "long" else "data_0")
    make = {
        "folder": data.mkdir,
        "fifo": lambda: os.mkfifo(str(data)),
        "device": lambda: data.symlink_to("/dev/zero"),
        "loop": lambda: data.symlink_to(data),
    }
    make.get(kind, lambda: None)()
    with pytest.raises(mindir.MindIRError, match=data.name):
        mindir.load(model_with_values_in(data.name, tmp_path / "Net.mindir"))


def test_a_link_in_the_models_folder_may_lead_elsewhere(tmp_path):
    """As in the folders of model hubs, which have links to one store."""
    (tmp_path / "store").write_bytes(bytes(range(256)))
    home = tmp_path / "home"
    home.mkdir()
    (home / "data_0").symlink_to(tmp_path / "store")
    shard = mindir.load(model_with_values_in("data_0", home / "Net.mindir"))
    stage = mindir.cut(shard).steps[0]
    written = mindir.write(stage, shard, str(tmp_path), "stage")
    assert (tmp_path / "stage_variables" / "data_0").read_bytes()[64:] == bytes(range(256))
    assert mindir.load(written).nbytes == 256


def test_a_copy_of_a_large_export_writes_to_nothing_that_is_there(tmp_path):
    """One model names another's file as its data: neither the link nor the copy may overwrite it."""
    home, folder = tmp_path / "home", tmp_path / "folder"
    home.mkdir()
    folder.mkdir()
    path = model_with_values_in("Net1.mindir", home / "Net0.mindir")
    (home / "Net1.mindir").write_bytes(bytes(256))
    mindir.save(mindir.load(path), str(folder))
    assert os.readlink(str(folder / "Net1.mindir")) == str(home / "Net1.mindir")
    mindir.save(mindir.load(path), str(folder))  # again: its own link is accepted
    before = (home / "Net1.mindir").read_bytes()
    other = Builder()
    other.output(other.node("ReLU", "y", [other.input("x")]))
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    mindir.save(mindir.load(other.write(elsewhere / "Net1.mindir")), str(folder))
    assert (home / "Net1.mindir").read_bytes() == before
    assert not (folder / "Net1.mindir").is_symlink()
    with pytest.raises(mindir.MindIRError, match="taken"):
        mindir.save(mindir.load(path), str(folder))
    assert sorted(entry.name for entry in folder.iterdir()) == ["Net0.mindir", "Net1.mindir"]


# Types


@pytest.mark.parametrize(
    "number, name, size", [(16, "bfloat16", 2), (18, "qint4x2", 1), (14, "complex64", 8), (15, "complex128", 16)]
)
def test_a_type_that_one_engine_has_is_read_and_named_where_another_has_not(tmp_path, number, name, size):
    builder = Builder()
    builder.input("x", data_type=number)
    builder.parameter("w", data_type=number, raw_data=bytes(64 * size))
    builder.output(builder.node("MatMul", "y", ["x", "w"], data_type=number))
    path = builder.write(tmp_path / "Net.mindir")
    shard = mindir.load(path)
    assert shard.inputs == [("x", name, (4, 8))]
    assert [value.dtype for value in shard.outputs] == [name]
    assert shard.nbytes == 64 * size
    mindir.check_set([shard.summary(), shard.summary()])
    for work in (mindir.cut, lambda shard: mindir.repair(shard, "gpu")):
        if name == "bfloat16" and work is mindir.cut:  # which CPU ranks compute in float32
            continue
        with pytest.raises(mindir.MindIRError, match=f"is {name}"):
            work(mindir.load(path))
    done = command(sys.executable, "-m", "mindir", path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count(name) == 3
    builder.graph.parameter[0].raw_data += b"\0"
    with pytest.raises(mindir.MindIRError, match=f"{64 * size + 1} bytes instead of {64 * size}"):
        mindir.load(builder.write(tmp_path / "Net.mindir"))


@pytest.mark.parametrize("number", [0, 19, 99, -1])
def test_a_type_that_no_version_has_is_named_by_its_number(tmp_path, number):
    for place in ("input", "parameter", "node"):
        builder = Builder()
        builder.input("x", data_type=number if place == "input" else 1)
        builder.parameter("w", data_type=number if place == "parameter" else 1, raw_data=bytes(256))
        builder.output(builder.node("MatMul", "y", ["x", "w"], data_type=number if place == "node" else 1))
        path = builder.write(tmp_path / "Net.mindir")
        if place == "node" and number == 0:  # a value that isn't a tensor
            assert mindir.load(path).outputs[0].dtype == "tuple"
            continue
        with pytest.raises(mindir.MindIRError, match=f"{place} .* type {number},"):
            mindir.load(path)
