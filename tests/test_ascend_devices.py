"""Device numbers, containers and launchers on Ascend as in public reports: cases/."""

import json
import shutil
import subprocess
import sys

import pytest
from ascend_server import PAGE, Server, finished
from conftest import ENVIRONMENT, MODEL, ROOT, assert_refused, command, lines

from ascend import Refused, devices, table

# device numbers


def on_server(*numbers):
    return [table.Rank(rank, "10.0.0.1", number, "") for rank, number in enumerate(numbers)]


@pytest.mark.parametrize(
    "mounted, variable, named, given",
    [
        ((4, 5), None, (4, 5), [0, 1]),
        ((4, 5), "0,1", (4, 5), [0, 1]),
        ((4, 5), "1,0", (4, 5), [1, 0]),
        ((4, 7), None, (7, 4), [1, 0]),
        ((3, 4, 5, 6, 7), "2", (5,), [0]),
        (range(8), "2,3", (2, 3), [0, 1]),
        (range(8), None, (2, 3), [2, 3]),
        (range(8), "", (2, 3), [2, 3]),
        (range(16), "10,11", (11, 10), [1, 0]),
        (range(8), "1, 2,3", (1,), [0]),  # CANN reads 1
        (range(8), "1,3,8", (3,), [1]),
        (range(8), "8,1", (1,), "device 1, number 1 of the 8 here"),  # it reads no number
        ((4, 5), None, (0, 1), "device 0, but there is no"),
        ((4, 5), "4,5", (4, 5), "device 4, number 0 of the 2 here, but ASCEND_RT_VISIBLE_DEVICES is 4,5"),
        (range(8), "4,5", (2, 3), "device 2, number 2 of the 8 here, but ASCEND_RT_VISIBLE_DEVICES is 4,5"),
        (range(8), "1, 2,3", (1, 2), "device 2, number 2 of the 8 here"),
        (range(8), "9" * 9999, (1,), "device 1, number 1 of the 8 here"),
        ((), None, (0,), "device 0, but there is no"),
    ],
)
def test_device_id_is_the_place_among_the_devices_that_a_process_sees(
    tmp_path, monkeypatch, mounted, variable, named, given
):
    for number in mounted:
        (tmp_path / f"davinci{number}").touch()
    (tmp_path / "davinci_manager").touch()
    monkeypatch.setattr(devices, "DEV", str(tmp_path))
    if variable is None:
        monkeypatch.delenv(devices.VARIABLE, raising=False)
    else:
        monkeypatch.setenv(devices.VARIABLE, variable)
    if isinstance(given, list):
        assert devices.device_ids(on_server(*named), "table.json") == given
    else:
        with pytest.raises(Refused) as caught:
            devices.device_ids(on_server(*named), "table.json")
        assert given in str(caught.value)


@pytest.fixture
def container(tmp_path):
    """A container with two devices of a server, 4 and 7, which the table has, too."""
    made = Server(tmp_path)
    for path in (tmp_path / "dev").iterdir():
        if path.name not in ("davinci4", "davinci7"):
            path.unlink()
    made.write_table(2)
    content = json.loads((tmp_path / "rank_table.json").read_text())
    for device, number in zip(content["server_list"][0]["device"], ("4", "7")):
        device["device_id"] = number
    (tmp_path / "rank_table.json").write_text(json.dumps(content))
    return made


def test_in_a_container(container):
    done = container.run()
    assert done.returncode == 0, done.stderr
    assert "check: PASS" in done.stdout
    for rank in (0, 1):
        call = {"call": "Context.ascend.device_id", "arguments": {"value": rank}}
        assert json.dumps(call) in (container.calls / f"rank{rank}.jsonl").read_text()
    assert_refused(container.run(ASCEND_RT_VISIBLE_DEVICES="4,7"), 2, "device 4", "ASCEND_RT_VISIBLE_DEVICES")


def test_the_double_refuses_other_numbers_in_a_container(container):
    """The server's own number as device_id, as the suite gave it at first; the container's number in the table."""
    words = (f"--model_path={MODEL.with_name('Matmul0.mindir')}", f"--config_file={container.config}", "--rank_id=0")

    def page(device):
        return command(sys.executable, PAGE, *words, f"--device_id={device}", **container.environment)

    done = page(4)
    assert done.returncode == 1
    assert "device 4: this process sees 2" in done.stderr
    content = json.loads((container.folder / "rank_table.json").read_text())
    for number, device in enumerate(content["server_list"][0]["device"]):
        device["device_id"] = str(number)
    (container.folder / "rank_table.json").write_text(json.dumps(content))
    done = page(0)
    assert done.returncode == 1
    assert "rank table config devId[0],but local devId[4]" in done.stderr
    assert_refused(container.run(), 2, "device 0, but there is no", "davinci0", "4, 7")


# what else starts ranks


