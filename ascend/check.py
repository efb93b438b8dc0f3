"""What is wrong with a rank table: each problem by its JSON path.

Every value in a table is a string. The checks are those of CANN's guide to HCCL for version 1.0, and for 1.2, which
Atlas A3 has for SuperPods ("Rank table configuration", a page for each product); keys that it doesn't name are let
through. Where the guide leaves something open, HCCL's own reader decides (topoinfo_ranktableConcise.cc in hcomm).
"""

import ipaddress
import json
import re

from ascend.forms import foreign


def _is_number(text):
    return re.fullmatch("[0-9]{1,10}", text) and int(text) < 2**32 - 1  # HCCL's mark of "not set"


def _is_port(text):
    return _is_number(text) and 1 <= int(text) <= 65535


def _is_name(text):
    return 0 < len(text) <= 64 and text.isprintable()


def is_ip(text, kind=ipaddress.ip_address):
    """Return whether a text is one IP address."""
    try:  # older Pythons take leading zeros and newer ones zones (fe80::1%eth0): neither here
        return "%" not in text and (str(kind(text)) == text or ":" in text)
    except ValueError:
        return False


def _are_ips(text):
    return all(is_ip(part) for part in text.split(","))  # a device may have several


def is_loopback(text):
    """Return whether a server_id or an address is one by which every machine calls itself, such as 127.0.0.1."""
    return text.startswith("127.") and is_ip(text) or text in ("localhost", "::1")


NUMBER = 'a whole number in quotes, such as "0"', _is_number
PORT = 'a port in quotes, "1" to "65535"', _is_port
IPS = 'an IP address, such as "192.1.27.6"', _are_ips
# key: what is to be written there, and whether a string is that
FORMS = {
    "version": ('"1.0", or "1.2" for SuperPods of Atlas A3', lambda text: text in ("1.0", "1.2")),
    "status": ('"completed", once every device is in the table', lambda text: text == "completed"),
    "server_count": NUMBER,
    "server_id": ('a name of 1 to 64 characters, such as the server\'s address, "10.0.0.1"', _is_name),
    "host_ip": ('an IPv4 address, such as "10.0.0.1"', lambda text: is_ip(text, ipaddress.IPv4Address)),
    "device_id": NUMBER,
    "rank_id": NUMBER,
    "device_ip": IPS,
    "super_device_id": ('the device\'s SDID (npu-smi info -t spod-info) in quotes, such as "113246208"', _is_number),
    "super_pod_id": ('a name of 1 to 64 characters, such as its Super Pod ID, "0"', _is_name),
    "backup_device_ip": IPS,
    "device_port": PORT,
    "host_port": PORT,
    "backup_device_port": PORT,
}


def _at(owner, key):
    """Return the JSON path of a key of the object at `owner`, which is "" for the whole table."""
    return f"{owner}.{key if key.isidentifier() else json.dumps(key)}".lstrip(".")


def _shown(value):
    text = json.dumps(value)
    return text if len(text) <= 70 else text[:66] + " ..."


def _text(found, owner, entry, key, needed=True):
    """Return the string entry[key] if it has its form, else None; add to `found` what is wrong with it."""
    advice, fits = FORMS[key]
    value = entry.get(key)
    empty = not needed and key.endswith("device_ip") and value == ""  # the same as none, the guide says
    if key not in entry or empty:
        if needed:
            found.append(f"{_at(owner, key)}: is missing: write {advice}")
        return None
    if isinstance(value, str) and fits(value):
        return str(int(value)) if fits is _is_number else value  # HCCL reads "01" as 1
    wrong = "isn't right" if isinstance(value, str) else "isn't a string"
    found.append(f"{_at(owner, key)}: {_shown(value)} {wrong}: write {advice}")
    return None


def _objects(found, owner, entry, key):
    """Return [(JSON path, object)] of the list entry[key]; add to `found` what is wrong with it."""
    at, values = _at(owner, key), entry.get(key)
    if not isinstance(values, list) or not values:
        wrong = f"{_shown(values)} isn't a non-empty list" if key in entry else "is missing"
        found.append(f"{at}: {wrong}: write a list of objects, [{{...}}, ...]")
        return []
    for index, value in enumerate(values):
        if not isinstance(value, dict):
            found.append(f"{at}[{index}]: {_shown(value)} isn't an object: write {{...}}")
    return [(f"{at}[{index}]", value) for index, value in enumerate(values) if isinstance(value, dict)]


def _once(found, key, values, advice):
    """Add to `found` what appears twice in `values`, a list of (JSON path of the object that has the key, value)."""
    first = {}
    for owner, value in values:
        if value is not None and first.setdefault(value, owner) != owner:
            found.append(f"{owner}.{key}: {_shown(value)} is also {first[value]}'s: {advice}")


def _repeated(found, table):
    """Add to `found` the keys that an object of the table has twice: _parse left them there under the key None."""
    within = [("", table)]
    for owner, value in within:
        if isinstance(value, dict):
            found += [f"{_at(owner, key)}: appears more than once: keep one" for key in value.get(None, ())]
            within += [(_at(owner, key), item) for key, item in value.items() if key is not None]
        elif isinstance(value, list):
            within += [(f"{owner}[{index}]", item) for index, item in enumerate(value)]


