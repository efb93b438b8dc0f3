"""Rank tables that people bring for Ascend: cases/, each with its public report and what is right."""

import json
from pathlib import Path

import pytest
from conftest import assert_refused, lines
from rank_table_cases import CASES, rank_table

from ascend import Refused, table
from ascend.make import convert


def places(text):
    """Return the content of a table: [(rank, server, device, address)]."""
    return [tuple(rank) for rank in table.ranks(json.loads(text))]


def test_every_case_says_its_source_and_what_is_right():
    for case in filter(Path.is_dir, CASES.iterdir()):
        keys = [line.split(": ")[0] for line in (case / "README").read_text().splitlines()]
        assert keys == ["source", "right", "product"], case


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


def test_what_hccl_accepts_is_accepted():
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


def test_the_source_of_a_wrong_address_is_named(tmp_path):
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
def hccn_tool(tmp_path, monkeypatch):
    """A function that writes a hccn_tool which prints these addresses, {device: address}."""

    def write_tool(addresses):
        script = "".join(f"test $2 = {device} && echo ipaddr:{text}\n" for device, text in addresses.items())
        (tmp_path / "hccn_tool").write_text(f"#!/bin/sh\n{script}true\n")
        (tmp_path / "hccn_tool").chmod(0o755)
        return {"PATH": f"{tmp_path}:/usr/bin:/bin"}

    return write_tool


def test_a_tool_that_prints_no_address_is_named(hccn_tool):
    words = ("--devices=0,1", "--server_id=x", "--hccn_conf=/dev/null")
    for text in ("-.-.-.-", "0.0.0.0"):
        environment = hccn_tool({0: "192.0.2.10", 1: text})
        assert_refused(rank_table(*words, **environment), 2, f"hccn_tool -i 1 -ip -g: {text} ")
    environment = hccn_tool({0: "192.0.2.10", 1: "192.0.2.10"})
    assert_refused(rank_table(*words, **environment), 2, "192.0.2.10", "device 0", "hccn_tool -i 1 -ip -g")


def test_a_stale_hccn_conf_is_found(hccn_tool, monkeypatch):
    """Without --hccn_conf both sources are read; with it, only the file counts."""
    from ascend import driver

    conf = CASES / "stale-hccn-conf" / "hccn.conf"
    environment = hccn_tool({0: "192.0.2.10", 1: "192.0.2.11"})
    monkeypatch.setenv("PATH", environment["PATH"])
    monkeypatch.setattr(driver, "HCCN_CONF", str(conf))
    with pytest.raises(Refused) as caught:
        driver.read_addresses([0, 1])
    for text in ("device 1", f"192.0.2.99 in {conf}:3", "192.0.2.11 in hccn_tool -i 1 -ip -g"):
        assert text in str(caught.value)
    assert driver.read_addresses([0, 1], str(conf)) == {0: "192.0.2.10", 1: "192.0.2.99"}
    assert driver.read_addresses([0]) == {0: "192.0.2.10"}
