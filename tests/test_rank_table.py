"""ascend/rank_table.py: what it reads, writes and refuses, and what it prints where."""

import json
import os
import sys
from types import SimpleNamespace

import pytest
from conftest import ROOT, assert_refused, command, lines
from rank_tables import assert_written

from ascend import Refused, devices, driver, rank_table
from ascend import table as files
from ascend.make import make

PROGRAM = ROOT / "ascend" / "rank_table.py"

# ---- files that aren't a table


@pytest.mark.parametrize(
    "text, message",
    [
        (b"", "is empty"),
        (b'{\n  "version": "1.0",\n  "status" "completed"\n}', "line 3 column 12"),
        (b'{"version": "1.0", // the version\n}', "line 1 column 20"),
        (b'{"version": NaN}', "NaN"),
        (b'{"version": "\xff"}', ":1: byte 14"),
        (b"[" * 100000, "recursion"),
        (b"[]", "top level: [] isn't an object"),
        (b"null", "top level: null isn't an object"),
    ],
)
def test_what_is_no_table_is_refused_in_one_line(tmp_path, text, message):
    path = tmp_path / "rank_table.json"
    path.write_bytes(text)
    with pytest.raises(Refused) as caught:
        files.load(path)
    assert str(caught.value).startswith(f"{path}:")
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
    assert caught.value.status == 2


def test_a_key_that_is_there_twice_is_named_by_its_path(tmp_path):
    path = tmp_path / "rank_table.json"
    text = json.dumps(make([0, 1], {}, "10.0.0.1"))
    path.write_text(text.replace('"device_id": "1"', '"device_id": "1", "device_id": "0"'))
    with pytest.raises(Refused, match=r"server_list\[0\]\.device\[1\]\.device_id: appears more than"):
        files.load(path)
    path.write_text(text.replace('"version"', '"version": "1.2", "version"'))
    with pytest.raises(Refused, match=": version: appears more than once"):
        files.load(path)


def test_load_says_the_first_problem_and_how_many_there_are(tmp_path):
    path = tmp_path / "rank_table.json"
    table = make([0, 1], {}, "10.0.0.1")
    del table["status"], table["server_list"][0]["device"][0]["device_id"]
    path.write_text(json.dumps(table))
    with pytest.raises(Refused) as caught:
        files.load(path)
    assert str(caught.value).startswith(f"{path}: status: is missing")
    assert str(caught.value).endswith(f"(and 1 more: python3 ascend/rank_table.py --check {path})")
    with pytest.raises(Refused, match="No such file"):
        files.load(tmp_path / "none.json")


# ---- the command


@pytest.fixture
def run(tmp_path, monkeypatch, capsys):
    """Run main() with some words, as on its own machine: /etc/hccn.conf, PATH and /dev are in the test's folders."""
    tools = tmp_path / "tools"
    tools.mkdir()
    monkeypatch.setenv("PATH", f"{tools}{os.pathsep}/usr/bin{os.pathsep}/bin")
    monkeypatch.setattr(driver, "HCCN_CONF", str(tmp_path / "hccn.conf"))
    monkeypatch.setattr(devices, "DEV", str(tmp_path))
    monkeypatch.chdir(tmp_path)

    def main(*words):
        monkeypatch.setattr(sys, "argv", ["rank_table.py", *words])
        status = rank_table.main()
        printed = capsys.readouterr()
        return SimpleNamespace(returncode=status, stdout=printed.out, stderr=printed.err)

    return main


def tool(tmp_path, name, script):
    path = tmp_path / "tools" / name
    path.write_text("#!/bin/sh\n" + script)
    path.chmod(0o755)


HCCN_TOOL = """test "$1 $3 $4" = "-i -ip -g" || exit 1
case $2 in
    0 | 1) printf 'ipaddr:192.%s.27.6\\nnetmask:255.255.255.0\\n' "$2" ;;
    *) echo "no ip was preset"; exit 13 ;;
esac
"""
NPU_SMI = """test "$1 $2 $3 $4 $6" = "info -t spod-info -i -c" || exit 1
printf '\\t%-30s : %s\\n' SDID "$((65536 * (2 * $5 + $7)))" "Super Pod Size" 384 "Super Pod ID" 3 "Server Index" 4
"""


