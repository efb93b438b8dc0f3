"""run.sh on Ascend without a device: everything up to the device is real, the rest is the double in ascend_double."""

import re
import shutil

import nets
import numpy as np
import pytest
import splits
from ascend_server import FIXTURES, finished
from conftest import MODEL, ROOT, assert_refused, command, lines

import mindir

# run.sh on the double


@pytest.mark.parametrize("count", [2, 4])
def test_run_sh_runs_the_test_nets(server, count):
    """Every rank's result is compared with the unsharded model's, and rank 0's with NumPy's in float64."""
    server.write_table(count)
    given, output = nets.inputs("mlp-reduce_scatter"), server.folder / "out.npz"
    np.savez(str(server.folder / "in.npz"), **given)
    words = (
        f"--model_path={FIXTURES / 'mlp-reduce_scatter' / str(count) / 'Net.mindir'}",
        f"--input={server.folder / 'in.npz'}",
    )
    done = server.run(*words, f"--output={output}")
    assert done.returncode == 0, done.stderr
    assert f"{count} of {count} ranks" in done.stderr
    for rank in range(count):
        assert f"rank {rank}: tensor's name is:" in done.stdout
    assert "check: PASS" in done.stdout
    (result,) = np.load(str(output)).values()
    (expected,) = nets.expected("mlp-reduce_scatter", given, count)
    assert np.max(np.abs(result - expected)) <= 2e-6 * np.max(np.abs(expected))


def test_eight_ranks(server):
    folder = server.folder
    python = ROOT / ".venv-export" / "bin" / "python"
    export = command(python, "models/export_matmul.py", "--ranks=8", "--output", folder / "Matmul.mindir")
    assert export.returncode == 0, export.stderr
    server.write_table(8)
    done = server.run(f"--model_path={folder / 'Matmul.mindir'}")
    assert done.returncode == 0, done.stderr
    assert "rank 7: tensor's name is:" in done.stdout
    assert "check: PASS" in done.stdout
    assert {file.name for file in (folder / "logs").iterdir()} == {
        f"rank_{rank}.{stream}.log" for rank in range(8) for stream in ("stdout", "stderr")
    }


def test_the_check_can_fail_on_any_rank(server, model):
    shutil.copy(str(model.with_name("Matmul0.mindir")), str(model.with_name("Matmul1.mindir")))
    done = server.run(f"--model_path={model}")
    assert done.returncode == 4
    assert "check: FAIL" in done.stdout


def test_a_cache_that_assign_keeps_is_kept_between_predicts(server):
    """It is passed to GE (here to the double, which keeps it): each predict adds x · weight to what was there."""
    model = ROOT / "tests" / "cases" / "25-kv-cache" / "Net.mindir"
    output = server.folder / "out.npz"
    done = server.run(f"--model_path={model}", "--repeat=3", f"--output={output}")
    assert done.returncode == 0, done.stderr
    assert "check: none" in done.stdout  # the unsharded model keeps state, too, which this machine's CPU can't
    (weight,) = [tensor for tensor in mindir.load(str(model)).model.graph.parameter if tensor.name.endswith("weight")]
    expected = 3 * np.ones((4, 16)) @ np.frombuffer(weight.raw_data, np.float32).reshape(weight.dims).astype(float)
    (result,) = np.load(str(output)).values()
    assert not np.max(np.abs(result - expected)) > 2e-6 * np.max(np.abs(expected))
    done = server.run(f"--model_path={model}", "--check=on")
    assert done.returncode == 2
    assert re.search("Net.mindir: node .*Assign changes state", done.stderr)


def test_two_servers_each_start_their_ranks(server):
    server.write_table(2, 2)
    model = FIXTURES / "mlp-reduce_scatter" / "4" / "Net.mindir"
    assert_refused(server.run(f"--model_path={model}"), 2, "10.0.0.1", "10.0.0.2", "--server_id")
    jobs = [
        server.start(*(f"--model_path={model}", f"--server_id=10.0.0.{number}", f"--log_dir={server.folder / 'logs'}"))
        for number in (1, 2)
    ]
    for job, here in zip(jobs, ((0, 1), (2, 3))):
        done = finished(job)
        assert done.returncode == 0, done.stderr
        assert "2 of 4 ranks" in done.stderr
        shown = {int(line.split()[1][:-1]) for line in done.stdout.splitlines() if "tensor's name is:" in line}
        assert shown == set(here)
        assert not re.search(r"rank \d: rank", done.stdout)  # tagged once
        assert lines(done.stdout)[-1].startswith("check: PASS")  # for the whole server, untagged
    assert len(list((server.folder / "logs").glob("rank_?.stdout.log"))) == 4  # one folder for both servers
    for rank in range(4):
        assert f'"value": {rank % 2}' in (server.calls / f"rank{rank}.jsonl").read_text()


