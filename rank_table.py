"""Write and check an Ascend rank table: the file that tells HCCL which device of which server is which rank.

    python3 rank_table.py --devices 0,1 > rank_table.json         # of this server
    python3 rank_table.py --merge a.json b.json > rank_table.json # of several, in the order of their ranks
    python3 rank_table.py --check rank_table.json                 # one line a problem, status 2 if there is one

Every value in it is a string. What is checked is what CANN's guide to HCCL says of version 1.0, and of 1.2, which Atlas
A3 has for SuperPods ("Rank table configuration", a page for each product); keys that it doesn't name are let through.
"""

import argparse
import contextlib
import copy
import glob
import ipaddress
import json
import os
import re
import shutil
import socket
import subprocess
import sys
from typing import NamedTuple

DEVICE_FILES = "/dev/davinci[0-9]*"  # what the driver makes, one a device
HCCN_CONF = "/etc/hccn.conf"
DRIVER_TOOLS = "/usr/local/Ascend/driver/tools"  # where hccn_tool is; it's often not on the PATH
LOCAL_ROUTES = "/proc/net/fib_trie"


class RankTableError(ValueError):
    """A rank table, or what one is to be made of, that can't be right; the message says where, what and what to do."""

    status = 2  # exit status: files that can't be right


class Rank(NamedTuple):
    """One rank of a table: device_id is the number on its server, device_ip "" where the table has none."""

    rank_id: int
    server_id: str
    device_id: int
    device_ip: str


def _is_number(text):
    return re.fullmatch("0|[1-9][0-9]{0,9}", text) and int(text) < 2**32 - 1  # HCCL's mark of "not set"


def _is_port(text):
    return _is_number(text) and 1 <= int(text) <= 65535


def _is_name(text):
    return 0 < len(text) <= 64 and text.isprintable()


def _is_ip(text, kind=ipaddress.ip_address):
    try:  # older Pythons take leading zeros and newer ones zones (fe80::1%eth0): neither here
        return "%" not in text and (str(kind(text)) == text or ":" in text)
    except ValueError:
        return False


