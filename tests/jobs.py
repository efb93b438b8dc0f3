"""A job of run.sh, with a fault in it if a test wants one; and a check that nothing is left of it.

A fault happens in a real rank (faults/sitecustomize.py). A job's processes are found by a variable in their
environments, and its temporary files by its own TMPDIR.
"""

import contextlib
import os
import re
import signal
import subprocess
import time
import uuid
from pathlib import Path

from conftest import ENVIRONMENT, ROOT

FAULTS = ROOT / "tests" / "faults"
# step: how the launcher names it
STEPS = {
    "start": "start",
    "read": "read",
    "build": "build",
    "before": "predict 1 of 3",
    "inside": "predict 1 of 3",
    "after": "predict 1 of 3",
    "check": "check",
    "exit": "exit",
}
# action: (status, a text in the launcher's line about the rank); 124: a time limit ends it
ACTIONS = {
    "raise": (1, "RuntimeError: a fault on demand"),
    "exit7": (7, "7"),
    "exit0": (1, "status 0"),
    "kill": (137, "SIGKILL"),
    "segv": (139, "SIGSEGV"),
    "rt": (168, "signal 40"),
    "orphan": (137, "SIGKILL"),
    "yes": (7, "7"),
    "stop": (124, "stopped"),
    "busy": (124, "_timeout"),
    "hang": (124, "_timeout"),
}


class Job:
    """One run.sh with its own TMPDIR and mark."""

    def __init__(self, folder, *words, cwd=ROOT, **environment):
        self.mark, self.folder, self.fired = f"MS_TEST={uuid.uuid4().hex}", folder, folder / "fired"
        self.temporary = folder / "tmp"
        self.temporary.mkdir(exist_ok=True)
        self.folders = [self.temporary]
        self.shared = shared_memory()
        name, value = self.mark.split("=")
        self.environment = {**ENVIRONMENT, name: value, "TMPDIR": str(self.temporary), **environment}
        self.words = [str(ROOT / "run.sh"), "--backend=cpu", f"--log_dir={folder / 'logs'}", *map(str, words)]
        self.process = subprocess.Popen(
            self.words,
            cwd=str(cwd),
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            universal_newlines=True,
        )

    def end(self, timeout=150):
        """Wait for the end; make sure that nothing is left; return the CompletedProcess."""
        stdout, stderr = self.process.communicate(timeout=timeout)
        self.ended_at = time.time()
        self.assert_nothing_left()
        return subprocess.CompletedProcess(self.words, self.process.returncode, stdout, stderr)

    def assert_nothing_left(self):
        assert not living_pids(self.mark)
        assert not [path for folder in self.folders for path in folder.iterdir()]
        for _ in range(10):  # another job's may be between its first file and its first process
            left = shared_memory() - self.shared
            if not left:
                break
            time.sleep(0.2)
        assert not left

    def kill(self):
        for pid in living_pids(self.mark):
            with contextlib.suppress(OSError):
                os.kill(pid, signal.SIGKILL)

    def wait_for(self, step, ranks=2):
        """Wait until so many ranks are in a step: they write it to a page of memory that their guards read."""
        deadline = time.time() + 60
        while True:
            pages = [file.read_bytes() for folder in self.folders for file in folder.glob("launch-*-*/step")]
            if len([page for page in pages if page.startswith(step.encode())]) >= ranks:
                return
            assert time.time() < deadline and self.process.poll() is None, self.process.communicate()
            time.sleep(0.05)


def cmdline(pid):
    try:
        return b" ".join(Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")[1:2])
    except OSError:
        return b""


def living_pids(mark):
    """Return the process ids of those that have the mark in their environment and aren't zombies."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if mark.encode() in (process / "environ").read_bytes():
                found.append(int(process.name))
    return found


def shared_memory():
    """Return the files in shared memory that belong to no process (other jobs may run at the same time)."""
    there = {str(file) for file in Path("/dev/shm").iterdir() if file.name.startswith(("launch", "vader"))}
    for process in Path("/proc").glob("[0-9]*") if there else ():
        with contextlib.suppress(OSError):
            text = (process / "maps").read_bytes() + (process / "cmdline").read_bytes()
            there = {path for path in there if os.fsencode(os.path.basename(path)) not in text}
    return there


def run_with_fault(folder, size, rank, step, action, models, *words, limit=2):
    """Run with a fault; return (CompletedProcess, seconds from the fault to the end)."""
    limits = [f"--{name}_timeout={limit}" for name in ("start", "build", "predict") if ACTIONS[action][0] == 124]
    if ACTIONS[action][0] == 124:
        limits[0] = "--start_timeout=4" if step == "start" else "--start_timeout=30"  # it includes the imports
    job = Job(
        folder,
        *(f"--model_path={models[size]}", "--repeat=3", *limits, *words),
        MS_FAULT=f"{rank}:{step}:{action}",
        MS_FAULT_FIRED=str(folder / "fired"),
        PYTHONPATH=str(FAULTS),
    )
    try:
        done = job.end()
    finally:
        job.kill()
    return done, job.ended_at - float((folder / "fired").read_text())


def lines_of_ranks(text):
    """Return [(rank, line)] of the launcher's lines that say how a rank failed."""
    found = [(re.match(r"rank (\d+):? (?!.*\.\.\. \d+ s$)", line), line) for line in text.splitlines()]
    return [(int(match.group(1)), line) for match, line in found if match]
