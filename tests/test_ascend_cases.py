"""What people bring for Ascend: cases/, out of public reports. Each case's README has its source and what is right."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import ENVIRONMENT, MODEL, ROOT, assert_refused, command, lines
from test_ascend import PAGE, Server, ended

from ascend import Refused, devices, table
from ascend.make import convert

CASES = ROOT / "tests" / "cases"


def rank_table(*words, **options):
    return command(sys.executable, ROOT / "ascend" / "rank_table.py", *words, **options)


def places(text):
    """Return what a table says: [(rank, server, device, address)]."""
    return [tuple(rank) for rank in table.ranks(json.loads(text))]


def test_every_case_says_its_source_and_what_is_right():
    for case in filter(Path.is_dir, CASES.iterdir()):
        said = [line.split(": ")[0] for line in (case / "README").read_text().splitlines()]
        assert said == ["source", "right", "product"], case


# tables of other tools


def test_pods_tables_are_converted():
    folder = CASES / "02-modelarts-table"
    done = rank_table("--from", folder / "jobstart_hccl.json")
    assert done.returncode == 0, done.stderr
    assert places(done.stdout) == [(0, "10.0.0.1", 0, "192.0.2.10"), (1, "10.0.0.1", 1, "192.0.2.11")]
    assert rank_table("--merge", folder / "jobstart_hccl.json").stdout == done.stdout
    done = rank_table("--from", folder / "template2_lab.json")
    assert places(done.stdout) == [(0, "10.0.0.10", 0, "192.168.0.12"), (1, "10.0.0.10", 1, "192.168.1.12")]
    assert_refused(rank_table("--check", folder / "jobstart_hccl.json"), 2, "group_list", "--from")


def test_ranks_follow_the_pods_numbers():
    folder = CASES / "pods-in-no-order"
    done = rank_table("--from", folder / "jobstart_hccl.json")
    assert done.returncode == 0, done.stderr
    assert places(done.stdout) == [
        *((0, "10.0.0.2", 6, "192.0.2.6"), (1, "10.0.0.2", 7, "192.0.2.7")),
        *((2, "10.0.0.1", 5, "192.0.3.5"), (3, "10.0.0.1", 0, "192.0.10.0"), (4, "10.0.0.1", 1, "192.0.10.1")),
    ]
    assert_refused(rank_table("--from", folder / "cut_off.json"), 2, "group_list[0].device_count", "8", "5")


def test_a_table_that_is_right_is_converted_to_itself():
    for path in ("table-not-complete/completed.json", "table-of-another-generation/rank_table_1.2.json"):
        done = rank_table("--from", CASES / path)
        assert json.loads(done.stdout) == json.loads((CASES / path).read_text())


@pytest.mark.parametrize(
    "change",
    [
        lambda group: group.pop("instance_list"),
        lambda group: group.update(instance_list=[]),
        lambda group: group.update(instance_list=[1]),
        lambda group: group["instance_list"][0].pop("devices"),
        lambda group: group["instance_list"][0].pop("server_id"),
        lambda group: group["instance_list"][0].update(server_id=["x"]),
        lambda group: group["instance_list"][0]["devices"][0].update(device_id="one"),
        lambda group: group["instance_list"][0]["devices"][0].update(device_id=1),
        lambda group: group["instance_list"][0]["devices"][0].update(device_ip="x"),
        lambda group: group["instance_list"][0].update(rank_id="0"),
        lambda group: group["instance_list"][0].update(pod_name="9" * 9999, server_id=""),
        lambda group: group["instance_list"][0]["devices"][0].update(device_id="9" * 9999),
        lambda group: group.clear(),
    ],
)
def test_pods_tables_that_are_damaged_are_refused(change):
    content = json.loads((CASES / "02-modelarts-table" / "jobstart_hccl.json").read_text())
    change(content["group_list"][0])
    with pytest.raises(Refused) as caught:
        convert(content, "table.json")
    assert str(caught.value).startswith("table.json")
    assert str(caught.value).isprintable()


@pytest.mark.parametrize(
    "path, key",
    [
        ("table-of-another-generation/rank_table_2.0.json", "rank_list: "),
        ("table-of-another-generation/topology.json", "edge_list: "),
        ("tables-of-several-jobs/global_ranktable.json", "server_group_list: "),
        ("tables-of-several-jobs/prefill_decode.json", "prefill_device_list: "),
        ("table-not-complete/hccl.json", "status: "),
        ("table-not-complete/jobstart_hccl.json", "status: "),
    ],
)
def test_other_forms_are_named_in_one_line(path, key):
    for option in ("--check", "--from", "--merge"):
        assert_refused(rank_table(option, CASES / path), 2, f"{path}: {key}")


def test_what_hccl_lets_through_is_let_through():
    for path, count in (
        ("table-of-another-generation/rank_table_1.2.json", 2),
        ("table-not-complete/completed.json", 2),
        ("10-config-bom-gbk/bom.json", 2),
    ):
        done = rank_table("--check", CASES / path)
        assert (done.returncode, done.stderr) == (0, ""), path
        assert f"{count} ranks" in done.stdout
    content = json.loads((CASES / "table-not-complete" / "completed.json").read_text())
    device = content["server_list"][0]["device"][0]
    device.update(device_id="01", rank_id="00", device_ip="192.168.101.2,192.168.101.3")
    assert table.checked(content, "table")
    assert table.ranks(content)[0][:3] == (0, "192.168.101.9", 1)
    device["device_id"] = "02"  # the other device
    with pytest.raises(Refused, match=r"device\[1\]\.device_id"):
        table.checked(content, "table")
    device.update(device_id="1", device_ip="192.168.101.2,192.168.102.2")  # the second is the other device's
    with pytest.raises(Refused, match=r"device\[1\]\.device_ip"):
        table.checked(content, "table")


# addresses


def test_a_loopback_server_id_is_every_machine_s():
    folder = CASES / "05-loopback-server-id"
    done = rank_table("--check", folder / "a.json")
    assert done.returncode == 0
    assert "2 ranks" in done.stdout
    assert [line.split(": ")[1] for line in lines(done.stderr)] == ["server_list[0].server_id"]
    done = rank_table("--merge", folder / "a.json", folder / "b.json")
    assert_refused(done, 2, "127.0.1.1", "--server_id")
    assert not done.stdout


def test_servers_without_addresses():
    folder = CASES / "unmounted-hccn-conf"
    done = rank_table("--check", folder / "two_servers.json")
    assert done.returncode == 2
    assert [line.split(": ")[1] for line in lines(done.stderr)] == [
        f"server_list[{server}].device[0].device_ip" for server in (0, 1)
    ]
    done = rank_table("--check", folder / "host_ip.json")
    assert done.returncode == 0
    assert [line.split(": ")[1] for line in lines(done.stderr)] == [
        f"server_list[{server}].device" for server in (0, 1)
    ]
    done = rank_table("--devices=0", "--server_id=x", "--hccn_conf=/dev/null")
    assert_refused(done, 2, "/dev/null", "hccn_tool -i 0 -ip -g", "mount")


def test_who_said_a_wrong_address_is_named(tmp_path):
    assert_refused(
        rank_table("--devices=0,1", "--server_id=x", f"--hccn_conf={tmp_path}/hccn.conf"), 2, f"{tmp_path}/hccn.conf"
    )
    conf = tmp_path / "hccn.conf"
    for text, where in (
        ("address_0=192.0.2.1\naddress_1=192.0.2\n", f"{conf}:2: 192.0.2 "),
        ("# x\n\naddress_1=192.0.2.1\naddress_0=192.0.2.1\n", f"{conf}:3: 192.0.2.1 "),
        ("address_0=0.0.0.0\n", f"{conf}:1: 0.0.0.0 "),
    ):
        conf.write_text(text)
        assert_refused(rank_table("--devices=0,1", "--server_id=x", f"--hccn_conf={conf}"), 2, where)
    done = rank_table("--check", CASES / "device-ip-dashes" / "rank_table.json")
    assert done.returncode == 2
    assert "server_list[0].device[0].device_ip: " in lines(done.stderr)[0]


@pytest.fixture
def tool(tmp_path, monkeypatch):
    """A hccn_tool that prints the address of each device that it is given here: {device: address}."""

    def say(addresses):
        script = "".join(f"test $2 = {device} && echo ipaddr:{text}\n" for device, text in addresses.items())
        (tmp_path / "hccn_tool").write_text(f"#!/bin/sh\n{script}true\n")
        (tmp_path / "hccn_tool").chmod(0o755)
        return {"PATH": f"{tmp_path}:/usr/bin:/bin"}

    return say


def test_a_tool_that_prints_no_address_is_named(tool):
    words = ("--devices=0,1", "--server_id=x", "--hccn_conf=/dev/null")
    for text in ("-.-.-.-", "0.0.0.0"):
        environment = tool({0: "192.0.2.10", 1: text})
        assert_refused(rank_table(*words, **environment), 2, f"hccn_tool -i 1 -ip -g: {text} ")
    environment = tool({0: "192.0.2.10", 1: "192.0.2.10"})
    assert_refused(rank_table(*words, **environment), 2, "192.0.2.10", "device 0", "hccn_tool -i 1 -ip -g")


def test_a_stale_hccn_conf_is_found(tool, monkeypatch):
    """Without --hccn_conf both are asked; with it, it is the file that counts."""
    from ascend import driver

    conf = CASES / "stale-hccn-conf" / "hccn.conf"
    environment = tool({0: "192.0.2.10", 1: "192.0.2.11"})
    monkeypatch.setenv("PATH", environment["PATH"])
    monkeypatch.setattr(driver, "HCCN_CONF", str(conf))
    with pytest.raises(Refused) as caught:
        driver.read_addresses([0, 1])
    for text in ("device 1", f"192.0.2.99 in {conf}:3", "192.0.2.11 in hccn_tool -i 1 -ip -g"):
        assert text in str(caught.value)
    assert driver.read_addresses([0, 1], str(conf)) == {0: "192.0.2.10", 1: "192.0.2.99"}
    assert driver.read_addresses([0]) == {0: "192.0.2.10"}


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
        (range(8), "8,1", (1,), "device 1, number 1 of the 8 here"),  # it reads nothing
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
    """Two devices of a server, 4 and 7, mounted; the table has them."""
    made = Server(tmp_path)
    for path in (tmp_path / "dev").iterdir():
        if path.name not in ("davinci4", "davinci7"):
            path.unlink()
    made.table(2)
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
    """The server's own as device_id, as the suite gave it at first; the container's in the table."""
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


# what starts ranks beside run.sh


@pytest.mark.parametrize(
    "words",
    [
        ("main.py", "--backend=ascend", "--model_path=models/Matmul.mindir"),
        (PAGE, "--model_path=models/Matmul{rank}.mindir"),
    ],
)
def test_msruns_rank_and_device_are_taken(tmp_path, words):
    """msrun starts the same command as its scheduler, which has nothing to do here. Rank 0 is on device 1."""
    server = Server(tmp_path)
    server.table(2)
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
    scheduler, *others = [ended(process) for process in started]
    assert (scheduler.returncode, scheduler.stdout, scheduler.stderr) == (0, "", "")
    for number, done in enumerate(others):
        assert done.returncode == 0, done.stderr
        assert "data size is:2048" in done.stdout
        calls = [json.loads(line) for line in (server.calls / f"rank{number}.jsonl").read_text().splitlines()]
        given = [call["arguments"]["value"] for call in calls if call["call"] == "Context.ascend.device_id"]
        assert given == [1 - number]


def test_one_run_sh_per_server_may_be_started_by_another_launcher(tmp_path):
    server = Server(tmp_path)
    server.table(1)
    around = {"SLURM_PROCID": "1", "SLURM_STEP_NUM_TASKS": "2"}
    done = server.run(SLURM_STEP_TASKS_PER_NODE="1(x2)", **around, timeout=60)
    assert done.returncode == 2  # the model has two shards, the table one rank
    assert "srun" not in done.stderr
    assert "1 of 1 ranks" in done.stderr
    done = server.run(SLURM_STEP_TASKS_PER_NODE="2", **{**around, "SLURM_PROCID": "0"}, timeout=60)
    assert_refused(done, 2, "srun", "one run.sh per server")


def test_bfloat16_runs_on_ascend(tmp_path):
    server = Server(tmp_path)
    server.table(1)
    done = server.run(f"--model_path={ROOT / 'tests' / 'fixtures' / 'lower' / 'ranks' / 'Bfloat.mindir'}", timeout=60)
    assert done.returncode == 0, done.stderr
    assert "tensor's name is:" in done.stdout
