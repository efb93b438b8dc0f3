"""The pages for Ascend, started as in the tutorial, on the double in tests/ascend_double."""

import json
import shutil

import numpy as np
from ascend_server import SHARED, TUTORIAL, finished
from conftest import MODEL, assert_refused

import mindir


def test_the_tutorials_commands(server):
    """Two processes started by hand; the calls are the tutorial's, in its order."""
    ranks = [
        server.start_page(
            rank, f"--model_path={MODEL.with_name(f'Matmul{rank}.mindir')}", f"--config_file={server.config}"
        )
        for rank in (0, 1)
    ]
    texts = []
    for rank, process in enumerate(ranks):
        done = finished(process)
        assert done.returncode == 0, done.stderr
        texts.append(done.stdout.splitlines()[1])
        assert server.calls_of(rank) == TUTORIAL
    weight = np.frombuffer(mindir.load(str(MODEL)).model.graph.parameter[0].raw_data, np.float32).reshape(256, 128)
    values = [float(number) for number in texts[0].split(": ")[1].split()]
    assert np.allclose(values, (np.ones(256) @ weight.astype(np.float64))[:10], rtol=1e-5, atol=1e-5)
    assert texts[0] == texts[1]


def test_two_models_share_their_weights_on_every_rank(server):
    """Such as prefill and decode: here the same shards twice, under different names."""
    ranks = []
    for rank in (0, 1):
        for name in ("Prefill", "Decode"):
            shutil.copy(str(MODEL.with_name(f"Matmul{rank}.mindir")), str(server.folder / f"{name}{rank}.mindir"))
        paths = [server.folder / f"{name}{rank}.mindir" for name in ("Prefill", "Decode")]
        ranks.append(server.start_page(rank, "--model_path", *paths, f"--config_file={server.config}", script=SHARED))
    for rank, process in enumerate(ranks):
        done = finished(process)
        assert done.returncode == 0, done.stderr
        assert done.stdout.count("tensor's name is:") == 2
        calls = server.calls_of(rank)
        assert calls.index("ModelGroup.add_model") < calls.index("Model.build_from_file")
        assert calls.count("Model.build_from_file") == 2
        options = '"ge_session_options": {"ge.externalWeight": "1"}'
        assert (server.calls / f"rank{rank}.jsonl").read_text().count(options) == 2
        shared = [json.loads(line) for line in (server.calls / f"rank{rank}.jsonl").read_text().splitlines()]
        (shared,) = [entry["arguments"] for entry in shared if entry["call"] == "shared"]
        assert 256 * 64 * 4 in shared.values(), shared


def changed(path, copy, change):
    """Write a copy of a model with its only weight changed."""
    message = mindir.load(str(path)).model
    (weight,) = message.graph.parameter
    before = weight.name
    change(weight)
    for node in message.graph.node:
        node.input[:] = [weight.name if name == before else name for name in node.input]
    copy.write_bytes(message.SerializeToString())
    return copy


def test_weights_that_cant_be_shared_are_refused_before_any_device_is_touched(server):
    path = MODEL.with_name("Matmul0.mindir")

    def other_name(weight):
        weight.name = weight.name.replace("weight", "another")

    def other_shape(weight):
        weight.dims[:] = weight.dims[::-1]

    def other_values(weight):
        weight.raw_data = weight.raw_data[::-1]

    for change, text in (
        (other_name, "none of its 1 weights"),
        (other_shape, "weight columns.weight is float32 [64, 256], in "),
        (other_values, "weight columns.weight has other values than in "),
    ):
        other = changed(path, server.folder / "Other.mindir", change)
        done = finished(server.start_page(0, "--model_path", path, other, script=SHARED))
        assert_refused(done, 2, text)
    assert not list(server.calls.iterdir())


def test_a_mindspore_lite_without_model_groups_is_refused(server):
    path = MODEL.with_name("Matmul0.mindir")
    process = server.start_page(0, "--model_path", path, path, script=SHARED, ASCEND_DOUBLE_WITHOUT="ModelGroup")
    assert_refused(finished(process), 3, "mindspore_lite 2.3.0+double has no ModelGroup", "2.1 or later")
