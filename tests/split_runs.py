"""Split nets of tests/split_nets.py with models/auto_parallel.py, and look at the results."""

import shutil

import numpy as np
import pytest
from conftest import ROOT, command, lines, run_main

import mindir

PYTHON = ROOT / ".venv-export" / "bin" / "python"
NETS = ROOT / "tests" / "split_nets.py"
COLLECTIVES = {"AllReduce", "AllGather", "ReduceScatter", "Broadcast", "AlltoAll", "Send", "Receive"}


def split(net, path, *words, shape=("8,64",), count=2, start=PYTHON, scripts=ROOT, **options):
    """Run auto_parallel.py on a function of split_nets.py, or on FILE.py:FUNCTION."""
    source = net if ":" in net else f"{NETS}:{net}"
    inputs = ("--input", *shape, "--ranks", count, "--output", path)
    return command(start, scripts / "models" / "auto_parallel.py", source, *inputs, *words, **options)


def files(path):
    return sorted(file.name for file in path.parent.iterdir())


def weights(path):
    """Return {name: array} of a MindIR's float32 parameters."""
    parameters = mindir.load(str(path)).model.graph.parameter
    return {
        tensor.name.split(":")[-1]: np.frombuffer(tensor.raw_data, np.float32).reshape(list(tensor.dims))
        for tensor in parameters
    }


def groups(path):
    """Return a shard's [(collective, ranks of its group, or None for all)], sorted."""
    found = []
    for primitive in mindir.load(str(path)).model.primitives:
        if primitive.op_type in COLLECTIVES:
            attributes = {attribute.name: attribute for attribute in primitive.attribute}
            key = "group_ranks" if "group_ranks" in attributes else "group"
            text = attributes[key].s.decode()
            everyone = text in ("WORLD_GROUP", "nccl_world_group")
            found.append((primitive.op_type, None if everyone else text))
    return sorted(found, key=str)


def assert_agrees(path, count, **arrays):
    """Run the shards on CPU ranks with these inputs, random by default; they have to agree with the unsharded net."""
    given = path.with_name("in.npz")
    np.savez(str(given), **arrays)
    done = run_main(count, path, "--input", given, "--output", path.with_name("out.npz"), "--check=on", timeout=280)
    assert done.returncode == 0, done.stderr
    assert "check: PASS" in done.stdout
    print(lines(done.stdout)[-1])
    (found,) = np.load(str(path.with_name("out.npz"))).values()
    assert found.std() > 1e-3  # constants would agree, too
    return found


def random_array(*shape):
    return np.random.RandomState(1).standard_normal(shape).astype(np.float32)


@pytest.fixture
def scripts(tmp_path_factory):
    """The scripts in a new folder, where the double isn't built yet."""
    folder = tmp_path_factory.mktemp("scripts")
    shutil.copytree(
        str(ROOT / "models"), str(folder / "models"), ignore=shutil.ignore_patterns("built", "*.mindir", "*.whl")
    )
    shutil.copy(str(ROOT / "ranks.py"), str(folder))
    shutil.copytree(str(ROOT / "suite"), str(folder / "suite"))
    return folder


def processes_of(path, name):
    """Return the processes with this name and the path in their command line."""
    return command("pgrep", "-f", f"{name}.*{path.parent}").stdout
