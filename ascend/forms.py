"""Tables of other tools: recognized by keys that only they have, then named or converted to version 1.0."""

import re

from ascend import Refused

CONVERT = "convert it: python3 ascend/rank_table.py --from FILE > rank_table.json"
ONE_JOB = "use the hccl.json of one job, or make a table here (rank_table.py --devices 0,1)"
# a key that no table of version 1.0 or 1.2 has: what the table is, and what to do
KEYS = {
    # CANN's "template 2" and HCCL's topoinfo_ranktableStandard.cc; ModelArts' jobstart_hccl.json, HCCL Controller's v1
    "group_list": f"is the form of ModelArts and of pods, CANN's template 2: {CONVERT}",
    # hccl/docs, rank_table_config_a5.md: no servers in it, so which ranks are this machine's can't be told
    "rank_list": "is version 2.0, of Ascend 950, without servers: tables of 1.0 (A2) and 1.2 (A3) can be started here",
    # MindCluster, "global-ranktable": ClusterD's, for MindIE Motor's controller
    "server_group_list": f"is MindCluster's global ranktable, of several jobs: {ONE_JOB}",
    # vllm-ascend, examples/disaggregate_prefill_v1/gen_ranktable.py
    "prefill_device_list": f"is vLLM's table for separate prefill and decode: {ONE_JOB}",
    "decode_device_list": f"is vLLM's table for separate prefill and decode: {ONE_JOB}",
    # /usr/local/Ascend/driver/topo, beside a table of version 2.0
    "edge_list": f"is a topology file of Ascend 950, not a rank table: {ONE_JOB}",
}
STATUS = {  # what a table says until every pod has its devices
    "initializing": "isn't complete: Ascend Operator or ModelArts is still writing it: wait, or look at its pods",
}


def foreign(table):
    """Return a line that says which other tool's form a table has, "KEY: what it is: what to do"; "" if none."""
    if table.get("status") == "initializing":
        return f"status: {STATUS['initializing']}"
    for key, text in KEYS.items():
        if key in table and "server_list" not in table:
            return f"{key}: {text}"
    if table.get("version") == "2.0":
        return f"version: {KEYS['rank_list']}"
    return ""


def from_groups(table, name):
    """Return the servers of a table with group_list as version 1.0 lists them; the ranks are written into it.

    Ranks follow the numbers at the ends of the pods' names (the listed order, if one has none) and within a pod the
    devices' numbers, as HCCL sorts them; a lab's instances have their rank_id. Raises Refused with the JSON path.
    """
    if table.get("status") != "completed":
        raise Refused(f"{name}: status: {STATUS['initializing']}")
    pods = []
    for at, group in _objects(table, "", "group_list", name):
        instances = _objects(group, at, "instance_list", name)
        devices = [_objects(instance, where, "devices", name) for where, instance in instances]
        for key, there in (("instance_count", len(instances)), ("device_count", sum(map(len, devices)))):
            if str(group.get(key, there)) != str(there):
                raise Refused(f"{name}: {at}.{key}: {group[key]}, but there are {there}: write the file again")
        pods += [(instance, listed) for (_, instance), listed in zip(instances, devices)]
    numbers = [re.search("[0-9]{1,18}$", str(instance.get("pod_name", ""))) for instance, _ in pods]
    if all(numbers):
        pods = [pod for _, pod in sorted(zip(numbers, pods), key=lambda pair: int(pair[0].group()))]
    servers, rank = {}, 0
    for instance, devices in pods:
        server_id = instance.get("server_id")
        if not isinstance(server_id, str):
            raise Refused(f"{name}: group_list: server_id of an instance: {server_id} isn't a string: write it again")
        entries = servers.setdefault(server_id, [])
        for device in sorted((device for _, device in devices), key=_number):
            kept = {key: device[key] for key in ("device_id", "device_ip") if device.get(key, "") != ""}
            entries.append({**kept, "rank_id": instance.get("rank_id", str(rank))})
            rank += 1
    return [{"server_id": server_id, "device": entries} for server_id, entries in servers.items()]


def _number(device):
    text = str(device.get("device_id", ""))
    return int(text) if re.fullmatch("[0-9]{1,18}", text) else 0  # what isn't a number is named later


def _objects(owner, at, key, name):
    """Return [(JSON path, object)] of the list owner[key], which has to be there."""
    path, values = f"{at}.{key}".lstrip("."), owner.get(key)
    if not isinstance(values, list) or not values or not all(isinstance(value, dict) for value in values):
        raise Refused(f"{name}: {path}: isn't a non-empty list of objects: write the file again")
    return [(f"{path}[{index}]", value) for index, value in enumerate(values)]