def test_addresses_come_from_the_configuration_file_first(run, tmp_path):
    tool(tmp_path, "hccn_tool", HCCN_TOOL)
    (tmp_path / "hccn.conf").write_text(
        "address_0=192.0.27.6\nnetmask_0=255.0.0.0\n#address_1=9.9.9.9\naddress_10=1.1.1.1\n"
    )
    done = run("--devices", "0,1", "--server_id", "10.0.0.1")
    assert (done.returncode, done.stderr) == (0, "")
    assert_written(
        json.loads(done.stdout), [(0, "10.0.0.1", 0, "192.0.27.6", None), (1, "10.0.0.1", 1, "192.1.27.6", None)]
    )
    assert done.stdout.endswith("}\n")
    assert len([line for line in done.stdout.splitlines() if "device_id" in line and "rank_id" in line]) == 2
    (tmp_path / "other.conf").write_text("address_0 = 10.2.2.2\n")
    done = run("--devices=0", "--server_id=10.0.0.1", "--hccn_conf=other.conf")
    assert_written(json.loads(done.stdout), [(0, "10.0.0.1", 0, "10.2.2.2", None)])


def test_without_addresses_it_says_where_it_looked_and_what_to_do(run, tmp_path):
    done = run("--devices=0", "--server_id=10.0.0.1")
    assert_refused(done, 2, "device 0", str(tmp_path / "hccn.conf"), "hccn_tool -i 0 -ip -g", "--no_device_ip")
    tool(tmp_path, "hccn_tool", HCCN_TOOL)
    done_too = run("--devices=0,2", "--server_id=10.0.0.1")
    assert_refused(done_too, 2, "rank_table.py: ", "device 2", "no ip was preset")
    assert done.stdout == done_too.stdout == ""
    assert_refused(run("--devices=0", "--hccn_conf=none.conf"), 2, "none.conf", "No such file")


def test_no_device_ip_leaves_addresses_out(run):
    done = run("--devices=[0,2)", "--server_id=10.0.0.1", "--no_device_ip")
    assert_written(json.loads(done.stdout), [(0, "10.0.0.1", 0, None, None), (1, "10.0.0.1", 1, None, None)])


def test_all_devices_that_are_here_are_taken(run, tmp_path):
    assert_refused(run("--no_device_ip"), 2, "davinci0", "--devices")
    for name in ("davinci10", "davinci9", "davinci_manager"):
        (tmp_path / name).touch()
    done = run("--no_device_ip", "--server_id=10.0.0.1")
    assert_written(json.loads(done.stdout), [(0, "10.0.0.1", 9, None, None), (1, "10.0.0.1", 10, None, None)])


def test_a_super_pod_s_ids_come_from_npu_smi_or_the_command_line(run, tmp_path):
    words = ("--devices=2,3", "--server_id=node_0", "--no_device_ip", "--super_pod_id=3")
    assert_refused(run(*words), 2, "SDID for device 2", "npu-smi info -t spod-info -i 1 -c 0", "--super_device_ids")
    tool(tmp_path, "npu-smi", NPU_SMI)
    expected = [(0, "node_0", 2, None, "131072"), (1, "node_0", 3, None, "196608")]
    assert_written(json.loads(run(*words).stdout), expected, {"3": ["node_0"]})
    done = run(*words, "--super_device_ids=7,8")
    expected = [(0, "node_0", 2, None, "7"), (1, "node_0", 3, None, "8")]
    assert_written(json.loads(done.stdout), expected, {"3": ["node_0"]})
    assert_refused(run(*words, "--super_device_ids=7"), 2, "--super_device_ids names 1, --devices 2")


@pytest.mark.parametrize(
    "text, devices",
    [
        ("0", [0]),
        ("1,0", [1, 0]),
        ("0-3,6", [0, 1, 2, 3, 6]),
        ("[0,2)", [0, 1]),
        ("[4, 8)", [4, 5, 6, 7]),
        ("7-7", [7]),
    ],
)
def test_lists_of_devices(text, devices):
    assert rank_table.parse_devices(text) == devices


@pytest.mark.parametrize(
    "text", ["", ",", "0,", "0,0", "0-2,1", "2-1", "[2,2)", "[0,2]", "-1", "a", "0;1", "0-99999999", "٣"]
)
def test_no_list_of_devices(run, text):
    assert_refused(run(f"--devices={text}"), 2, f"--devices {text}:")


