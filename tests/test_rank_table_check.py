"""ascend/check.py: correct tables are accepted, and what is wrong in one is named by its JSON path."""

import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rank_table_faults import MUTATIONS
from rank_tables import tables

from ascend import table as files
from ascend.check import problems
from ascend.make import make


@settings(max_examples=50, deadline=None, suppress_health_check=list(HealthCheck))
@given(tables())
def test_correct_tables_are_accepted_and_their_ranks_listed(tmp_path, table):
    assert problems(table) == []
    path = tmp_path / "rank_table.json"
    for text in (json.dumps(table), files.dumps(table)):
        path.write_text(text)
        assert files.load(path) == table
    ranks = files.ranks(table)
    assert [rank.rank_id for rank in ranks] == list(range(len(ranks)))
    devices = {(s["server_id"], d["device_id"]): d for s in table["server_list"] for d in s["device"]}
    assert len(devices) == len(ranks)
    for rank in ranks:
        device = devices[rank.server_id, str(rank.device_id)]
        assert (device["rank_id"], device.get("device_ip", "")) == (str(rank.rank_id), rank.device_ip)
    assert f"{len(ranks)} rank" in files.summary(table)


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
        assert problems(table) == []
        path = broken(table, lambda values: data.draw(st.sampled_from(list(values))))
        found = problems(table)
        assert any(problem.startswith(path + ": ") for problem in found), (path, found)
        for problem in found:  # what is wrong and what to do, in one line
            assert problem.isprintable()
            assert problem.count(": ") >= 1

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
    assert all(problem.isprintable() for problem in problems(table))
    assert problems(owner[key]) != []


def test_a_problem_says_both_values_and_what_to_do():
    table = make([0, 1], {}, "10.0.0.1")
    table["server_list"][0]["device"][1]["rank_id"] = "0"
    assert problems(table) == [
        'server_list[0].device[1].rank_id: "0" is also server_list[0].device[0]\'s: number the ranks 0 to 1'
    ]
    table = make([0], {}, "10.0.0.1")
    table["server_count"] = "2"
    assert problems(table) == ['server_count: "2", but server_list has 1: write "1"']
