"""rank_table.py: what it writes, what it refuses and where it says so, and which server this machine is."""

import copy
import json
import os
import random
import re
import socket
import sys
from types import SimpleNamespace

import pytest
from conftest import ROOT, assert_refused, command, lines
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import rank_table

PROGRAM = ROOT / "rank_table.py"
# what a table that was written looks like, said once more and apart: ? is after a key that may be missing
NUMBER = "0|[1-9][0-9]*"
IPV4 = r"([0-9]{1,3}\.){3}[0-9]{1,3}"
DEVICE = {"device_id": NUMBER, "rank_id": NUMBER, "device_ip?": IPV4, "super_device_id?": NUMBER}
SERVER = {"server_id": ".{1,64}", "device": [DEVICE], "host_nic_ip?": "reserve"}
POD = {"super_pod_id": ".{1,64}", "server_list": [{"server_id": ".{1,64}"}]}
TABLE = {"version": "1[.][02]", "server_count": NUMBER, "server_list": [SERVER], "status": "completed"}


def assert_form(value, form, path="table"):
    """Make sure that a value has a form: a pattern, [form of each item] or {key: form}, and nothing else in it."""
    if isinstance(form, str):
        assert isinstance(value, str), path
        assert re.fullmatch(form, value), path
    elif isinstance(form, list):
        assert isinstance(value, list), path
        assert value, path
        for index, each in enumerate(value):
            assert_form(each, form[0], f"{path}[{index}]")
    else:
        forms = {key.rstrip("?"): each for key, each in form.items()}
        assert isinstance(value, dict), path
        assert {key for key in form if not key.endswith("?")} <= set(value) <= set(forms), path
        for key, each in value.items():
            assert_form(each, forms[key], f"{path}.{key}")


def assert_written(table, devices, pods=None):
    """Make sure that a table which was written has this in it: a (rank, server, device, address, SDID) a device."""
    assert_form(table, {**TABLE, "super_pod_list": [POD]} if pods else TABLE)
    assert table["version"] == ("1.2" if pods else "1.0")
    found = [
        (int(each["rank_id"]), server["server_id"], int(each["device_id"]))
        + (each.get("device_ip"), each.get("super_device_id"))
        for server in table["server_list"]
        for each in server["device"]
    ]
    assert found == devices
    assert [rank for rank, *_ in sorted(found)] == list(range(len(found)))
    assert int(table["server_count"]) == len(table["server_list"]) == len({server for _, server, *_ in found})
    if pods:
        listed = {
            each["super_pod_id"]: [s["server_id"] for s in each["server_list"]] for each in table["super_pod_list"]
        }
        assert listed == pods


@st.composite
def tables(draw, version=None, servers=1, devices=1, pods=None):
    """A table that is right, made without rank_table.py, of at least so many servers and devices a server.

    pods: how many SuperPods at least; 0 for version 1.2 without them.
    """
    version = version or draw(st.sampled_from(("1.0", "1.2")))
    counts = draw(st.lists(st.integers(devices, 8), min_size=max(servers, pods or 0), max_size=4))
    pods = draw(st.integers(0, len(counts))) if pods is None else pods
    in_pods = version == "1.2" and pods
    pod_of = sorted((number % pods for number in range(len(counts))) if pods else [])
    needs_ip = pods > 1 if in_pods else len(counts) > 1
    with_ip = needs_ip or draw(st.booleans())
    chance = random.Random(draw(st.integers(0, 2**32)))  # many draws of hypothesis' own take seconds
    used = chance.sample(range(2**24), sum(counts))
    first, ranks = 0, [[] for _ in counts]
    for server in chance.sample(range(len(counts)), len(counts)):  # ranks of one server follow each other, in any order
        ranks[server] = chance.sample(range(first, first + counts[server]), counts[server])
        first += counts[server]
    server_list = []
    for server, count in enumerate(counts):
        listed = []
        for device_id, rank in zip(chance.sample(range(16), count), ranks[server]):
            number = used.pop()
            device = {"device_id": str(device_id), "rank_id": str(rank)}
            if with_ip:
                device["device_ip"] = f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}"
            if in_pods:
                device["super_device_id"] = str(number)
            listed.append({**device, **chance.choice(({}, {"device_port": "16666", "host_port": "65535"}))})
        extra = chance.choice(({}, {"host_nic_ip": "reserve"}, {"host_ip": "172.16.0.1", "pod_name": None}))
        server_list.append({"server_id": f"node_{server}", "device": listed, **extra})
    table = {"version": version, "server_count": str(len(counts)), "server_list": server_list, "status": "completed"}
    if in_pods:
        table["super_pod_list"] = [
            {
                "super_pod_id": str(pod),
                "server_list": [{"server_id": f"node_{n}"} for n, of in enumerate(pod_of) if of == pod],
            }
            for pod in range(pods)
        ]
    return table


