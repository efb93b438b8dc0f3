"""A list of servers in the form that people have, turned into Open MPI's: `address slots=2`, one per line."""

import os
import re

from ascend import text
from ranks import REFUSED, Stop

ADVICE = "write `address slots=2`, one server per line"
NAME = r"[\w.@^+%-]+"
OPEN_MPI = re.compile(rf"({NAME}|[0-9a-fA-F:]+)(\s+\w+\s*=\s*\S+)*")  # an address may be IPv6
MPICH = re.compile(rf"({NAME}):([0-9]+)(\s+\w+=\S+)*")
SLURM = re.compile(rf"({NAME})?(?:\[([0-9]+(?:-[0-9]+)?(?:,[0-9]+(?:-[0-9]+)?)*)\]({NAME})?)?")
MOST = 1 << 16  # servers


def read(path, source):
    """Return Open MPI's lines for a file of servers, [] where mpirun can read the file as it is.

    MPICH writes `address:2`, Slurm `node[1-4,7]`; Open MPI takes neither a byte order mark nor CR at a line's end.
    Raises Stop (status 2), with the line's number, for what is none of these; `source` is the option or variable that
    names the file.
    """
    if not os.path.isfile(path):
        raise Stop(REFUSED, f"{source}: no such file: {ADVICE}")
    lines, made = text.read(path).splitlines(), []
    with open(path, "rb") as file:
        data = file.read()
    differs = b"\r" in data or data.startswith(b"\xef\xbb\xbf")
    for number, line in enumerate(lines, 1):
        line = line.split("#")[0].strip()
        servers = _servers(line)
        if line and not servers or len(made) + len(servers) > MOST:
            raise Stop(REFUSED, f"{path}:{number}: {line[:60]!r} isn't a server: {ADVICE}")
        differs = differs or servers != [line] and line
        made += servers
    if not made:
        raise Stop(REFUSED, f"{path}: names no server: {ADVICE}")
    return made if differs else []


def _servers(line):
    """Return Open MPI's lines for one line in any of these forms, [] if it is in none of them."""
    mpich = MPICH.fullmatch(line)
    if mpich:
        return [f"{mpich.group(1)} slots={mpich.group(2)}"]
    return [line] if OPEN_MPI.fullmatch(line) else _expanded(line)


def _expanded(line):
    """Return the servers of Slurm's "node[01-02,7],login": node01, node02, node7, login; [] if it isn't such a list."""
    found = []
    for name in re.findall(r"(?:[^,\[\]]|\[[^\[\]]*\])+", line):
        match = SLURM.fullmatch(name)
        if not match:
            return []
        before, numbers, after = match.groups(default="")
        for part in numbers.split(","):
            first, _, last = part.partition("-")
            if len(part) > 20 or int(last or first or 0) - int(first or 0) > MOST:
                return []
            span = range(int(first), int(last or first) + 1) if part else [""]
            found += [f"{before}{str(number).zfill(len(first))}{after}" for number in span]
    return found