def problems(table):
    """Return what is wrong with a rank table as a list of "JSON path: what is wrong: what to do", [] if nothing is.

    Sources: CANN's guide, and for what it leaves open HCCL's own reader (topoinfo_ranktableConcise.cc in hcomm).
    """
    if not isinstance(table, dict):
        return [f"top level: {_shown(table)} isn't an object: write {{...}}"]
    other = foreign(table)
    if other:
        return [other]
    found = []
    _repeated(found, table)
    version = _text(found, "", table, "version")
    _text(found, "", table, "status")
    servers = _objects(found, "", table, "server_list")
    in_pods = version == "1.2" and "super_pod_list" in table  # else every server stands for itself
    pods = _objects(found, "", table, "super_pod_list") if in_pods else []
    count = _text(found, "", table, "server_count", needed=version != "1.2")
    if count and servers and int(count) != len(table["server_list"]):
        there = len(table["server_list"])
        found.append(f'server_count: "{count}", but server_list has {there}: write "{there}"')
    # inside one server or SuperPod the devices don't need their network addresses
    needs_ip = len(pods) > 1 if pods else len(servers) > 1

    ranks_of, ips, super_ids = [], [], {}  # super_ids: {server_id: [(device's path, super_device_id)]}
    server_ids = [(owner, _text(found, owner, server, "server_id")) for owner, server in servers]
    _once(found, "server_id", server_ids, "list each server once, by an address or a name of its own")
    for (owner, server), (_, server_id) in zip(servers, server_ids):
        _text(found, owner, server, "host_ip", needed=False)
        devices = _objects(found, owner, server, "device")
        ids = [(at, _text(found, at, device, "device_id")) for at, device in devices]
        _once(found, "device_id", ids, "list each device of a server once")
        ranks_of.append([(at, _text(found, at, device, "rank_id")) for at, device in devices])
        for at, device in devices:
            ip = _text(found, at, device, "device_ip", needed=needs_ip and "host_ip" not in server)
            ips += [(at, str(ipaddress.ip_address(part))) for part in (ip or "").split(",") if part]
            for key in ("backup_device_ip", "device_port", "host_port", "backup_device_port"):
                _text(found, at, device, key, needed=False)
            if version == "1.2":
                super_id = _text(found, at, device, "super_device_id", needed=in_pods)
                super_ids.setdefault(server_id, []).append((at, super_id))
    _once(found, "device_ip", ips, "give each device the address that hccn_tool -i DEVICE -ip -g prints")
    _rank_problems(found, servers, ranks_of)
    if pods:
        _pod_problems(found, pods, server_ids, super_ids)
    return found


def notes(table):
    """Return what may be wrong with a table that is right by problems(), in the same form: HCCL doesn't refuse it."""
    found, several = [], len(table["server_list"]) > 1
    for index, server in enumerate(table["server_list"]):
        owner = f"server_list[{index}]"
        if is_loopback(server["server_id"]):
            every = f"{_shown(server['server_id'])} is what every machine calls itself"
            found.append(f"{owner}.server_id: {every}: write the server's address, or it can't be told from others")
        if several and not pods_of(table) and not all(device.get("device_ip") for device in server["device"]):
            found.append(f"{owner}.device: has no device_ip: several servers of Atlas A2 need it, host_ip or not")
    return found


def pods_of(table):
    """Return the SuperPods of a table, a list; version 1.0 has none."""
    return table.get("super_pod_list", []) if table["version"] == "1.2" else []


def _rank_problems(found, servers, ranks_of):
    """Add to `found` what is wrong with the ranks: a list per server of (device's path, rank_id)."""
    everywhere = [pair for ranks in ranks_of for pair in ranks]
    before = len(found)
    advice = f"number the ranks 0 to {len(everywhere) - 1}"
    _once(found, "rank_id", everywhere, advice)
    for owner, rank in everywhere:
        if rank and int(rank) >= len(everywhere):
            found.append(f'{owner}.rank_id: "{rank}", but there are {len(everywhere)} devices: {advice}')
    if len(found) > before:  # other problems would only follow from these
        return
    for (owner, _), ranks in zip(servers, ranks_of):
        numbers = sorted(int(rank) for _, rank in ranks if rank)
        if numbers and numbers[-1] - numbers[0] >= len(ranks):
            text = ", ".join(map(str, numbers))
            found.append(f"{owner}.device: ranks {text} of one server: HCCL needs them without a gap, renumber them")


def _pod_problems(found, pods, server_ids, super_ids):
    """Add to `found` what is wrong with the SuperPods: their servers, their devices' super_device_id."""
    pod_ids = [(owner, _text(found, owner, pod, "super_pod_id")) for owner, pod in pods]
    _once(found, "super_pod_id", pod_ids, "list each SuperPod once, with all of its servers")
    members, pod_of = [], {}
    for owner, pod in pods:
        entries = _objects(found, owner, pod, "server_list")
        inside = [(at, _text(found, at, entry, "server_id")) for at, entry in entries]
        members += inside
        pod_of.update((server_id, owner) for _, server_id in inside)
        devices = [pair for _, server_id in inside for pair in super_ids.get(server_id, ())]
        _once(found, "super_device_id", devices, "give each device of a SuperPod its own SDID")
    _once(found, "server_id", members, "put each server into one SuperPod, once")
    known = [server_id for _, server_id in server_ids]
    for owner, server_id in members:
        if server_id and server_id not in known:
            found.append(f"{owner}.server_id: {_shown(server_id)} isn't in the table's server_list: add it there")
    previous, seen = None, set()
    for owner, server_id in server_ids:
        pod = pod_of.get(server_id)
        if server_id and not pod:
            found.append(f"{owner}.server_id: {_shown(server_id)} is in no SuperPod: add it to super_pod_list")
        elif pod != previous and pod in seen:
            found.append(f"{owner}: is apart from the other servers of {pod}: list the servers SuperPod by SuperPod")
        previous = pod
        seen.add(pod)
