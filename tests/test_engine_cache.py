"""--engine_cache on CPU ranks: later starts build from what mindspore_lite's converter made of the stages."""

import argparse
import hashlib

import numpy as np
import pytest
from conftest import assert_refused, run_main

import mindir
from ranks import REFUSED, Stop
from suite import options


def run(model, cache, output):
    done = run_main(2, model, f"--engine_cache={cache}", f"--output={output}", "--check=off")
    assert done.returncode == 0, done.stderr
    with np.load(str(output)) as arrays:
        return dict(arrays)


def times(cache):
    return {path.name: path.stat().st_mtime_ns for path in cache.iterdir()}


def same(one, other):
    return list(one) == list(other) and all(np.array_equal(one[name], other[name]) for name in one)


def write_with_sum(path, content):
    """Overwrite the kept file at `path`, and its sum, too."""
    path.write_bytes(content)
    path.with_suffix(".sha256").write_text(f"{hashlib.sha256(content).hexdigest()}  {path.name}\n")


def test_stages_are_kept_and_used_and_a_damaged_one_is_built_again(model, tmp_path):
    cache = tmp_path / "new" / "engines"
    right = run(model, cache, tmp_path / "first.npz")
    before = times(cache)
    assert sorted(name.split(".")[1] for name in before) == ["ms", "ms", "sha256", "sha256"]

    damaged, whole = sorted(cache.glob("*.ms"))
    damaged.write_bytes(damaged.read_bytes()[:-1])
    assert same(run(model, cache, tmp_path / "second.npz"), right)
    after = times(cache)
    assert {name for name in before if after[name] != before[name]} == {damaged.name, f"{damaged.stem}.sha256"}
    assert list(before) == list(after)  # and nothing else is left there

    one, other = damaged.read_bytes(), whole.read_bytes()
    write_with_sum(damaged, other)
    write_with_sum(whole, one)
    swapped = run(model, cache, tmp_path / "third.npz")
    assert not same(swapped, right)  # the ranks have each other's columns: they do use the kept files


def test_a_stage_with_other_weights_is_another_one(model, tmp_path):
    right = run(model, tmp_path / "engines", tmp_path / "first.npz")
    for rank in (0, 1):
        path = model.with_name(f"Matmul{rank}.mindir")
        net = mindir.PROTO["Model"].FromString(path.read_bytes())
        for tensor in net.graph.parameter:
            tensor.raw_data = (-np.frombuffer(tensor.raw_data, np.float32)).tobytes()
        path.write_bytes(net.SerializeToString())
    other = run(model, tmp_path / "engines", tmp_path / "second.npz")
    assert same({name: -array for name, array in other.items()}, right)
    assert len(list((tmp_path / "engines").glob("*.ms"))) == 4


def test_a_folder_that_cannot_be_made_is_refused(model):
    assert_refused(run_main(2, model, "--engine_cache=/dev/null/x"), 2, "--engine_cache /dev/null/x", "Not a directory")


def test_on_ascend_it_is_refused(model):
    parser = argparse.ArgumentParser()
    options.add_options(parser)
    args = parser.parse_args([f"--model_path={model}", "--engine_cache=x"])
    with pytest.raises(Stop, match="--engine_cache.*ascend") as found:
        options.check_options(args, "ascend")
    assert found.value.status == REFUSED