@settings(max_examples=50, deadline=None, suppress_health_check=list(HealthCheck))
@given(tables())
def test_tables_that_are_right_are_let_through_and_their_ranks_told(tmp_path, table):
    assert rank_table.problems(table) == []
    path = tmp_path / "rank_table.json"
    for text in (json.dumps(table), rank_table.dumps(table)):
        path.write_text(text)
        assert rank_table.load(path) == table
    ranks = rank_table.ranks(table)
    assert [rank.rank_id for rank in ranks] == list(range(len(ranks)))
    devices = {(s["server_id"], d["device_id"]): d for s in table["server_list"] for d in s["device"]}
    assert len(devices) == len(ranks)
    for rank in ranks:
        device = devices[rank.server_id, str(rank.device_id)]
        assert (device["rank_id"], device.get("device_ip", "")) == (str(rank.rank_id), rank.device_ip)
    assert f"{len(ranks)} rank" in rank_table.summary(table)


# ---- one thing broken: each of these breaks a table and returns the JSON path that has to be named


def device_of(table, pick):
    server = pick(range(len(table["server_list"])))
    device = pick(range(len(table["server_list"][server]["device"])))
    return table["server_list"][server]["device"][device], f"server_list[{server}].device[{device}]"


def two_devices(table, pick):
    """Return one server's first device, and another one of it with its path."""
    server = pick(range(len(table["server_list"])))
    devices = table["server_list"][server]["device"]
    other = pick(range(1, len(devices)))
    return devices[0], devices[other], f"server_list[{server}].device[{other}]"


def drop(key):
    def broken(table, pick):
        del table[key]
        return key

    return broken


def put(key, *values):
    def broken(table, pick):
        table[key] = pick(values)
        return key

    return broken


def in_server(key, *values):
    """Write one of the values, or nothing where there are none."""

    def broken(table, pick):
        index = pick(range(len(table["server_list"])))
        table["server_list"][index].pop(key, None)
        if values:
            table["server_list"][index][key] = pick(values)
        return f"server_list[{index}].{key}"

    return broken


def in_device(key, *values):
    def broken(table, pick):
        device, path = device_of(table, pick)
        device.pop(key, None)
        if values:
            device[key] = pick(values)
        return f"{path}.{key}"

    return broken


def same_in_server(key):
    def broken(table, pick):
        first, other, path = two_devices(table, pick)
        other[key] = first[key]
        return f"{path}.{key}"

    return broken


def same_everywhere(key):
    def broken(table, pick):
        other = pick(range(1, len(table["server_list"])))
        table["server_list"][other]["device"][-1][key] = table["server_list"][0]["device"][0][key]
        return f"server_list[{other}].device[{len(table['server_list'][other]['device']) - 1}].{key}"

    return broken


def number_for_string(table, pick):
    device, path = device_of(table, pick)
    key = pick(sorted(set(device) & {"device_id", "rank_id", "device_port", "super_device_id"}))
    device[key] = int(device[key])
    return f"{path}.{key}"


def rank_gap(table, pick):
    total = sum(len(server["device"]) for server in table["server_list"])
    device, path = device_of(table, pick)
    device["rank_id"] = str(total + pick(range(3)))
    return f"{path}.rank_id"


