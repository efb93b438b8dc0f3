"""Write and check an Ascend rank table: the file that tells HCCL which device of which server is which rank.

    python3 ascend/rank_table.py --devices 0,1 > rank_table.json         # of this server
    python3 ascend/rank_table.py --merge a.json b.json > rank_table.json # of several servers, in rank order
    python3 ascend/rank_table.py --from jobstart_hccl.json > rank_table.json # from ModelArts or a pod
    python3 ascend/rank_table.py --check rank_table.json                 # one line for each problem, status 2 with any

It works from any folder. `--help` has the rest.
"""

import os
import sys

if __name__ == "__main__":  # started by its path, Python would look for modules in this folder instead of the suite's
    sys.path[0] = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))

import argparse
import re

import ranks
from ascend import Refused, devices, driver, server, table
from ascend.check import notes, problems
from ascend.make import convert, make, merge


def parse_devices(text):
    """Return the devices, a list of int, in "0,1", "0-3,6" or, in the form of hccl_tools.py, "[0,2)"."""
    half_open = re.fullmatch(r"\[([0-9]{1,3}), *([0-9]{1,3})\)", text)
    if half_open:
        found = list(range(int(half_open.group(1)), int(half_open.group(2))))
    else:
        parts = [re.fullmatch("([0-9]{1,3})(?:-([0-9]{1,3}))?", part.strip()) for part in text.split(",")]
        ends = [(int(part.group(1)), int(part.group(2) or part.group(1))) for part in parts if part]
        found = [device for first, last in ends for device in range(first, last + 1)] if all(parts) else []
    if not found or len(set(found)) < len(found):
        raise Refused(f"--devices {text}: isn't a list of devices, each once: write it as 0,1 or 0-7 or [0,8)")
    return found


def of_this_server(args):
    """Return the rank table that the arguments ask for."""
    numbers = devices.mounted() if args.devices is None else parse_devices(args.devices)
    if not numbers:
        raise Refused(f"no device here (no {devices.DEV}/davinci0): install its driver, or name them with --devices")
    ips = {} if args.no_device_ip else driver.read_addresses(numbers, args.hccn_conf)
    super_ids = None
    if args.super_device_ids is not None:
        given = args.super_device_ids.split(",")
        if len(given) != len(numbers):
            raise Refused(f"--super_device_ids names {len(given)}, --devices {len(numbers)}: give one per device")
        super_ids = dict(zip(numbers, given))
    elif args.super_pod_id is not None:
        super_ids = driver.read_super_device_ids(numbers)
    server_id = server.own_address() if args.server_id is None else args.server_id
    return make(numbers, ips, server_id, super_ids, args.super_pod_id)


def parse_arguments():
    """Return the arguments; raise Refused if they are wrong."""

    def refuse(message):
        raise Refused(f"{message} (rank_table.py --help)")

    parser = argparse.ArgumentParser(
        description="Write an Ascend rank table to the standard output, or check one.",
        epilog="examples:\n" + (__doc__ or "\n\n").split("\n\n")[1],
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.error = refuse
    read = parser.add_argument_group("tables that are there")
    read.add_argument("--check", metavar="FILE", help="say what is wrong with a rank table (default: none)")
    join = "join the tables of several servers, in the order of the ranks (default: none)"
    read.add_argument("--merge", nargs="+", metavar="FILE", help=join)
    other = "convert a table with group_list, the form that ModelArts and pods use (default: none)"
    read.add_argument("--from", metavar="FILE", dest="other", help=other)
    write = parser.add_argument_group("table of this server")
    write.add_argument(
        "--devices", metavar="LIST", help="in the order of ranks: 0,1 or 0-7 or [0,8) (default: all that are here)"
    )
    write.add_argument("--server_id", metavar="ID", help="a name that no other server has (default: its IPv4 address)")
    conf = f"where the devices' addresses are (default: {driver.HCCN_CONF})"
    write.add_argument("--hccn_conf", metavar="FILE", help=conf)
    alone = "leave addresses out: allowed on a single server of Atlas A2 or A3, and in a single SuperPod"
    write.add_argument("--no_device_ip", action="store_true", default=None, help=alone)
    pod = "write version 1.2: the Atlas A3 SuperPod that this server is in (default: none)"
    write.add_argument("--super_pod_id", metavar="ID", help=pod)
    write.add_argument("--super_device_ids", metavar="IDS", help="version 1.2: the devices' SDIDs (default: npu-smi's)")
    args = parser.parse_args()

    given = ["--from" if name == "other" else f"--{name}" for name, value in vars(args).items() if value is not None]
    if {"--check", "--merge", "--from"} & set(given) and len(given) > 1:
        refuse(f"{' '.join(given)}: --check, --merge and --from stand alone")
    if args.hccn_conf is not None and args.no_device_ip:
        refuse(f"--hccn_conf {args.hccn_conf} --no_device_ip: give only one of them")
    if args.super_device_ids is not None and args.super_pod_id is None:
        refuse(f"--super_device_ids {args.super_device_ids}: give --super_pod_id, too")
    return args


def check(path):
    """Print what is wrong with a table, one line for each problem, or its summary, with what may be wrong on stderr."""
    try:
        content = table.parse(path)
        found = [f"{path}: {problem}" for problem in problems(content)]
    except Refused as error:
        found = [str(error)]
    if found:
        print("\n".join(found), file=sys.stderr)
        return ranks.REFUSED
    print("".join(f"{path}: {note}\n" for note in notes(content)), end="", file=sys.stderr)
    print(f"{path}: {table.summary(content)}")
    return ranks.OK


def main():
    try:
        args = parse_arguments()
        if args.check is not None:
            return check(args.check)
        if args.other is not None:
            made = convert(table.parse(args.other), args.other)
        elif args.merge:
            made = merge([convert(table.parse(path), path) for path in args.merge])
        else:
            made = of_this_server(args)
        print("".join(f"rank_table.py: {note}\n" for note in notes(made)), end="", file=sys.stderr)
        print(table.dumps(made))
    except Refused as error:
        print(f"rank_table.py: {error}", file=sys.stderr)
        return error.status
    return ranks.OK


if __name__ == "__main__":
    sys.exit(main())