def test_ranks_of_another_server_that_nobody_starts_are_named_while_this_one_waits(server):
    server.write_table(1, 1)
    done = server.run("--server_id=10.0.0.2", "--build_timeout=8")
    assert done.returncode == 124, done.stderr
    # the first line says which ranks take part
    missing = [line for line in lines(done.stderr)[1:] if "10.0.0.1" in line]
    assert len(missing) > 1 and all(re.search(r"rank 0\b", line) for line in missing)  # and again at the limit


def test_shards_of_other_models_are_found_across_servers(server, model):
    """Servers can't talk to each other: the first rank of each reads the others' shards."""
    server.write_table(1, 1)
    shutil.copy(str(FIXTURES / "skip" / "2" / "Net0.mindir"), str(model.with_name("Matmul0.mindir")))
    done = server.run(f"--model_path={model}", "--server_id=10.0.0.2")
    assert done.returncode == 2
    assert re.search("Matmul[01].mindir.*(inputs|outputs|collective)", lines(done.stderr)[-1])


def test_a_refusal_on_the_second_server_has_its_reason(server):
    server.write_table(1, 1)
    done = server.run("--server_id=10.0.0.2", "--input=none.npz")
    assert done.returncode == 2
    assert re.search("rank 1: .*none.npz", done.stderr)


@pytest.mark.parametrize(
    "fault, status, text",
    [
        ("1:context:raise", 1, "rank 1 failed in read"),
        ("0:build:raise", 1, "rank 0 failed in build"),
        ("1:build:kill", 137, "rank 1 died in build: SIGKILL"),
        ("1:built:segv", 139, "rank 1 died in build: SIGSEGV"),
        ("0:predict2:exit7", 7, "rank 0 failed in predict 2 of 3: exit 7"),
        ("1:collective2.1:kill", 137, "rank 1 died in predict 2 of 3: SIGKILL"),
        ("1:predict3:hang", 124, "still in predict 3 of 3 after 2 s"),
        ("0:build:hang", 124, "still in build after 2 s"),
        ("1:predict1:stop", 124, "rank 1: stopped by a signal in predict 1 of 3 after 2 s"),
        ("1:exit:hang", 124, "rank 1: still in exit after 2 s"),
    ],
)
def test_a_rank_that_fails_ends_the_job_by_name(server, fault, status, text):
    fired = server.folder / "fired"
    limits = [f"--{name}_timeout=2" for name in ("build", "predict") if fault.endswith(("hang", "stop"))]
    done = server.run(*limits, "--repeat=3", ASCEND_DOUBLE_FAULT=fault, ASCEND_DOUBLE_FIRED=str(fired))
    assert fired.exists()
    assert done.returncode == status, done.stderr
    assert text in done.stderr
    assert not command("pgrep", "-f", str(server.folder)).stdout


# What MindSpore itself split: GE also runs what CPU ranks and TensorRT may lack


@pytest.mark.parametrize("name", ["mlp2d_semi_4", "block_semi_4", "pipe_2", "pipe_tensor_4"])
def test_groups_and_pipelines_go_through_to_the_engine(server, name):
    count = splits.count(name)
    server.write_table(count)
    folder = splits.SPLITS / name
    done = server.run(
        f"--ranks={count}",
        f"--model_path={folder / 'Net.mindir'}",
        f"--input={folder / 'in.npz'}",
        f"--output={server.folder / 'out.npz'}",
        "--repeat=2",
    )
    assert done.returncode == 0, done.stderr
    assert "check: PASS" in done.stdout
    (output,) = np.load(str(server.folder / "out.npz")).values()
    right = splits.expected(name)
    assert not np.max(np.abs(output - right)) > 1e-5 * np.max(np.abs(right))
    shown = {line[:6] for line in done.stdout.splitlines() if "tensor's name" in line}
    assert shown == {f"rank {rank}" for rank in range(count // 2 if name.startswith("pipe") else 0, count)}


def test_what_the_suite_does_not_know_is_left_to_the_engine(server, tmp_path):
    """A collective in a group whose ranks the file doesn't name: it is the double that refuses it."""
    (tmp_path / "net").mkdir()
    for rank in (0, 1):
        model = mindir.load(str(MODEL.with_name(f"Matmul{rank}.mindir"))).model
        for primitive in model.primitives:
            for attribute in primitive.attribute:
                if attribute.name == "group" and attribute.s:
                    primitive.op_type, attribute.s = "NeighborExchange", b"mine"
        (tmp_path / "net" / f"Net{rank}.mindir").write_bytes(model.SerializeToString())
    done = server.run("--ranks=2", f"--model_path={tmp_path / 'net' / 'Net.mindir'}")
    assert done.returncode == 1
    assert "failed in build" in done.stderr
    assert "NeighborExchange" in (server.folder / "logs" / "rank_0.stderr.log").read_text()