def ranks_across_servers(table, pick):
    """Swap the lowest rank of all with the highest, which is another server's."""
    devices = [device for server in table["server_list"] for device in server["device"]]
    devices.sort(key=lambda device: int(device["rank_id"]))
    devices[0]["rank_id"], devices[-1]["rank_id"] = devices[-1]["rank_id"], devices[0]["rank_id"]
    server = next(n for n, server in enumerate(table["server_list"]) if devices[0] in server["device"])
    return f"server_list[{server}].device"


def same_server(table, pick):
    other = pick(range(1, len(table["server_list"])))
    table["server_list"][other]["server_id"] = table["server_list"][0]["server_id"]
    return f"server_list[{other}].server_id"


def in_pod(key, *values):
    def broken(table, pick):
        index = pick(range(len(table["super_pod_list"])))
        table["super_pod_list"][index].pop(key)
        if values:
            table["super_pod_list"][index][key] = pick(values)
        return f"super_pod_list[{index}].{key}"

    return broken


def same_pod(table, pick):
    table["super_pod_list"][1]["super_pod_id"] = table["super_pod_list"][0]["super_pod_id"]
    return "super_pod_list[1].super_pod_id"


def server_in_two_pods(table, pick):
    table["super_pod_list"][1]["server_list"].append(dict(table["super_pod_list"][0]["server_list"][0]))
    return f"super_pod_list[1].server_list[{len(table['super_pod_list'][1]['server_list']) - 1}].server_id"


def server_of_a_pod_unknown(table, pick):
    table["super_pod_list"][0]["server_list"].append({"server_id": "elsewhere"})
    return f"super_pod_list[0].server_list[{len(table['super_pod_list'][0]['server_list']) - 1}].server_id"


def server_in_no_pod(table, pick):
    for pod in table["super_pod_list"]:
        pod["server_list"] = [each for each in pod["server_list"] if each["server_id"] != "node_0"] or [
            {"server_id": "x"}
        ]
    return "server_list[0].server_id"


def pods_mixed(table, pick):
    """Let the last server be one of the first one's SuperPod; a server of another is between them."""
    for pod in table["super_pod_list"]:
        pod["server_list"] = []
    for number, server in enumerate(table["server_list"]):
        table["super_pod_list"][number % 2]["server_list"].append({"server_id": server["server_id"]})
    return "server_list[2]"