NUMBER = 'a whole number in quotes, such as "0"', _is_number
PORT = 'a port in quotes, "1" to "65535"', _is_port
IP = 'an IP address, such as "192.1.27.6"', _is_ip
# key: what is to be written there, and whether a string is that
FORMS = {
    "version": ('"1.0", or "1.2" for SuperPods of Atlas A3', lambda text: text in ("1.0", "1.2")),
    "status": ('"completed", once every device is in the table', lambda text: text == "completed"),
    "server_count": NUMBER,
    "server_id": ('a name of 1 to 64 characters, such as the server\'s address, "10.0.0.1"', _is_name),
    "host_ip": ('an IPv4 address, such as "10.0.0.1"', lambda text: _is_ip(text, ipaddress.IPv4Address)),
    "device_id": NUMBER,
    "rank_id": NUMBER,
    "device_ip": IP,
    "super_device_id": ('the device\'s SDID (npu-smi info -t spod-info) in quotes, such as "113246208"', _is_number),
    "super_pod_id": ('a name of 1 to 64 characters, such as its Super Pod ID, "0"', _is_name),
    "backup_device_ip": IP,
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
    empty = not needed and key.endswith("device_ip") and value == ""  # as good as none, the guide says
    if key not in entry or empty:
        if needed:
            found.append(f"{_at(owner, key)}: is missing: write {advice}")
        return None
    if isinstance(value, str) and fits(value):
        return value
    wrong = "isn't right" if isinstance(value, str) else "isn't a string"
    found.append(f"{_at(owner, key)}: {_shown(value)} {wrong}: write {advice}")
    return None


def _objects(found, owner, entry, key):
    """Return [(JSON path, object)] of the list entry[key]; add to `found` what is wrong with it."""
    at, values = _at(owner, key), entry.get(key)
    if not isinstance(values, list) or not values:
        wrong = f"{_shown(values)} isn't a list with something in it" if key in entry else "is missing"
        found.append(f"{at}: {wrong}: write a list of objects, [{{...}}, ...]")
        return []
    for index, value in enumerate(values):
        if not isinstance(value, dict):
            found.append(f"{at}[{index}]: {_shown(value)} isn't an object: write {{...}}")
    return [(f"{at}[{index}]", value) for index, value in enumerate(values) if isinstance(value, dict)]


def _once(found, key, values, advice):
    """Add to `found` what is twice in `values`, a list of (JSON path of the object that has the key, value)."""
    first = {}
    for owner, value in values:
        if value is not None and first.setdefault(value, owner) != owner:
            found.append(f"{owner}.{key}: {_shown(value)} is also {first[value]}'s: {advice}")


def _repeated(found, table):
    """Add to `found` the keys that an object of the table has twice: _parse left them there under the key None."""
    within = [("", table)]
    for owner, value in within:
        if isinstance(value, dict):
            found += [f"{_at(owner, key)}: is there more than once: keep one" for key in value.get(None, ())]
            within += [(_at(owner, key), each) for key, each in value.items() if key is not None]
        elif isinstance(value, list):
            within += [(f"{owner}[{index}]", each) for index, each in enumerate(value)]


def problems(table):
    """Return what is wrong with a rank table as a list of "JSON path: what is wrong: what to do", [] if nothing is.

    Sources: CANN's guide, and for what it leaves open HCCL's own reader (topoinfo_ranktableConcise.cc in hcomm).
    """
    if not isinstance(table, dict):
        return [f"top level: {_shown(table)} isn't an object: write {{...}}"]
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
    # inside one server or SuperPod the devices have another way than their network
    needs_ip = len(pods) > 1 if pods else len(servers) > 1

    ranks_of, ips, super_ids = [], [], {}  # super_ids: {server_id: [(device's path, super_device_id)]}
    server_ids = [(owner, _text(found, owner, server, "server_id")) for owner, server in servers]
    _once(found, "server_id", server_ids, "list each server once")
    for (owner, server), (_, server_id) in zip(servers, server_ids):
        _text(found, owner, server, "host_ip", needed=False)
        devices = _objects(found, owner, server, "device")
        ids = [(each, _text(found, each, device, "device_id")) for each, device in devices]
        _once(found, "device_id", ids, "list each device of a server once")
        ranks_of.append([(each, _text(found, each, device, "rank_id")) for each, device in devices])
        for each, device in devices:
            ip = _text(found, each, device, "device_ip", needed=needs_ip)
            ips.append((each, ip and str(ipaddress.ip_address(ip))))
            for key in ("backup_device_ip", "device_port", "host_port", "backup_device_port"):
                _text(found, each, device, key, needed=False)
            if version == "1.2":
                super_id = _text(found, each, device, "super_device_id", needed=in_pods)
                super_ids.setdefault(server_id, []).append((each, super_id))
    _once(found, "device_ip", ips, "give each device the address that hccn_tool -i DEVICE -ip -g prints")
    _rank_problems(found, servers, ranks_of)
    if pods:
        _pod_problems(found, pods, server_ids, super_ids)
    return found


def _rank_problems(found, servers, ranks_of):
    """Add to `found` what is wrong with the ranks: a list a server of (device's path, rank_id)."""
    everywhere = [pair for ranks in ranks_of for pair in ranks]
    before = len(found)
    advice = f"number the ranks 0 to {len(everywhere) - 1}"
    _once(found, "rank_id", everywhere, advice)
    for owner, rank in everywhere:
        if rank and int(rank) >= len(everywhere):
            found.append(f'{owner}.rank_id: "{rank}", but there are {len(everywhere)} devices: {advice}')
    if len(found) > before:  # what else there would be to say follows from it
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
        inside = [(each, _text(found, each, entry, "server_id")) for each, entry in entries]
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


def _parse(path):
    """Return what is in a JSON file; a key that an object has twice is noted in it under the key None."""

    def noted(pairs):
        keys = [key for key, _ in pairs]
        twice = sorted({key for key in keys if keys.count(key) > 1})
        return {**dict(pairs), **({None: twice} if twice else {})}

    def refused(text):
        raise ValueError(f"{text} isn't JSON")

    try:
        with open(str(path), encoding="utf-8") as file:
            text = file.read()
        if not text.strip():
            raise RankTableError(f"{path}: is empty: whatever was to write it failed: write it again")
        return json.loads(text, object_pairs_hook=noted, parse_constant=refused)
    except RankTableError:
        raise
    except OSError as error:
        raise RankTableError(f"{path}: can't be read: {error.strerror}") from None
    except (ValueError, RecursionError) as error:  # which says line and column
        raise RankTableError(f"{path}: isn't JSON: {error}: correct it there; JSON has no comments") from None


def _checked(table, name, more=""):
    """Return the table if it's right; raise RankTableError with the first problem and how many there are."""
    found = problems(table)
    if found:
        rest = f" (and {len(found) - 1} more{more})" if len(found) > 1 else ""
        raise RankTableError(f"{name}: {found[0]}{rest}")
    return table


def load(path):
    """Return the rank table in a file, a dict; raise RankTableError where it can't be read or isn't right."""
    return _checked(_parse(path), path, f": python3 rank_table.py --check {path}")


def ranks(table):
    """Return a list of Rank, one a device of the table, in the order of the ranks."""
    return sorted(
        Rank(int(device["rank_id"]), server["server_id"], int(device["device_id"]), device.get("device_ip", ""))
        for server in table["server_list"]
        for device in server["device"]
    )


def summary(table):
    """Return one line: the table's version, how many ranks, and which devices of which servers they are."""

    def counted(things, name):
        return f"{len(things)} {name}{'s' * (len(things) != 1)}"

    devices = {}
    for rank in ranks(table):
        devices.setdefault(rank.server_id, []).append(str(rank.device_id))
    pods = table.get("super_pod_list", []) if table["version"] == "1.2" else []
    on = counted(devices, "server") + (f" in {counted(pods, 'SuperPod')}" if pods else "")
    servers = [f"{name} ({'devices' if len(ids) > 1 else 'device'} {', '.join(ids)})" for name, ids in devices.items()]
    return f"version {table['version']}, {counted(ranks(table), 'rank')} on {on}: {', '.join(servers)}"


def make(devices, addresses, server_id, super_device_ids=None, super_pod_id=None):
    """Return the rank table of one server: its devices, a list of int, become ranks 0, 1, ... in the order given.

    addresses: {device: address}, {} for a table without them. super_device_ids: {device: SDID}, with super_pod_id the
    name of the SuperPod, for version 1.2. Raises RankTableError where that makes no table that is right.
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
    return _checked(table, f"table of {server_id}")


def merge(tables):
    """Return one rank table with the servers of all, in the order given: each table's ranks follow the last one's.

    SuperPods of one super_pod_id become one. Raises RankTableError where versions differ or the result isn't right, as
    when a server is in two tables. The tables themselves, each of them right, stay as they are.
    """
    versions = sorted({table["version"] for table in tables})
    if len(versions) != 1:
        raise RankTableError(f"merged table: versions {' and '.join(versions)}: only tables of one version go together")
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
    return _checked(merged, "merged table")


def dumps(table):
    """Return the table as JSON with one line a device."""
    text = json.dumps(table, indent=2)  # in which a line break is never part of a string
    return re.sub(r"\{\n\s*([^][{}]*)\n\s*\}", lambda match: "{" + re.sub(r"\n\s*", " ", match.group(1)) + "}", text)


def addresses():
    """Return this machine's IPv4 addresses, without loopback (127.x is every machine's), sorted; asks no DNS."""
    try:
        with open(LOCAL_ROUTES) as file:  # "|-- 10.0.0.1", and in a line under it "/32 host LOCAL"
            found = set(re.findall(r"\|-- (\S+)(?:\n\s*/.*)*?\n\s*/32 host LOCAL", file.read()))
    except OSError:  # no Linux, or a sandbox without it: --server_id is left
        return []
    return sorted((each for each in found if not each.startswith("127.")), key=socket.inet_aton)


def own_address():
    """Return the IPv4 address by which other machines know this one: that of its default route, or its only one."""
    here = addresses()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asked, contextlib.suppress(OSError):
        asked.connect(("192.0.2.1", 9))  # of UDP: sends nothing, but has a route chosen
        if asked.getsockname()[0] in here:
            return asked.getsockname()[0]
    if len(here) != 1:
        which = f"which of {', '.join(here)}" if here else "no IPv4 address"
        raise RankTableError(f"this machine's server_id: {which}: give it with --server_id")
    return here[0]


def _resolved(name):
    try:
        return {answer[4][0] for answer in socket.getaddrinfo(name, None, socket.AF_INET)}
    except (OSError, ValueError):  # ValueError: nothing that a host can be called
        return set()


def local_server(table, server_id=None):
    """Return the server_id of this machine in a table that is right.

    That is: the one given; else the only one; else the one that is this machine's address or name, has its host_ip, or
    resolves to its address. Raises RankTableError where none is, or several are.
    """
    servers = {server["server_id"]: server.get("host_ip") for server in table["server_list"]}
    names = ", ".join(servers)
    if server_id is not None:
        if server_id not in servers:
            raise RankTableError(f"--server_id {server_id}: isn't in the rank table: give one of {names}")
        return server_id
    if len(servers) == 1:
        return names
    here = {*addresses(), socket.gethostname()}
    found = [name for name, host_ip in servers.items() if {name, host_ip} & here]
    # asked last, as a name server that doesn't answer costs seconds
    found = found or [name for name in servers if _resolved(name) & here]
    if len(found) != 1:
        which = f"{' and '.join(found)} are both this machine" if found else "none of them is this machine"
        known = ", ".join(sorted(here))
        raise RankTableError(f"rank table of {names}: {which} ({known}): say which with --server_id")
    return found[0]


def parse_devices(text):
    """Return the devices, a list of int, that "0,1", "0-3,6" or, as hccl_tools.py has it, "[0,2)" stands for."""
    half_open = re.fullmatch(r"\[([0-9]{1,3}), *([0-9]{1,3})\)", text)
    if half_open:
        found = list(range(int(half_open.group(1)), int(half_open.group(2))))
    else:
        parts = [re.fullmatch("([0-9]{1,3})(?:-([0-9]{1,3}))?", part.strip()) for part in text.split(",")]
        ends = [(int(part.group(1)), int(part.group(2) or part.group(1))) for part in parts if part]
        found = [device for first, last in ends for device in range(first, last + 1)] if all(parts) else []
    if not found or len(set(found)) < len(found):
        raise RankTableError(f"--devices {text}: isn't a list of devices, each once: write it as 0,1 or 0-7 or [0,8)")
    return found


def existing_devices():
    """Return the numbers of this server's devices, ascending; raise RankTableError where there are none."""
    found = sorted(int(re.search("[0-9]+$", name).group()) for name in glob.glob(DEVICE_FILES))
    if not found:
        raise RankTableError(f"no device here (no {DEVICE_FILES}): install its driver, or name them with --devices")
    return found


