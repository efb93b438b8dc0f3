"""Ascend without an Ascend: everything up to the card for real, the rest on the double in tests/ascend_double."""

import json
import re
import shutil
import subprocess
import sys

import nets
import numpy as np
import pytest
import splits
from conftest import ENVIRONMENT, MODEL, ROOT, assert_refused, command, lines

import mindir
from ascend import table as rank_tables
from ascend.make import make, merge

DOUBLE = ROOT / "tests" / "ascend_double"
FIXTURES = ROOT / "tests" / "fixtures"
PAGE, SHARED = "ascend_ge_distributed.py", "ascend_ge_shared_weights.py"
TUTORIAL = [
    *("Context", "Context.target", "Context.ascend.device_id", "Context.ascend.rank_id", "Context.ascend.provider"),
    *("Model", "Model.build_from_file", "ranks met", "Model.get_inputs", "Tensor.set_data_from_numpy", "Model.predict"),
    "collective",
]


class Server:
    """A server with an Ascend, as far as a test can have one: device files, CANN's library, double, rank table."""

    def __init__(self, folder):
        self.folder, self.config, self.calls = folder, folder / "config_file.ini", folder / "calls"
        for name in ("dev", "lib", "hub", "calls"):
            (folder / name).mkdir()
        for number in range(8):
            (folder / "dev" / f"davinci{number}").touch()
        # what stands for CANN's library, which is only looked for here
        subprocess.run(["gcc", "-shared", "-o", str(folder / "lib" / "libascendcl.so"), "-xc", "/dev/null"], check=True)
        shutil.copy(str(ROOT / "config_file.ini"), str(folder))
        self.environment = {
            "LAUNCH_DEV": str(folder / "dev"),
            "LD_LIBRARY_PATH": str(folder / "lib"),
            "PYTHONPATH": str(DOUBLE),
            "ASCEND_DOUBLE_HUB": str(folder / "hub"),
            "ASCEND_DOUBLE_LOG": str(self.calls),
        }

    def table(self, *servers):
        """Write a rank table with so many devices on each server: 10.0.0.1, 10.0.0.2, ..."""
        tables = []
        for number, count in enumerate(servers, 1):
            addresses = {device: f"192.{number}.{device}.6" for device in range(count)}
            tables.append(make(range(count), addresses, f"10.0.0.{number}"))
        (self.folder / "rank_table.json").write_text(rank_tables.dumps(merge(tables)))

    def start(self, *words, **environment):
        """Start run.sh on the double."""
        return subprocess.Popen(
            [str(word) for word in ("./run.sh", "--backend=ascend", f"--config_file={self.config}", *words)],
            cwd=str(ROOT),
            env={**ENVIRONMENT, **self.environment, **environment},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            universal_newlines=True,
        )

    def run(self, *words, timeout=120, **environment):
        """Run run.sh on the double to its end."""
        return ended(self.start(*words, f"--log_dir={self.folder / 'logs'}", **environment), timeout)

    def page(self, rank, *words, script=PAGE, cwd=ROOT, **environment):
        """Start one rank of a page by hand, as the tutorial does."""
        return subprocess.Popen(
            [sys.executable, script, *map(str, words), f"--device_id={rank}", f"--rank_id={rank}"],
            cwd=str(cwd),
            env={**ENVIRONMENT, **self.environment, **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            universal_newlines=True,
        )

    def called(self, rank):
        """Return the names of what rank's process called of mindspore_lite, in order."""
        return [json.loads(line)["call"] for line in (self.calls / f"rank{rank}.jsonl").read_text().splitlines()]


def ended(process, timeout=120):
    stdout, stderr = process.communicate(timeout=timeout)
    return subprocess.CompletedProcess(process.args, process.returncode, stdout, stderr)


@pytest.fixture
def server(tmp_path):
    made = Server(tmp_path)
    made.table(2)
    return made


# before any card is touched


@pytest.mark.parametrize("script", [PAGE, SHARED])
def test_the_real_wheel_without_ranks_is_refused(script):
    """2.0.0 takes rank_id and provider without a word, and would run every rank alone."""
    shard = MODEL.with_name("Matmul0.mindir")
    paths = [shard] * (1 + (script == SHARED))
    done = command(sys.executable, script, "--model_path", *paths, "--device_id=0", "--rank_id=0")
    assert_refused(done, 3, "mindspore_lite 2.0.0", "context.ascend.rank_id", "2.1")


def test_main_refuses_the_real_wheel_too(server):
    done = server.run(PYTHONPATH="")
    assert done.returncode == 3
    assert "context.ascend.rank_id" in done.stderr
    assert len(lines(done.stderr)) == 2  # run.sh's first line, and this one


def test_without_cann_the_loaders_reason_is_told(server):
    done = ended(server.page(0, f"--model_path={MODEL.with_name('Matmul0.mindir')}", LD_LIBRARY_PATH=""))
    assert_refused(done, 3, "libascendcl.so", "set_env.sh")


def test_without_a_device_nothing_starts(server):
    (server.folder / "dev" / "davinci1").unlink()
    assert_refused(server.run(), 2, "rank 1 is on device 1, but there is no", "davinci1")
    for each in (server.folder / "dev").iterdir():
        each.unlink()
    assert_refused(server.run(), 3, "--backend ascend", "davinci")


def test_the_environments_rank_table_must_not_contradict(server):
    words = (f"--model_path={MODEL.with_name('Matmul0.mindir')}", f"--config_file={server.config}")
    other = str(server.folder / "other.json")
    for done in (ended(server.page(0, *words, RANK_TABLE_FILE=other)), server.run(RANK_TABLE_FILE=other)):
        assert_refused(done, 2, "rank_table", f"RANK_TABLE_FILE in the environment is {other}")


def test_ranks_shards_and_rank_table_have_to_agree(server):
    assert_refused(server.run("--ranks=3"), 2, "rank_table.json: 2 ranks, --ranks 3")
    server.table(4)
    done = server.run()
    assert done.returncode == 2
    assert re.search("Matmul0.mindir .*2 shards.* 4 ranks", done.stderr)
    (server.folder / "rank_table.json").write_text("{}")
    assert_refused(server.run(), 2, "rank_table.json: version")
    (server.folder / "rank_table.json").unlink()
    assert_refused(server.run(), 2, "rank_table_file=rank_table.json: no such file", "rank_table.py --devices")
    server.config.write_text("[ascend_context]\n")
    assert_refused(server.run(), 2, "names no rank table")


def test_visible_devices_are_counted_from_0(server):
    server.table(4)
    table = json.loads((server.folder / "rank_table.json").read_text())
    del table["server_list"][0]["device"][:2]
    for number, each in enumerate(table["server_list"][0]["device"]):
        each["rank_id"] = str(number)  # ranks 0 and 1 on devices 2 and 3
    (server.folder / "rank_table.json").write_text(json.dumps(table))
    done = server.run(ASCEND_RT_VISIBLE_DEVICES="3,2")
    assert done.returncode == 0, done.stderr
    text = (server.calls / "rank0.jsonl").read_text()
    assert '{"call": "Context.ascend.device_id", "arguments": {"value": 1}}' in text
    assert_refused(server.run(ASCEND_RT_VISIBLE_DEVICES="0,2"), 2, "rank 1 is on device 3", "ASCEND_RT_VISIBLE_DEVICES")
    assert_refused(server.run(ASCEND_RT_VISIBLE_DEVICES="2-3"), 2, "ASCEND_RT_VISIBLE_DEVICES is 2-3")


def test_a_long_tmpdir(server):
    folder = server.folder / ("a" * 120)
    folder.mkdir()
    done = server.run(TMPDIR=str(folder))
    assert done.returncode == 0, done.stderr


def test_a_refused_start_leaves_the_last_logs(server):
    (server.folder / "logs").mkdir()
    (server.folder / "logs" / "rank_0.log").write_text("the last run's")
    server.config.unlink()
    assert_refused(server.run(), 2, "config_file.ini: can't be read")
    assert (server.folder / "logs" / "rank_0.log").read_text() == "the last run's"


@pytest.mark.parametrize("page", [True, False])
def test_a_rank_table_in_the_environment_alone_is_told(server, page):
    server.config.write_text("[ascend_context]\nprovider=ge\n")
    words = (f"--model_path={MODEL.with_name('Matmul0.mindir')}", f"--config_file={server.config}")
    table = str(server.folder / "rank_table.json")
    done = ended(server.page(0, *words, RANK_TABLE_FILE=table)) if page else server.run(RANK_TABLE_FILE=table)
    assert_refused(done, 2, f"RANK_TABLE_FILE in the environment is {table}")


def test_the_page_reads_the_configuration_as_mindspore_lite_does(server):
    """Indented lines are lines, the first of two keys counts, an empty variable is none."""
    server.config.write_text(
        "[ascend_context]\nrank_table_file=rank_table.json\n  parameter_as_refdata=none\n"
        "rank_table_file=second.json\n[other]\nrank_table_file=x\n"
    )
    program = f"import ascend_ge_distributed as page; print(page.rank_table({str(server.config)!r}))"
    done = command(sys.executable, "-c", program, RANK_TABLE_FILE="")
    table = str(server.folder / "rank_table.json")
    assert done.stdout.strip() == str({"ascend_context": {"rank_table_file": table}}), done.stderr


# run.sh on the double


@pytest.mark.parametrize("count", [2, 4])
def test_run_sh_runs_the_test_nets(server, count):
    """Every rank's result against the unsharded model, and that of rank 0 against NumPy in float64."""
    server.table(count)
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
    server.table(8)
    done = server.run(f"--model_path={folder / 'Matmul.mindir'}")
    assert done.returncode == 0, done.stderr
    assert "rank 7: tensor's name is:" in done.stdout
    assert "check: PASS" in done.stdout
    assert {each.name for each in (folder / "logs").iterdir()} == {
        f"rank_{rank}.{stream}.log" for rank in range(8) for stream in ("stdout", "stderr")
    }


def test_the_check_can_fail_on_any_rank(server, model):
    shutil.copy(str(model.with_name("Matmul0.mindir")), str(model.with_name("Matmul1.mindir")))
    done = server.run(f"--model_path={model}")
    assert done.returncode == 4
    assert "check: FAIL" in done.stdout


def test_two_servers_each_start_their_ranks(server):
    server.table(2, 2)
    model = FIXTURES / "mlp-reduce_scatter" / "4" / "Net.mindir"
    assert_refused(server.run(f"--model_path={model}"), 2, "10.0.0.1", "10.0.0.2", "--server_id")
    jobs = [
        server.start(*(f"--model_path={model}", f"--server_id=10.0.0.{number}", f"--log_dir={server.folder / 'logs'}"))
        for number in (1, 2)
    ]
    for job, here in zip(jobs, ((0, 1), (2, 3))):
        done = ended(job)
        assert done.returncode == 0, done.stderr
        assert "2 of 4 ranks" in done.stderr
        shown = {int(line.split()[1][:-1]) for line in done.stdout.splitlines() if "tensor's name is:" in line}
        assert shown == set(here)
        assert not re.search(r"rank \d: rank", done.stdout)  # tagged once
        assert lines(done.stdout)[-1].startswith("check: PASS")  # of the whole server, untagged
    assert len(list((server.folder / "logs").glob("rank_?.stdout.log"))) == 4  # one folder for both
    for rank in range(4):
        assert f'"value": {rank % 2}' in (server.calls / f"rank{rank}.jsonl").read_text()


def test_ranks_of_another_server_that_nobody_starts_are_named_while_this_one_waits(server):
    server.table(1, 1)
    done = server.run("--server_id=10.0.0.2", "--build_timeout=8")
    assert done.returncode == 124, done.stderr
    missing = [line for line in lines(done.stderr)[1:] if "10.0.0.1" in line]  # the first says who takes part
    assert missing and all(re.search(r"rank 0\b", line) for line in missing)


def test_shards_of_other_models_are_found_across_servers(server, model):
    """Servers can't ask each other: the first rank of each reads the shards of the others."""
    server.table(1, 1)
    shutil.copy(str(FIXTURES / "skip" / "2" / "Net0.mindir"), str(model.with_name("Matmul0.mindir")))
    done = server.run(f"--model_path={model}", "--server_id=10.0.0.2")
    assert done.returncode == 2
    assert re.search("Matmul[01].mindir.*(inputs|outputs|collective)", lines(done.stderr)[-1])


def test_a_refusal_on_the_second_server_has_its_reason(server):
    server.table(1, 1)
    done = server.run("--server_id=10.0.0.2", "--input=none.npz")
    assert done.returncode == 2
    assert re.search("rank 1: .*none.npz", done.stderr)


@pytest.mark.parametrize(
    "fault, status, said",
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
def test_a_rank_that_fails_ends_the_job_by_name(server, fault, status, said):
    fired = server.folder / "fired"
    limits = [f"--{name}_timeout=2" for name in ("build", "predict") if fault.endswith(("hang", "stop"))]
    done = server.run(*limits, "--repeat=3", ASCEND_DOUBLE_FAULT=fault, ASCEND_DOUBLE_FIRED=str(fired))
    assert fired.exists()
    assert done.returncode == status, done.stderr
    assert said in done.stderr
    assert not command("pgrep", "-f", str(server.folder)).stdout


# the pages, as the tutorial starts them


def test_the_tutorials_commands(server):
    """Two processes started by hand; the calls are the tutorial's, in its order."""
    ranks = [
        server.page(rank, f"--model_path={MODEL.with_name(f'Matmul{rank}.mindir')}", f"--config_file={server.config}")
        for rank in (0, 1)
    ]
    texts = []
    for rank, process in enumerate(ranks):
        done = ended(process)
        assert done.returncode == 0, done.stderr
        texts.append(done.stdout.splitlines()[1])
        assert server.called(rank) == TUTORIAL
    weight = np.frombuffer(mindir.load(str(MODEL)).model.graph.parameter[0].raw_data, np.float32).reshape(256, 128)
    values = [float(each) for each in texts[0].split(": ")[1].split()]
    assert np.allclose(values, (np.ones(256) @ weight.astype(np.float64))[:10], rtol=1e-5, atol=1e-5)
    assert texts[0] == texts[1]


def test_two_models_share_their_weights_on_every_rank(server):
    """Say prefill and decode: here twice the same shards under other names."""
    ranks = []
    for rank in (0, 1):
        for name in ("Prefill", "Decode"):
            shutil.copy(str(MODEL.with_name(f"Matmul{rank}.mindir")), str(server.folder / f"{name}{rank}.mindir"))
        paths = [server.folder / f"{name}{rank}.mindir" for name in ("Prefill", "Decode")]
        ranks.append(server.page(rank, "--model_path", *paths, f"--config_file={server.config}", script=SHARED))
    for rank, process in enumerate(ranks):
        done = ended(process)
        assert done.returncode == 0, done.stderr
        assert done.stdout.count("tensor's name is:") == 2
        calls = server.called(rank)
        assert calls.index("ModelGroup.add_model") < calls.index("Model.build_from_file")
        assert calls.count("Model.build_from_file") == 2
        options = '"ge_session_options": {"ge.externalWeight": "1"}'
        assert (server.calls / f"rank{rank}.jsonl").read_text().count(options) == 2
        shared = [json.loads(line) for line in (server.calls / f"rank{rank}.jsonl").read_text().splitlines()]
        (shared,) = [each["arguments"] for each in shared if each["call"] == "shared"]
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


def test_weights_that_cant_be_shared_are_refused_before_any_card_is_touched(server):
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
        done = ended(server.page(0, "--model_path", path, other, script=SHARED))
        assert_refused(done, 2, text)
    assert not list(server.calls.iterdir())


def test_a_mindspore_lite_without_model_groups_is_refused(server):
    path = MODEL.with_name("Matmul0.mindir")
    process = server.page(0, "--model_path", path, path, script=SHARED, ASCEND_DOUBLE_WITHOUT="ModelGroup")
    assert_refused(ended(process), 3, "mindspore_lite 2.3.0+double has no ModelGroup", "2.1 or later")


# What MindSpore split itself: GE runs what CPU ranks and TensorRT may not have


@pytest.mark.parametrize("name", ["mlp2d_semi_4", "block_semi_4", "pipe_2", "pipe_tensor_4"])
def test_groups_and_pipelines_go_through_to_the_engine(server, name):
    count = splits.count(name)
    server.table(count)
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
    """A collective of a group whose ranks the file doesn't say: it's the double that lacks it."""
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