NOT_NUMBERS = ("", "-1", "00", "1.0", " 1", "one", "4294967295", "٣", 1, None, [], {})
NOT_IPS = (
    "",
    "192.1.27",
    "192.1.27.256",
    "192.01.27.6",
    "192.1.27.6/24",
    " 192.1.27.6",
    "fe80::1%eth0",
    3221232390,
    None,
)
NOT_PORTS = ("0", "65536", "", 16666, "1e3")
NOT_LISTS = ([], {}, "", None, "node_0")
PODS = {"version": "1.2", "pods": 1}
MUTATIONS = {
    "version missing": (drop("version"), {}),
    "version unknown": (put("version", "2.0", "1", "", "v1.0", 1.0, None), {}),
    "status missing": (drop("status"), {}),
    "status not completed": (put("status", "initializing", "Completed", "", True, None), {}),
    "server_count missing": (drop("server_count"), {"version": "1.0"}),
    "server_count wrong": (put("server_count", "0", "5", "17"), {}),
    "server_count no number": (put("server_count", *NOT_NUMBERS), {}),
    "server_list missing": (drop("server_list"), {}),
    "server_list no list": (put("server_list", *NOT_LISTS), {}),
    "server_id missing": (in_server("server_id"), {}),
    "server_id no name": (in_server("server_id", "", "x" * 65, "a\nb", "\ud800", 1, None), {}),
    "server twice": (same_server, {"servers": 2}),
    "host_ip malformed": (in_server("host_ip", *NOT_IPS, "fd00::1"), {}),
    "device missing": (in_server("device"), {}),
    "device no list": (in_server("device", *NOT_LISTS), {}),
    "device_id missing": (in_device("device_id"), {}),
    "device_id no number": (in_device("device_id", *NOT_NUMBERS), {}),
    "device twice on a server": (same_in_server("device_id"), {"devices": 2}),
    "rank_id missing": (in_device("rank_id"), {}),
    "rank_id no number": (in_device("rank_id", *NOT_NUMBERS), {}),
    "rank twice on a server": (same_in_server("rank_id"), {"devices": 2}),
    "rank twice on two": (same_everywhere("rank_id"), {"servers": 2}),
    "rank gap": (rank_gap, {}),
    "ranks across servers": (ranks_across_servers, {"servers": 2, "devices": 2}),
    "device_ip missing on several servers": (in_device("device_ip"), {"version": "1.0", "servers": 2}),
    "device_ip empty on several servers": (in_device("device_ip", ""), {"version": "1.0", "servers": 2}),
    "device_ip missing on several servers of 1.2": (
        in_device("device_ip"),
        {"version": "1.2", "servers": 2, "pods": 0},
    ),
    "device_ip missing in several SuperPods": (in_device("device_ip"), {"version": "1.2", "pods": 2}),
    "device_ip malformed": (in_device("device_ip", *NOT_IPS[1:]), {}),
    "device_ip twice": (same_everywhere("device_ip"), {"version": "1.0", "servers": 2}),
    "backup_device_ip malformed": (in_device("backup_device_ip", *NOT_IPS[1:]), {}),
    "device_port no port": (in_device("device_port", *NOT_PORTS), {}),
    "host_port no port": (in_device("host_port", *NOT_PORTS), {}),
    "backup_device_port no port": (in_device("backup_device_port", *NOT_PORTS), {}),
    "number for a string": (number_for_string, {}),
    "super_device_id missing": (in_device("super_device_id"), PODS),
    "super_device_id no number": (in_device("super_device_id", *NOT_NUMBERS), PODS),
    "super_device_id no number, no SuperPod": (in_device("super_device_id", *NOT_NUMBERS), {**PODS, "pods": 0}),
    "super_device_id twice": (same_in_server("super_device_id"), {**PODS, "devices": 2}),
    "super_device_id twice on two": (same_everywhere("super_device_id"), {**PODS, "servers": 2, "one_pod": True}),
    "super_pod_list no list": (put("super_pod_list", *NOT_LISTS), PODS),
    "super_pod_id missing": (in_pod("super_pod_id"), PODS),
    "super_pod_id no name": (in_pod("super_pod_id", "", 0, None), PODS),
    "SuperPod twice": (same_pod, {**PODS, "pods": 2}),
    "SuperPod without servers": (in_pod("server_list"), PODS),
    "SuperPod with no list": (in_pod("server_list", *NOT_LISTS), PODS),
    "server in two SuperPods": (server_in_two_pods, {**PODS, "pods": 2}),
    "server of a SuperPod unknown": (server_of_a_pod_unknown, PODS),
    "server in no SuperPod": (server_in_no_pod, PODS),
    "SuperPods mixed": (pods_mixed, {**PODS, "pods": 2, "servers": 3}),
}


@pytest.mark.parametrize("name", MUTATIONS)
def test_one_thing_broken_is_named_by_its_path(name):
    broken, options = MUTATIONS[name]
    options = dict(options)
    one_pod = options.pop("one_pod", False)

    @settings(max_examples=12, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(st.data())
    def run(data):
        table = data.draw(tables(**options))
        if one_pod:
            servers = [{"server_id": server["server_id"]} for server in table["server_list"]]
            table["super_pod_list"] = [{"super_pod_id": "0", "server_list": servers}]
        assert rank_table.problems(table) == []
        path = broken(table, lambda values: data.draw(st.sampled_from(list(values))))
        found = rank_table.problems(table)
        assert any(each.startswith(path + ": ") for each in found), (path, found)
        for each in found:  # what is wrong and what to do, in one line
            assert each.isprintable()
            assert each.count(": ") >= 1

    run()


@settings(max_examples=80, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.data())
def test_no_value_anywhere_makes_it_crash(data):
    table = data.draw(tables())
    leaves = st.none() | st.booleans() | st.integers() | st.floats(allow_subnormal=False) | st.text(max_size=3)
    anything = leaves | st.lists(leaves, max_size=2) | st.dictionaries(st.text(max_size=3), leaves, max_size=2)
    value = table
    while isinstance(value, (dict, list)) and value:
        owner, key = value, data.draw(st.sampled_from(sorted(value) if isinstance(value, dict) else range(len(value))))
        value = owner[key]
        if data.draw(st.booleans()):
            break
    owner[key] = data.draw(anything)
    assert all(each.isprintable() for each in rank_table.problems(table))
    assert rank_table.problems(owner[key]) != []


def test_a_problem_says_both_values_and_what_to_do():
    table = rank_table.make([0, 1], {}, "10.0.0.1")
    table["server_list"][0]["device"][1]["rank_id"] = "0"
    assert rank_table.problems(table) == [
        'server_list[0].device[1].rank_id: "0" is also server_list[0].device[0]\'s: number the ranks 0 to 1'
    ]
    table = rank_table.make([0], {}, "10.0.0.1")
    table["server_count"] = "2"
    assert rank_table.problems(table) == ['server_count: "2", but server_list has 1: write "1"']


# ---- files that aren't a table


@pytest.mark.parametrize(
    "text, message",
    [
        (b"", "is empty"),
        (b'{\n  "version": "1.0",\n  "status" "completed"\n}', "line 3 column 12"),
        (b'{"version": "1.0", // the version\n}', "line 1 column 20"),
        (b'{"version": NaN}', "NaN"),
        (b'{"version": "\xff"}', "position 13"),
        (b"[" * 100000, "recursion"),
        (b"[]", "top level: [] isn't an object"),
        (b"null", "top level: null isn't an object"),
    ],
)
def test_what_is_no_table_is_refused_in_one_line(tmp_path, text, message):
    path = tmp_path / "rank_table.json"
    path.write_bytes(text)
    with pytest.raises(rank_table.RankTableError) as caught:
        rank_table.load(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
    assert caught.value.status == 2


def test_a_key_that_is_there_twice_is_named_by_its_path(tmp_path):
    path = tmp_path / "rank_table.json"
    text = json.dumps(rank_table.make([0, 1], {}, "10.0.0.1"))
    path.write_text(text.replace('"device_id": "1"', '"device_id": "1", "device_id": "0"'))
    with pytest.raises(
        rank_table.RankTableError, match=r"server_list\[0\]\.device\[1\]\.device_id: is there more than"
    ):
        rank_table.load(path)
    path.write_text(text.replace('"version"', '"version": "1.2", "version"'))
    with pytest.raises(rank_table.RankTableError, match=": version: is there more than once"):
        rank_table.load(path)


def test_load_says_the_first_problem_and_how_many_there_are(tmp_path):
    path = tmp_path / "rank_table.json"
    table = rank_table.make([0, 1], {}, "10.0.0.1")
    del table["status"], table["server_list"][0]["device"][0]["device_id"]
    path.write_text(json.dumps(table))
    with pytest.raises(rank_table.RankTableError) as caught:
        rank_table.load(path)
    assert str(caught.value).startswith(f"{path}: status: is missing")
    assert str(caught.value).endswith(f"(and 1 more: python3 rank_table.py --check {path})")
    with pytest.raises(rank_table.RankTableError, match="No such file"):
        rank_table.load(tmp_path / "none.json")


# ---- making and merging


def test_make_numbers_the_devices_in_the_order_given():
    table = rank_table.make([3, 1], {1: "192.1.27.6", 3: "192.3.27.6"}, "10.0.0.1")
    assert_written(table, [(0, "10.0.0.1", 3, "192.3.27.6", None), (1, "10.0.0.1", 1, "192.1.27.6", None)])
    assert rank_table.ranks(table) == [(0, "10.0.0.1", 3, "192.3.27.6"), (1, "10.0.0.1", 1, "192.1.27.6")]


def test_make_writes_version_12_for_a_super_pod():
    table = rank_table.make([0, 1], {}, "node_0", {0: "113246208", 1: 113311745}, "7")
    assert_written(table, [(0, "node_0", 0, None, "113246208"), (1, "node_0", 1, None, "113311745")], {"7": ["node_0"]})


@pytest.mark.parametrize(
    "arguments, path",
    [
        (([0, 0], {}, "10.0.0.1"), "device[1].device_id"),
        (([0], {0: "nonsense"}, "10.0.0.1"), "device[0].device_ip"),
        (([0], {}, ""), "server_list[0].server_id"),
        (([0, 1], {}, "10.0.0.1", {0: "1"}, "0"), "device[1].super_device_id"),
        (([], {}, "10.0.0.1"), "server_list[0].device"),
    ],
)
def test_make_refuses_what_makes_no_table(arguments, path):
    with pytest.raises(rank_table.RankTableError) as caught:
        rank_table.make(*arguments)
    assert path in str(caught.value)


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(tables(version="1.0"), tables(version="1.0"))
def test_merged_tables_keep_each_rank_s_device(first, second):
    for table, name in ((first, "a"), (second, "b")):
        for server in table["server_list"]:
            server["server_id"] = name + server["server_id"]
            for number, device in enumerate(server["device"]):
                device["device_ip"] = f"10.{ord(name)}.{server['server_id'][-1]}.{number}"
    before = copy.deepcopy((first, second))
    merged = rank_table.merge([first, second])
    assert (first, second) == before
    count = len(rank_table.ranks(first))
    moved = [each._replace(rank_id=each.rank_id + count) for each in rank_table.ranks(second)]
    assert rank_table.ranks(merged) == rank_table.ranks(first) + moved
    names = [server["server_id"] for table in before for server in table["server_list"]]
    assert [server["server_id"] for server in merged["server_list"]] == names
    assert merged["server_count"] == str(len(names))


def test_merged_super_pods_of_one_name_are_one():
    parts = [
        rank_table.make([0], {0: f"192.1.27.{n}"}, f"node_{n}", {0: str(10 + n)}, pod) for n, pod in enumerate("001")
    ]
    merged = rank_table.merge(parts)
    expected = [(n, f"node_{n}", 0, f"192.1.27.{n}", str(10 + n)) for n in range(3)]
    assert_written(merged, expected, {"0": ["node_0", "node_1"], "1": ["node_2"]})
    assert "3 ranks on 3 servers in 2 SuperPods" in rank_table.summary(merged)
    with pytest.raises(rank_table.RankTableError, match="apart"):
        rank_table.merge([parts[0], parts[2], parts[1]])


def test_merge_refuses_a_server_twice_versions_mixed_and_missing_addresses():
    one = rank_table.make([0], {0: "192.1.27.6"}, "10.0.0.1")
    with pytest.raises(rank_table.RankTableError, match=r'server_list\[1\].server_id: "10.0.0.1" is also'):
        rank_table.merge([one, one])
    with pytest.raises(rank_table.RankTableError, match=r"versions 1\.0 and 1\.2"):
        rank_table.merge([one, rank_table.make([0], {}, "node_0", {0: "1"}, "0")])
    with pytest.raises(rank_table.RankTableError, match=r"server_list\[1\].device\[0\].device_ip: is missing"):
        rank_table.merge([one, rank_table.make([0], {}, "10.0.0.2")])


# ---- the command


@pytest.fixture
def run(tmp_path, monkeypatch, capsys):
    """Run main() with some words, on a machine of its own: /etc/hccn.conf, PATH and /dev are in folders of the test."""
    tools = tmp_path / "tools"
    tools.mkdir()
    monkeypatch.setenv("PATH", f"{tools}{os.pathsep}/usr/bin{os.pathsep}/bin")
    monkeypatch.setattr(rank_table, "HCCN_CONF", str(tmp_path / "hccn.conf"))
    monkeypatch.setattr(rank_table, "DEVICE_FILES", str(tmp_path / "davinci[0-9]*"))
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
        "address_0=10.1.1.1\nnetmask_0=255.0.0.0\n#address_1=9.9.9.9\naddress_10=1.1.1.1\n"
    )
    done = run("--devices", "0,1", "--server_id", "10.0.0.1")
    assert (done.returncode, done.stderr) == (0, "")
    assert_written(
        json.loads(done.stdout), [(0, "10.0.0.1", 0, "10.1.1.1", None), (1, "10.0.0.1", 1, "192.1.27.6", None)]
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
    assert_refused(run("--no_device_ip"), 2, "davinci[0-9]*", "--devices")
    for name in ("davinci10", "davinci9", "davinci_manager"):
        (tmp_path / name).touch()
    done = run("--no_device_ip", "--server_id=10.0.0.1")
    assert_written(json.loads(done.stdout), [(0, "10.0.0.1", 9, None, None), (1, "10.0.0.1", 10, None, None)])


def test_a_super_pod_s_ids_come_from_npu_smi_or_the_command_line(run, tmp_path):
    words = ("--devices=2,3", "--server_id=node_0", "--no_device_ip", "--super_pod_id=3")
    assert_refused(run(*words), 2, "SDID of device 2", "npu-smi info -t spod-info -i 1 -c 0", "--super_device_ids")
    tool(tmp_path, "npu-smi", NPU_SMI)
    expected = [(0, "node_0", 2, None, "131072"), (1, "node_0", 3, None, "196608")]
    assert_written(json.loads(run(*words).stdout), expected, {"3": ["node_0"]})
    done = run(*words, "--super_device_ids=7,8")
    expected = [(0, "node_0", 2, None, "7"), (1, "node_0", 3, None, "8")]
    assert_written(json.loads(done.stdout), expected, {"3": ["node_0"]})
    assert_refused(run(*words, "--super_device_ids=7"), 2, "--super_device_ids: 1, --devices: 2")


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
    table = rank_table.make([0, 1], {}, "10.0.0.1")
    (tmp_path / "rank_table.json").write_text(rank_table.dumps(table))
    done = run("--check", "rank_table.json")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "rank_table.json: version 1.0, 2 ranks on 1 server: 10.0.0.1 (devices 0, 1)\n"
    table["server_list"][0]["device"][1].update(rank_id="0", device_id=1)
    (tmp_path / "rank_table.json").write_text(rank_table.dumps(table))
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


def test_nothing_but_the_standard_library_is_imported(tmp_path):
    done = command(sys.executable, "-S", "-c", "import rank_table", PYTHONPATH=str(ROOT), cwd=tmp_path)
    assert done.returncode == 0, done.stderr


# ---- which server this machine is


def servers(*names, **host_ips):
    table = rank_table.merge([rank_table.make([0], {0: f"192.1.27.{n}"}, name) for n, name in enumerate(names)])
    for server in table["server_list"]:
        if server["server_id"] in host_ips:
            server["host_ip"] = host_ips[server["server_id"]]
    return table


@pytest.fixture
def here(monkeypatch):
    """A machine with two addresses, called there, that knows three names of machines."""
    names = {"mine": "10.0.0.7", "other": "10.0.0.9", "also": "10.0.0.8"}

    def resolve(name, *_):
        if name not in names:
            raise socket.gaierror(-2, "Name or service not known")
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (names[name], 0))]

    monkeypatch.setattr(rank_table, "addresses", lambda: ["10.0.0.7", "10.0.0.8"])
    monkeypatch.setattr(socket, "gethostname", lambda: "there")
    monkeypatch.setattr(socket, "getaddrinfo", resolve)


