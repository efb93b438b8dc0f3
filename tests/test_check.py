"""The check has to fail: a result that isn't the unsharded model's ends with status 4."""

import json
import shutil

import numpy as np
import pytest
from conftest import lines, run_main

import mindir


def weights_changed(path, change):
    """Change the values of the file's parameter."""
    message = mindir.load(str(path)).model
    (tensor,) = message.graph.parameter
    tensor.raw_data = change(np.frombuffer(tensor.raw_data, np.float32)).astype(np.float32).tobytes()
    path.write_bytes(message.SerializeToString())


@pytest.mark.parametrize(
    "change, text",
    [
        (lambda values: values + 1e-4, "output 0"),
        (lambda values: np.where(np.arange(values.size) == 77, np.nan, values), "output 0 has 4 values"),
        (lambda values: values[::-1], "output 0"),
    ],
    ids=["offset", "NaN", "order"],
)
def test_a_wrong_shard_fails_the_check(model, tmp_path, change, text):
    weights_changed(model.parent / "Matmul1.mindir", change)
    done = run_main(2, model, "--json", tmp_path / "report.json")
    assert done.returncode == 4
    assert "check: FAIL" in done.stdout.splitlines()[-1]
    assert len(lines(done.stderr)) == 1
    assert text in done.stderr
    assert json.loads((tmp_path / "report.json").read_text())["check"]["result"] == "FAIL"


def test_a_wrong_reference_fails_the_check_too(model):
    weights_changed(model, lambda values: np.full_like(values, np.nan))
    done = run_main(2, model)
    assert done.returncode == 4
    assert "unsharded model has 512 values" in done.stderr


def test_the_same_shard_twice_fails_the_check(model):
    shutil.copy(str(model.parent / "Matmul0.mindir"), str(model.parent / "Matmul1.mindir"))
    assert run_main(2, model).returncode == 4


def test_what_is_not_finite_on_both_sides_is_not_called_a_wrong_result(model, tmp_path):
    """Inf in an input, and an overflow in the product."""
    for name, x in (("inf", np.full((4, 256), np.inf)), ("overflow", np.full((4, 256), 3e38))):
        np.save(str(tmp_path / f"{name}.npy"), x.astype(np.float32))
        done = run_main(2, model, "--input", tmp_path / f"{name}.npy")
        assert_refused_result(done, "not finite on both sides")


def assert_refused_result(done, text):
    assert done.returncode == 4, done.stderr
    assert len(lines(done.stderr)) == 1
    assert text in done.stderr
    assert "the result isn't" not in done.stderr
    assert "check: FAIL" in done.stdout
