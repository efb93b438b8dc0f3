"""Make rank tables: from one server's devices and their addresses, or from several servers' tables."""

import copy

from ascend import Refused
from ascend.check import is_loopback, pods_of
from ascend.forms import from_groups
from ascend.table import checked, ranks


def make(devices, addresses, server_id, super_device_ids=None, super_pod_id=None):
    """Return the rank table of one server: its devices, a list of int, become ranks 0, 1, ... in the order given.

    addresses: {device: address}, {} for a table without them. super_device_ids: {device: SDID}, with super_pod_id the
    name of the SuperPod, for version 1.2. Raises Refused if the table wouldn't be right.
    """
    entries = []
    for rank, device in enumerate(devices):
        entry = {"device_id": str(device)}
        if device in addresses:
            entry["device_ip"] = addresses[device]
        if super_device_ids is not None:
            entry["super_device_id"] = str(super_device_ids.get(device, ""))
        entries.append({**entry, "rank_id": str(rank)})
    server = {"server_id": server_id, "device": entries}
    table = {"version": "1.0", "server_count": "1", "server_list": [server], "status": "completed"}
    if super_device_ids is None:
        server["host_nic_ip"] = "reserve"  # as the vendor's hccl_tools.py has it
    else:
        table["version"] = "1.2"
        table["super_pod_list"] = [{"super_pod_id": str(super_pod_id), "server_list": [{"server_id": server_id}]}]
    return checked(table, f"table of {server_id}")


def convert(table, name):
    """Return another tool's table (group_list) as one of version 1.0; a table that is right already stays as it is.

    name: its file, for messages. Raises Refused if it can't be converted, or if the result isn't right.
    """
    if not isinstance(table, dict) or "group_list" not in table or "server_list" in table:
        return checked(table, name)
    servers = from_groups(table, name)
    made = {"version": "1.0", "server_count": str(len(servers)), "server_list": servers, "status": "completed"}
    return checked(made, f"{name}, converted")


def merge(tables):
    """Return one rank table with the servers of all, in the order given: each table's ranks follow the last one's.

    SuperPods with the same super_pod_id become one. Raises Refused if versions differ or the result isn't right, for
    example when a server is in two tables. The tables have to be right, and aren't changed.
    """
    versions = sorted({table["version"] for table in tables})
    if len(versions) != 1:
        raise Refused(f"merged table: versions {' and '.join(versions)}: only tables of one version go together")
    names = [server["server_id"] for table in tables for server in table["server_list"]]
    alike = [name for name in names if is_loopback(name) and names.count(name) > 1]
    if alike:
        raise Refused(
            f"merged table: {len(alike)} servers call themselves {alike[0]}, as every machine does: write each one's "
            "table with --server_id ADDRESS, its own"
        )
    merged, *others = copy.deepcopy(tables)
    for table in others:
        offset = len(ranks(merged))
        for device in (device for server in table["server_list"] for device in server["device"]):
            device["rank_id"] = str(int(device["rank_id"]) + offset)
        merged["server_list"] += table["server_list"]
        for pod in pods_of(table):
            pods = merged.setdefault("super_pod_list", [])
            same = next((earlier for earlier in pods if earlier["super_pod_id"] == pod["super_pod_id"]), None)
            if same:
                same["server_list"] += pod["server_list"]
            else:
                pods.append(pod)
    merged["server_count"] = str(len(merged["server_list"]))
    return checked(merged, "merged table")
