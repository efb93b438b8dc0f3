"""The environment of models/auto_parallel.py: Python 3.7 with MindSpore 2.0.0, in .venv-split, made on first use."""

import os
import platform
import subprocess
import sys

import device_double

sys.path.append(os.path.join(os.path.dirname(os.path.abspath(__file__)), os.pardir))
from ranks import UNAVAILABLE, Stop

SUITE = os.path.join(os.path.dirname(os.path.abspath(__file__)), os.pardir)
INSIDE = "SPLIT_ENVIRONMENT"  # set for the process that goes on there, so that it doesn't try again
# run.sh finds or fetches the Python 3.7, and makes an environment only once
MAKE = (
    'cd "$1" && . ./run.sh && python37=$(find_python37) && '
    'make_environment .venv-split requirements-export.txt "$python37"'
)


def enter_environment():
    """Return if this Python has MindSpore 2.0.0; otherwise start the script again in .venv-split, and don't return.

    Raises Stop (status 3) if that can't be made: PyPI has MindSpore 2.0.0's GPU plug-in for x86-64 only.
    """
    try:
        return device_double.find_plugin()
    except Stop:
        if INSIDE in os.environ or platform.machine() != "x86_64":
            raise
    done = subprocess.run(["bash", "-c", MAKE, "-", SUITE], stdout=sys.stderr, check=False)
    if done.returncode:
        advice = "or make one of Python 3.7 from requirements-export.txt and start with its python"
        raise Stop(
            UNAVAILABLE, f"making .venv-split for MindSpore 2.0.0 failed, for the reason above: fix that, {advice}"
        )
    python = os.path.join(SUITE, ".venv-split", "bin", "python")
    sys.stdout.flush()
    return os.execve(python, [python, *sys.argv], {**os.environ, INSIDE: "1"})