@pytest.mark.parametrize(
    "words, text",
    [
        (("--check", "a.json", "--devices", "0"), "--check"),
        (("--check", "a.json", "--merge", "b.json"), "--merge"),
        (("--devices", "0", "--super_device_ids", "1"), "--super_pod_id"),
        (("--hccn_conf", "a", "--no_device_ip"), "--hccn_conf"),
        (("--dev", "0"), "--dev"),
        (("a.json",), "a.json"),
        (("--check", ""), "No such file"),
        (("--devices=0", "--no_device_ip", "--server_id="), "server_id"),
        (("--devices=0", "--no_device_ip", "--server_id=x", "--super_device_ids=1", "--super_pod_id="), "super_pod_id"),
    ],
)
def test_arguments_that_cant_be_right(run, words, text):
    done = run(*words)
    assert_refused(done, 2, text)
    assert done.stdout == ""


def test_check_says_what_is_there_or_every_problem(run, tmp_path):
    table = make([0, 1], {}, "10.0.0.1")
    (tmp_path / "rank_table.json").write_text(files.dumps(table))
    done = run("--check", "rank_table.json")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "rank_table.json: version 1.0, 2 ranks on 1 server: 10.0.0.1 (devices 0, 1)\n"
    table["server_list"][0]["device"][1].update(rank_id="0", device_id=1)
    (tmp_path / "rank_table.json").write_text(files.dumps(table))
    done = run("--check", "rank_table.json")
    assert (done.returncode, done.stdout) == (2, "")
    assert [line.split(": ")[:2] for line in lines(done.stderr)] == [
        ["rank_table.json", "server_list[0].device[1].device_id"],
        ["rank_table.json", "server_list[0].device[1].rank_id"],
    ]


def test_the_program_itself_writes_merges_and_checks(tmp_path):
    for number in (1, 2):
        (tmp_path / "hccn.conf").write_text(f"address_0=192.1.27.{number}\n")
        words = ("--devices=0", f"--server_id=10.0.0.{number}", "--hccn_conf=hccn.conf")
        done = command(sys.executable, PROGRAM, *words, cwd=tmp_path)
        assert (done.returncode, done.stderr) == (0, "")
        (tmp_path / f"{number}.json").write_text(done.stdout)
    done = command(sys.executable, PROGRAM, "--merge", "2.json", "1.json", cwd=tmp_path)
    expected = [(0, "10.0.0.2", 0, "192.1.27.2", None), (1, "10.0.0.1", 0, "192.1.27.1", None)]
    assert_written(json.loads(done.stdout), expected)
    (tmp_path / "rank_table.json").write_text(done.stdout)
    done = command(sys.executable, PROGRAM, "--check", "rank_table.json", cwd=tmp_path)
    summary = "rank_table.json: version 1.0, 2 ranks on 2 servers: 10.0.0.2 (device 0), 10.0.0.1 (device 0)\n"
    assert (done.returncode, done.stdout) == (0, summary)
    assert_refused(command(sys.executable, PROGRAM, "--merge", "1.json", "1.json", cwd=tmp_path), 2, "10.0.0.1")
    assert "--check rank_table.json" in command(sys.executable, PROGRAM, "--help").stdout


@pytest.mark.parametrize("name", ["rank_table", "config"])
def test_the_commands_start_from_any_folder(tmp_path, name):
    """By their path, whatever is in the caller's folder, and as modules of the suite."""
    for module in ("table", "ranks", "ascend", "config"):
        (tmp_path / f"{module}.py").write_text("raise SystemExit(9)\n")
    by_path = command(sys.executable, ROOT / "ascend" / f"{name}.py", "--help", cwd=tmp_path)
    as_module = command(sys.executable, "-m", f"ascend.{name}", "--help")
    assert (by_path.returncode, as_module.returncode) == (0, 0), by_path.stderr + as_module.stderr
    assert by_path.stdout == as_module.stdout


def test_nothing_but_the_standard_library_is_imported(tmp_path):
    done = command(
        sys.executable, "-S", "-c", "import ascend.rank_table, ascend.config", PYTHONPATH=str(ROOT), cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr
