"""ascend/make.py: tables made from devices and addresses, and from other tables."""

import copy

import pytest
from hypothesis import HealthCheck, given, settings
from rank_tables import assert_written, tables

from ascend import Refused
from ascend import table as files
from ascend.make import make, merge


def test_make_numbers_the_devices_in_the_order_given():
    table = make([3, 1], {1: "192.1.27.6", 3: "192.3.27.6"}, "10.0.0.1")
    assert_written(table, [(0, "10.0.0.1", 3, "192.3.27.6", None), (1, "10.0.0.1", 1, "192.1.27.6", None)])
    assert files.ranks(table) == [(0, "10.0.0.1", 3, "192.3.27.6"), (1, "10.0.0.1", 1, "192.1.27.6")]


def test_make_writes_version_12_for_a_super_pod():
    table = make([0, 1], {}, "node_0", {0: "113246208", 1: 113311745}, "7")
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
    with pytest.raises(Refused) as caught:
        make(*arguments)
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
    merged = merge([first, second])
    assert (first, second) == before
    count = len(files.ranks(first))
    moved = [rank._replace(rank_id=rank.rank_id + count) for rank in files.ranks(second)]
    assert files.ranks(merged) == files.ranks(first) + moved
    names = [server["server_id"] for table in before for server in table["server_list"]]
    assert [server["server_id"] for server in merged["server_list"]] == names
    assert merged["server_count"] == str(len(names))


def test_merged_super_pods_of_one_name_are_one():
    parts = [make([0], {0: f"192.1.27.{n}"}, f"node_{n}", {0: str(10 + n)}, pod) for n, pod in enumerate("001")]
    merged = merge(parts)
    expected = [(n, f"node_{n}", 0, f"192.1.27.{n}", str(10 + n)) for n in range(3)]
    assert_written(merged, expected, {"0": ["node_0", "node_1"], "1": ["node_2"]})
    assert "3 ranks on 3 servers in 2 SuperPods" in files.summary(merged)
    with pytest.raises(Refused, match="apart"):
        merge([parts[0], parts[2], parts[1]])


def test_merge_refuses_a_server_twice_versions_mixed_and_missing_addresses():
    one = make([0], {0: "192.1.27.6"}, "10.0.0.1")
    with pytest.raises(Refused, match=r'server_list\[1\].server_id: "10.0.0.1" is also'):
        merge([one, one])
    with pytest.raises(Refused, match=r"versions 1\.0 and 1\.2"):
        merge([one, make([0], {}, "node_0", {0: "1"}, "0")])
    with pytest.raises(Refused, match=r"server_list\[1\].device\[0\].device_ip: is missing"):
        merge([one, make([0], {}, "10.0.0.2")])