@pytest.mark.parametrize(
    "table, expected",
    [
        (servers("10.0.0.6", "10.0.0.7"), "10.0.0.7"),
        (servers("10.0.0.8", "10.0.0.6"), "10.0.0.8"),
        (servers("here", "there"), "there"),
        (servers("node_0", "node_1", node_1="10.0.0.8", node_0="10.0.0.1"), "node_1"),
        (servers("other", "mine"), "mine"),
        (servers("172.16.0.1"), "172.16.0.1"),
    ],
)
def test_this_machine_s_server_is_found(here, table, expected):
    assert rank_table.local_server(table) == expected


def test_the_server_that_is_given_is_taken_if_it_is_there(here):
    table = servers("10.0.0.6", "10.0.0.7")
    assert rank_table.local_server(table, "10.0.0.6") == "10.0.0.6"
    with pytest.raises(rank_table.RankTableError, match=r"--server_id 10\.0\.0\.9: .*10\.0\.0\.6, 10\.0\.0\.7"):
        rank_table.local_server(table, "10.0.0.9")
    with pytest.raises(rank_table.RankTableError, match="--server_id 10.0.0.7"):
        rank_table.local_server(servers("10.0.0.6"), "10.0.0.7")


@pytest.mark.parametrize(
    "table",
    [servers("10.0.0.1", "other"), servers("10.0.0.7", "10.0.0.8"), servers("mine", "also"), servers("x", "x.")],
)
def test_no_server_or_several_is_an_error_with_all_names(here, table):
    with pytest.raises(rank_table.RankTableError) as caught:
        rank_table.local_server(table)
    for text in (*(server["server_id"] for server in table["server_list"]), "10.0.0.7", "10.0.0.8", "--server_id"):
        assert text in str(caught.value)