def _answers(*command):
    """Return ({name: value} of the lines "name : value" that a command of the driver prints, its last line)."""
    program = shutil.which(command[0], path=os.pathsep.join((os.environ.get("PATH", ""), DRIVER_TOOLS)))
    if not program:
        return {}, "command not found"
    try:
        done = subprocess.run([program, *command[1:]], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=60)
        text = done.stdout.decode(errors="replace")
    except (OSError, subprocess.TimeoutExpired) as error:
        text = str(error)
    return dict(re.findall(r"^\s*([\w ]*\w)\s*:\s*(\S+)\s*$", text, re.M)), text.strip().split("\n")[-1]


def read_addresses(devices, conf=None):
    """Return {device: address} from the driver's configuration file or, for what that lacks, from hccn_tool."""
    path = HCCN_CONF if conf is None else conf
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            text, lacks = file.read(), "has none"
    except OSError as error:
        if conf is not None:
            raise RankTableError(f"--hccn_conf {conf}: can't be read: {error.strerror}") from None
        text, lacks = "", error.strerror
    found = {int(device): ip for device, ip in re.findall(r"^\s*address_([0-9]+)\s*=\s*(\S+)", text, re.M)}
    for device in devices:
        if device not in found:
            answers, last = _answers("hccn_tool", "-i", str(device), "-ip", "-g")
            if "ipaddr" not in answers:
                raise RankTableError(
                    f"no address of device {device}: {path}: {lacks}; hccn_tool -i {device} -ip -g: {last}: run as "
                    "root, set it with hccn_tool, or take --no_device_ip where --help allows it"
                )
            found[device] = answers["ipaddr"]
    return found


