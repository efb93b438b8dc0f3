"""Rank tables made: of one server's devices and their addresses, or of several servers' tables."""

import copy

from ascend import Refused
from ascend.table import checked, ranks


def make(devices, addresses, server_id, super_device_ids=None, super_pod_id=None):
    """Return the rank table of one server: its devices, a list of int, become ranks 0, 1, ... in the order given.

    addresses: {device: address}, {} for a table without them. super_device_ids: {device: SDID}, with super_pod_id the
    name of the SuperPod, for version 1.2. Raises Refused where that makes no table that is right.
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


def merge(tables):
    """Return one rank table with the servers of all, in the order given: each table's ranks follow the last one's.

    SuperPods of one super_pod_id become one. Raises Refused where versions differ or the result isn't right, as
    when a server is in two tables. The tables themselves, each of them right, stay as they are.
    """
    versions = sorted({table["version"] for table in tables})
    if len(versions) != 1:
        raise Refused(f"merged table: versions {' and '.join(versions)}: only tables of one version go together")
    merged, *others = copy.deepcopy(tables)
    for table in others:
        offset = len(ranks(merged))
        for device in (device for server in table["server_list"] for device in server["device"]):
            device["rank_id"] = str(int(device["rank_id"]) + offset)
        merged["server_list"] += table["server_list"]
        for pod in table.get("super_pod_list", []) if versions == ["1.2"] else []:
            pods = merged.setdefault("super_pod_list", [])
            same = next((each for each in pods if each["super_pod_id"] == pod["super_pod_id"]), None)
            if same:
                same["server_list"] += pod["server_list"]
            else:
                pods.append(pod)
    merged["server_count"] = str(len(merged["server_list"]))
    return checked(merged, "merged table")