@pytest.mark.parametrize(
    "words",
    [
        ("main.py", "--backend=ascend", "--model_path=models/Matmul.mindir"),
        (PAGE, "--model_path=models/Matmul{rank}.mindir"),
    ],
)
def test_msruns_rank_and_device_are_taken(tmp_path, words):
    """msrun starts the same command as its scheduler, too, which has nothing to do here. Rank 0 is on device 1."""
    server = Server(tmp_path)
    server.write_table(2)
    content = json.loads((tmp_path / "rank_table.json").read_text())
    for device in content["server_list"][0]["device"]:
        device["device_id"] = str(1 - int(device["rank_id"]))
    (tmp_path / "rank_table.json").write_text(json.dumps(content))
    started = []
    for number in (None, 0, 1):
        given = {"MS_ROLE": "MS_SCHED" if number is None else "MS_WORKER", "MS_WORKER_NUM": "2"}
        given.update({} if number is None else {"RANK_ID": str(number), "DEVICE_ID": str(1 - number)})
        started.append(
            subprocess.Popen(
                [sys.executable, *words, f"--config_file={server.config}"],
                cwd=str(ROOT),
                env={**ENVIRONMENT, **server.environment, **given},
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                universal_newlines=True,
            )
        )
    scheduler, *others = [finished(process) for process in started]
    assert (scheduler.returncode, scheduler.stdout, scheduler.stderr) == (0, "", "")
    for number, done in enumerate(others):
        assert done.returncode == 0, done.stderr
        assert "data size is:2048" in done.stdout
        calls = [json.loads(line) for line in (server.calls / f"rank{number}.jsonl").read_text().splitlines()]
        given = [call["arguments"]["value"] for call in calls if call["call"] == "Context.ascend.device_id"]
        assert given == [1 - number]


def test_ranks_that_no_rank_table_joins_are_refused(tmp_path):
    """With msrun's variables only, or a configuration file that names no table; a shard without collectives runs."""
    server = Server(tmp_path)
    server.config.write_text("[ascend_context]\nprovider=ge\n")

    def rank(model_path, *words, **started):
        words = ("main.py", "--backend=ascend", f"--model_path={model_path}", *words)
        return command(sys.executable, *words, **{**server.environment, **started})

    by_msrun = {"MS_ROLE": "MS_WORKER", "MS_WORKER_NUM": "2", "RANK_ID": "1", "DEVICE_ID": "1"}
    what = ("Matmul1.mindir: node Default/gather-GatherColumns/AllGather-op12: AllGather", "rank table")
    assert_refused(rank(MODEL, **by_msrun), 2, *what, "msrun (MS_WORKER_NUM=2)", "--config_file")
    assert_refused(rank(MODEL, f"--config_file={server.config}", **by_msrun), 2, *what, f"{server.config} names none")
    done = rank(MODEL, "--rank_id=1")
    assert_refused(done, 2, *what, "--config_file")
    assert "msrun" not in done.stderr
    for name in ("Net.mindir", "Net0.mindir"):
        shutil.copy(str(MODEL), str(tmp_path / name))
    done = rank(tmp_path / "Net.mindir", "--rank_id=0")
    assert done.returncode == 0, done.stderr
    assert "check: PASS" in done.stdout


def test_one_run_sh_per_server_may_be_started_by_another_launcher(tmp_path):
    server = Server(tmp_path)
    server.write_table(1)
    around = {"SLURM_PROCID": "1", "SLURM_STEP_NUM_TASKS": "2"}
    done = server.run(SLURM_STEP_TASKS_PER_NODE="1(x2)", **around, timeout=60)
    assert done.returncode == 2  # the model has two shards, the table one rank
    assert "srun" not in done.stderr
    assert "1 of 1 ranks" in done.stderr
    done = server.run(SLURM_STEP_TASKS_PER_NODE="2", **{**around, "SLURM_PROCID": "0"}, timeout=60)
    assert_refused(done, 2, "srun", "one run.sh per server")


def test_bfloat16_runs_on_ascend(tmp_path):
    """And a file of MindSpore 2.7, where mindspore_lite isn't older."""
    server = Server(tmp_path)
    server.write_table(1)
    model = f"--model_path={ROOT / 'tests' / 'fixtures' / 'lower' / 'ranks' / 'Bfloat.mindir'}"
    done = server.run(model, timeout=60, ASCEND_DOUBLE_VERSION="2.5.0+double")
    assert done.returncode == 2 and len(lines(done.stderr)) == 2, done.stderr  # run.sh's first line, and this one
    for text in ("Bfloat0.mindir", "mind_ir_version 3", "mindspore_lite 2.5.0", "2.6 or later"):
        assert text in done.stderr
    assert not list(server.calls.iterdir())
    done = server.run(model, timeout=60, ASCEND_DOUBLE_VERSION="2.7.0+double")
    assert done.returncode == 0, done.stderr
    assert "tensor's name is:" in done.stdout
