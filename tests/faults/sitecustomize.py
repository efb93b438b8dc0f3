"""Cause faults in a real rank: on the PYTHONPATH, this is imported by every Python that starts.

MS_FAULT=rank:step:action. The steps are start (before MPI is), read, build, before, inside and after (the first
predict's first collective), check, exit, atexit (Python's). The actions are raise, exit7, exit0, kill, segv,
rt (a real-time signal), stop, busy, hang (in C, with the interpreter's lock), closed (stdout), full (the disk with
stdout), orphan (kill, with a daemon left behind) and yes (exit7, with one left that writes to stdout). When the fault
happens, its time is written to the file MS_FAULT_FIRED. The variables' names are those of MindSpore's, which reach all
servers.
"""

import atexit
import ctypes
import importlib.abc
import importlib.util
import os
import signal
import subprocess
import sys
import threading
import time

MUTEX = ctypes.create_string_buffer(64)  # zeros: a free mutex; whoever locks it twice waits for ever
ACTIONS = {
    "exit7": lambda: sys.exit(7),
    "exit0": lambda: os._exit(0),
    "rt": lambda: os.kill(os.getpid(), 40),
    "kill": lambda: os.kill(os.getpid(), signal.SIGKILL),
    "segv": lambda: ctypes.string_at(0),
    "stop": lambda: os.kill(os.getpid(), signal.SIGSTOP),
    "hang": lambda: [ctypes.PyDLL(None).pthread_mutex_lock(MUTEX) for _ in range(2)],
    "closed": lambda: os.close(1),
    "full": lambda: os.dup2(os.open("/dev/full", os.O_WRONLY), 1),
}
STEPS = ("start", "read", "build", "before", "inside", "after", "check", "exit", "atexit")


def cause_fault(action):
    """Write down the time, and do it."""
    with open(os.environ["MS_FAULT_FIRED"], "w") as file:
        file.write(str(time.time()))
    if action == "raise":
        raise RuntimeError("a fault on demand")
    if action == "busy":
        while True:
            pass
    if action == "orphan":  # in its own session, like a daemon
        subprocess.Popen(["sleep", "1000"], start_new_session=True)
        action = "kill"
    if action == "yes":
        subprocess.Popen(["yes"], start_new_session=True)
        time.sleep(0.3)
        os._exit(7)
    ACTIONS[action]()


def patch_ranks(module, mine, step, action):
    step_before = module.step

    def step_with_fault(text):
        step_before(text)
        if mine and text.split(" ")[0] == step:
            cause_fault(action)

    module.step = step_with_fault
    if mine and step == "atexit":
        atexit.register(cause_fault, action)
    if mine and step == "start":
        cause_fault(action)


DONE = []  # collectives of this rank so far


def patch_exchange(module, mine, step, action):
    """Patch the classes that do collectives: those of a group, and a pipeline's Send and Receive."""
    for name in ("Exchange", "Send", "Receive"):
        if getattr(getattr(module, name, None), "__module__", "") == module.__name__:
            patch_collective(getattr(module, name), mine, step, action)


def patch_collective(kind, mine, step, action):
    exchange = kind.__call__

    def exchange_with_fault(self, tensors):
        first = not DONE
        DONE.append(True)
        if first and mine and step == "before":
            cause_fault(action)
        if first and mine and step == "inside":
            timer = threading.Timer(0.3, cause_fault, [action])
            timer.daemon = True
            timer.start()
        if first and not mine and step == "inside":
            time.sleep(1)  # the collective waits for this rank
        result = exchange(self, tensors)
        if first and mine and step == "after":
            cause_fault(action)
        return result

    kind.__call__ = exchange_with_fault


class Finder(importlib.abc.MetaPathFinder):
    """Patches a module as it is imported."""

    def __init__(self, patches, arguments):
        self.patches, self.arguments = patches, arguments

    def find_spec(self, name, path=None, target=None):
        if name not in self.patches:
            return None
        patch = self.patches.pop(name)
        spec = importlib.util.find_spec(name)
        execute = spec.loader.exec_module

        def exec_module(module):
            execute(module)
            patch(module, *self.arguments)

        spec.loader.exec_module = exec_module
        return spec


if "MS_FAULT" in os.environ and "LAUNCH_FOLDER" in os.environ:  # in a rank, not in its guard or in mpirun
    rank, step, action = os.environ["MS_FAULT"].split(":")
    if step not in STEPS or action not in ("raise", "busy", "orphan", "yes", *ACTIONS):
        raise SystemExit(f"MS_FAULT={os.environ['MS_FAULT']}: no such step or action")
    mine = os.environ["LAUNCH_RANK"] == rank
    patches = {"ranks": patch_ranks, "suite.exchange": patch_exchange, "suite.pipeline": patch_exchange}
    sys.meta_path.insert(0, Finder(patches, (mine, step, action)))
