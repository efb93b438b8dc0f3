"""Ascend: what can't be right is refused before any device is touched."""

import json
import re
import sys

import pytest
from ascend_server import PAGE, SHARED, finished
from conftest import MODEL, assert_refused, command, lines


@pytest.mark.parametrize("script", [PAGE, SHARED])
def test_the_real_wheel_without_ranks_is_refused(script):
    """2.0.0 silently accepts rank_id and provider, and would run every rank alone."""
    shard = MODEL.with_name("Matmul0.mindir")
    paths = [shard] * (1 + (script == SHARED))
    done = command(sys.executable, script, "--model_path", *paths, "--device_id=0", "--rank_id=0")
    assert_refused(done, 3, "mindspore_lite 2.0.0", "context.ascend.rank_id", "2.1")


def test_main_refuses_the_real_wheel_too(server):
    done = server.run(PYTHONPATH="")
    assert done.returncode == 3
    assert "context.ascend.rank_id" in done.stderr
    assert len(lines(done.stderr)) == 2  # run.sh's first line, and this one


def test_without_cann_the_loaders_reason_is_shown(server):
    done = finished(server.start_page(0, f"--model_path={MODEL.with_name('Matmul0.mindir')}", LD_LIBRARY_PATH=""))
    assert_refused(done, 3, "libascendcl.so", "set_env.sh")


def test_without_a_device_nothing_starts(server):
    (server.folder / "dev" / "davinci1").unlink()
    assert_refused(server.run(), 2, "rank 1 is on device 1, but there is no", "davinci1")
    for device in (server.folder / "dev").iterdir():
        device.unlink()
    assert_refused(server.run(), 3, "--backend ascend", "davinci")


def test_the_environments_rank_table_must_not_contradict(server):
    words = (f"--model_path={MODEL.with_name('Matmul0.mindir')}", f"--config_file={server.config}")
    other = str(server.folder / "other.json")
    for done in (finished(server.start_page(0, *words, RANK_TABLE_FILE=other)), server.run(RANK_TABLE_FILE=other)):
        assert_refused(done, 2, "rank_table", f"RANK_TABLE_FILE in the environment is {other}")


def test_ranks_shards_and_rank_table_have_to_agree(server):
    assert_refused(server.run("--ranks=3"), 2, "rank_table.json has 2 ranks, but --ranks is 3")
    server.write_table(4)
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
    server.write_table(4)
    table = json.loads((server.folder / "rank_table.json").read_text())
    del table["server_list"][0]["device"][:2]
    for number, device in enumerate(table["server_list"][0]["device"]):
        device["rank_id"] = str(number)  # ranks 0 and 1 on devices 2 and 3
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
def test_a_rank_table_only_in_the_environment_is_reported(server, page):
    server.config.write_text("[ascend_context]\nprovider=ge\n")
    words = (f"--model_path={MODEL.with_name('Matmul0.mindir')}", f"--config_file={server.config}")
    table = str(server.folder / "rank_table.json")
    done = finished(server.start_page(0, *words, RANK_TABLE_FILE=table)) if page else server.run(RANK_TABLE_FILE=table)
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