def test_addresses_are_those_of_this_machine():
    for address in rank_table.addresses():
        with socket.socket() as server:  # only an address of this machine can be bound
            server.bind((address, 0))
        assert not address.startswith("127.")


def test_addresses_are_read_from_the_kernel_s_routes(tmp_path, monkeypatch):
    path = tmp_path / "fib_trie"
    monkeypatch.setattr(rank_table, "LOCAL_ROUTES", str(path))
    path.write_text(
        "Main:\n  +-- 0.0.0.0/0 3 0 5\n     |-- 0.0.0.0\n        /0 universe UNICAST\n        |-- 127.0.0.0\n"
        "           /8 host LOCAL\n        |-- 127.0.0.1\n           /32 host LOCAL\n     |-- 192.0.2.0\n"
        "        /24 link UNICAST\n     |-- 192.0.2.12\n        /32 host LOCAL\n     |-- 10.9.8.7\n"
        "        /32 link UNICAST\n        /32 host LOCAL\n     |-- 192.0.2.255\n        /32 link BROADCAST\n"
    )
    assert rank_table.addresses() == ["10.9.8.7", "192.0.2.12"]
    path.unlink()
    assert rank_table.addresses() == []


def namespaces():
    try:
        return command("unshare", "-rn", "ip", "link", "set", "lo", "up").returncode == 0
    except OSError:
        return False


@pytest.mark.skipif(not namespaces(), reason="needs unshare -rn and ip")
def test_in_a_network_namespace_without_dns(tmp_path):
    (tmp_path / "rank_table.json").write_text(json.dumps(servers("node_0", "10.9.8.7")))
    write = f"{sys.executable} {PROGRAM} --devices 0 --no_device_ip"
    find = f"{sys.executable} -c 'import rank_table as r; print(r.local_server(r.load(\"rank_table.json\")))'"
    script = (
        f"ip link set lo up; {write}; ip address add 10.9.8.7/32 dev lo; {write} > 1.json && {find}; "
        f"ip address add 10.9.8.6/32 dev lo; {write}"
    )
    done = command("unshare", "-rn", "sh", "-c", script, cwd=tmp_path, PYTHONPATH=str(ROOT))
    assert done.stdout == "10.9.8.7\n", done.stderr
    assert_written(json.loads((tmp_path / "1.json").read_text()), [(0, "10.9.8.7", 0, None, None)])
    refused = lines(done.stderr)  # with no address, and with two and no default route
    assert len(refused) == 2
    assert "no IPv4 address" in refused[0]
    assert "10.9.8.6, 10.9.8.7" in refused[1]
    assert all("--server_id" in line for line in refused)