def read_super_device_ids(devices):
    """Return {device: SDID}, the numbers of this server's devices in their SuperPod, as npu-smi prints them."""
    found = {}
    for device in devices:  # an NPU of Atlas A3 is two devices; a wrong SDID wouldn't get past HCCL, which compares it
        command = ("npu-smi", "info", "-t", "spod-info", "-i", str(device // 2), "-c", str(device % 2))
        answers, last = _answers(*command)
        if "SDID" not in answers:
            raise RankTableError(f"no SDID of device {device}: {' '.join(command)}: {last}: give --super_device_ids")
        found[device] = answers["SDID"]
    return found


def of_this_server(args):
    """Return the rank table that the arguments ask for."""
    devices = existing_devices() if args.devices is None else parse_devices(args.devices)
    ips = {} if args.no_device_ip else read_addresses(devices, args.hccn_conf)
    super_ids = None
    if args.super_device_ids is not None:
        given = args.super_device_ids.split(",")
        if len(given) != len(devices):
            raise RankTableError(f"--super_device_ids: {len(given)}, --devices: {len(devices)}: give one a device")
        super_ids = dict(zip(devices, given))
    elif args.super_pod_id is not None:
        super_ids = read_super_device_ids(devices)
    server_id = own_address() if args.server_id is None else args.server_id
    return make(devices, ips, server_id, super_ids, args.super_pod_id)


def parse_arguments():
    """Return the arguments; raise RankTableError where they can't be right."""

    def refuse(message):
        raise RankTableError(f"{message} (rank_table.py --help)")

    parser = argparse.ArgumentParser(
        description="Write an Ascend rank table to the standard output, or check one.",
        epilog="examples:\n" + __doc__.split("\n\n")[1],
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.error = refuse
    read = parser.add_argument_group("tables that are there")
    read.add_argument("--check", metavar="FILE", help="say what is wrong with a rank table (default: none)")
    join = "join tables, a server's each, in the order of ranks (default: none)"
    read.add_argument("--merge", nargs="+", metavar="FILE", help=join)
    write = parser.add_argument_group("table of this server")
    write.add_argument(
        "--devices", metavar="LIST", help="in the order of ranks: 0,1 or 0-7 or [0,8) (default: all that are here)"
    )
    write.add_argument("--server_id", metavar="ID", help="a name that no other server has (default: its IPv4 address)")
    write.add_argument("--hccn_conf", metavar="FILE", help=f"where the devices' addresses are (default: {HCCN_CONF})")
    alone = "leave addresses out: allowed on a single server of Atlas A2 or A3, and in a single SuperPod"
    write.add_argument("--no_device_ip", action="store_true", default=None, help=alone)
    pod = "write version 1.2: the SuperPod of Atlas A3 this is in (default: none)"
    write.add_argument("--super_pod_id", metavar="ID", help=pod)
    write.add_argument("--super_device_ids", metavar="IDS", help="version 1.2: the devices' SDIDs (default: npu-smi's)")
    args = parser.parse_args()

    given = [f"--{name}" for name, value in vars(args).items() if value is not None]
    if {"--check", "--merge"} & set(given) and len(given) > 1:
        refuse(f"{' '.join(given)}: --check and --merge stand alone")
    if args.hccn_conf is not None and args.no_device_ip:
        refuse(f"--hccn_conf {args.hccn_conf} --no_device_ip: with addresses or without")
    if args.super_device_ids is not None and args.super_pod_id is None:
        refuse(f"--super_device_ids {args.super_device_ids}: give --super_pod_id, too")
    return args


def check(path):
    """Print what is wrong with the rank table in a file, one line a problem, or its summary; return the exit status."""
    try:
        table = _parse(path)
        found = [f"{path}: {problem}" for problem in problems(table)]
    except RankTableError as error:
        found = [str(error)]
    if found:
        print("\n".join(found), file=sys.stderr)
        return RankTableError.status
    print(f"{path}: {summary(table)}")
    return 0


def main():
    try:
        args = parse_arguments()
        if args.check is not None:
            return check(args.check)
        print(dumps(merge([load(path) for path in args.merge]) if args.merge else of_this_server(args)))
    except RankTableError as error:
        print(f"rank_table.py: {error}", file=sys.stderr)
        return error.status
    return 0


if __name__ == "__main__":
    sys.exit(main())
