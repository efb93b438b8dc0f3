"""Before ranks start on several servers: each server must answer, and have what the ranks need under the same paths."""

import glob
import os
import re
import subprocess
import sys
import time

from launch.command import mpirun, start_process
from launch.processes import signal_name
from ranks import FAILED, REFUSED, TIMEOUT, Stop

SCRIPT = 'for path; do [ -e "$path" ] || echo "missing $(uname -n) $path"; done; echo "here $(uname -n)"'


def check(args, environment, job, caught):
    """Raise Stop unless every server has what the ranks need. `caught` holds the signals that have arrived."""
    paths = [os.getcwd(), sys.executable, args.command[0], *filter(None, [args.config_file])]
    stem = re.sub(r"(_graph)?\.mindir$", "", args.model_path)
    paths += glob.glob(f"{glob.escape(stem)}[0-9]*.mindir")
    command = [*mpirun(args, environment, job, None), "sh", "-c", SCRIPT, "sh", *map(os.path.abspath, paths)]
    process = start_process(command, environment)
    servers, deadline = args.servers_of, time.monotonic() + args.start_timeout
    while True:
        try:
            printed = process.communicate(timeout=0.2)[0].decode(errors="replace").splitlines()
            break
        except subprocess.TimeoutExpired:
            if caught:
                raise Stop(128 + caught[0], f"interrupted ({signal_name(caught[0])})") from None
            if time.monotonic() > deadline:
                process.terminate()
                printed = process.communicate()[0].decode(errors="replace").splitlines()
                answered = ", ".join(line[len("here ") :] for line in printed if line.startswith("here ")) or "none"
                message = f"not all servers of {servers} answered within {args.start_timeout:g} s (--start_timeout)"
                raise Stop(TIMEOUT, f"{message}, only these did: {answered}") from None
    for line in printed:
        if line.startswith("missing "):
            raise Stop(
                REFUSED, "{1}: {2}: no such file: copy it there, under the same path".format(*line.split(" ", 2))
            )
    if process.returncode or not any(line.startswith("here ") for line in printed):
        first = next((number for number, line in enumerate(printed) if number and line.startswith("----")), None)
        reason = " ".join(word for line in printed[:first] for word in line.split())  # then comes general advice
        advice = "ssh to each must work without a password, and Python must be under the same path"
        raise Stop(FAILED, f"the servers of {servers} can't all be reached: {advice}: {reason[:1000]}")
