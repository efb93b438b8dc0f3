"""Rank tables for tests: their form, stated independently of the suite, and any number of correct ones."""

import random
import re

from hypothesis import strategies as st

# the form of a table that was written, stated independently: ? follows a key that may be missing
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
        for index, item in enumerate(value):
            assert_form(item, form[0], f"{path}[{index}]")
    else:
        forms = {key.rstrip("?"): item_form for key, item_form in form.items()}
        assert isinstance(value, dict), path
        assert {key for key in form if not key.endswith("?")} <= set(value) <= set(forms), path
        for key, item in value.items():
            assert_form(item, forms[key], f"{path}.{key}")


def assert_written(table, devices, pods=None):
    """Make sure that a written table has these devices: one (rank, server, device, address, SDID) for each."""
    assert_form(table, {**TABLE, "super_pod_list": [POD]} if pods else TABLE)
    assert table["version"] == ("1.2" if pods else "1.0")
    found = [
        (int(device["rank_id"]), server["server_id"], int(device["device_id"]))
        + (device.get("device_ip"), device.get("super_device_id"))
        for server in table["server_list"]
        for device in server["device"]
    ]
    assert found == devices
    assert [rank for rank, *_ in sorted(found)] == list(range(len(found)))
    assert int(table["server_count"]) == len(table["server_list"]) == len({server for _, server, *_ in found})
    if pods:
        listed = {
            pod["super_pod_id"]: [server["server_id"] for server in pod["server_list"]]
            for pod in table["super_pod_list"]
        }
        assert listed == pods


@st.composite
def tables(draw, version=None, servers=1, devices=1, pods=None):
    """A correct table, made without rank_table.py, of at least so many servers and devices per server.

    pods: how many SuperPods at least; 0 for version 1.2 without them.
    """
    version = version or draw(st.sampled_from(("1.0", "1.2")))
    counts = draw(st.lists(st.integers(devices, 8), min_size=max(servers, pods or 0), max_size=4))
    pods = draw(st.integers(0, len(counts))) if pods is None else pods
    in_pods = version == "1.2" and pods
    pod_of = sorted((number % pods for number in range(len(counts))) if pods else [])
    needs_ip = pods > 1 if in_pods else len(counts) > 1
    with_ip = needs_ip or draw(st.booleans())
    chance = random.Random(draw(st.integers(0, 2**32)))  # many of hypothesis' own draws take seconds
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
