"""Read a rank table from its file, and the ranks in it: which device of which server is which rank."""

import json
import re
from typing import NamedTuple

from ascend import Refused
from ascend.check import pods_of, problems
from ascend.text import read


class Rank(NamedTuple):
    """One rank of a table: device_id is the number on its server, device_ip is "" if the table has none."""

    rank_id: int
    server_id: str
    device_id: int
    device_ip: str


def parse(path):
    """Return the content of a JSON file; a key that an object has twice is noted in it under the key None."""

    def noted(pairs):
        keys = [key for key, _ in pairs]
        twice = sorted({key for key in keys if keys.count(key) > 1})
        return {**dict(pairs), **({None: twice} if twice else {})}

    def refused(text):
        raise ValueError(f"{text} isn't JSON")

    text = read(path)
    if not text.strip():
        raise Refused(f"{path}: is empty: whatever should have written it failed: write it again")
    try:
        return json.loads(text, object_pairs_hook=noted, parse_constant=refused)
    except (ValueError, RecursionError) as error:  # which says line and column
        raise Refused(f"{path}: isn't JSON: {error}: correct it there; JSON has no comments") from None


def checked(table, name, more=""):
    """Return the table if it's right; raise Refused with the first problem and how many there are."""
    found = problems(table)
    if found:
        rest = f" (and {len(found) - 1} more{more})" if len(found) > 1 else ""
        raise Refused(f"{name}: {found[0]}{rest}")
    return table


def load(path):
    """Return the rank table in a file, a dict; raise Refused if it can't be read or isn't right."""
    return checked(parse(path), path, f": python3 ascend/rank_table.py --check {path}")


def ranks(table):
    """Return a list of Rank, one per device of the table, in the order of the ranks."""
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
    pods = pods_of(table)
    on = counted(devices, "server") + (f" in {counted(pods, 'SuperPod')}" if pods else "")
    servers = [f"{name} ({'devices' if len(ids) > 1 else 'device'} {', '.join(ids)})" for name, ids in devices.items()]
    return f"version {table['version']}, {counted(ranks(table), 'rank')} on {on}: {', '.join(servers)}"


def dumps(table):
    """Return the table as JSON with one line per device."""
    text = json.dumps(table, indent=2)  # a line break is never part of a string here
    return re.sub(r"\{\n\s*([^][{}]*)\n\s*\}", lambda match: "{" + re.sub(r"\n\s*", " ", match.group(1)) + "}", text)
