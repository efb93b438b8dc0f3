"""Finding and ending everything that a job started. Linux."""

import contextlib
import ctypes
import glob
import os
import shutil
import signal
import time

LIBC = ctypes.CDLL(None)
# the variables in which whatever starts ranks names a process's rank, its number on its server, and how many ranks
# there are; Slurm comes after mpirun, which may run inside a Slurm allocation
STARTERS = (
    ("LAUNCH_RANK", "LAUNCH_LOCAL_RANK", "LAUNCH_SIZE"),  # the launcher itself, on Ascend
    ("OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_LOCAL_RANK", "OMPI_COMM_WORLD_SIZE"),  # Open MPI
    ("SLURM_PROCID", "SLURM_LOCALID", "SLURM_NTASKS"),  # srun
    ("PMI_RANK", "MPI_LOCALRANKID", "PMI_SIZE"),  # MPICH
)


def identity(environment=os.environ):
    """Return (rank, number on its server, number of ranks) of this process; None if it wasn't started as a rank."""
    for names in STARTERS:
        if names[0] in environment and names[2] in environment:
            return tuple(int(environment.get(name, 0)) for name in names)
    return None


def die_with_parent(number=signal.SIGKILL):
    """Have the kernel send this process a signal when its parent is gone, however it ended."""
    LIBC.prctl(1, number)  # PR_SET_PDEATHSIG


def adopt_orphans():
    """Become the parent of all processes below this one that lose theirs, so that they are found at the end."""
    LIBC.prctl(36, 1)  # PR_SET_CHILD_SUBREAPER


def processes_below():
    """Return the process ids of this process's children, grandchildren, ... that live."""
    children = {}
    for path in glob.glob("/proc/[0-9]*/stat"):
        try:
            with open(path, "rb") as file:
                pid, rest = file.read().split(b" (", 1)
        except OSError:
            continue  # it has just ended
        state, parent = rest.rpartition(b") ")[2].split()[:2]
        if state != b"Z":
            children.setdefault(int(parent), []).append(int(pid))
    found = [os.getpid()]
    for pid in found:
        found.extend(children.get(pid, ()))
    return found[1:]


def end_processes_below():
    """Kill every process below this one; return when none is left, at most 2 s later."""
    for _ in range(100):
        for pid in processes_below():
            with contextlib.suppress(OSError):  # it may have just ended
                os.kill(pid, signal.SIGKILL)
        try:
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        except ChildProcessError:
            return
        time.sleep(0.02)


def is_stopped(pid):
    """Return whether a process was stopped by a signal and waits for SIGCONT."""
    with open(f"/proc/{pid}/stat") as file:
        return file.read().rpartition(") ")[2].startswith("T")


def signal_name(number):
    """Return "SIGKILL" for 9, "signal 40" for one that has no name."""
    return signal.Signals(number).name if number in set(signal.Signals) else f"signal {number}"


def remove_job(job):
    """Remove what a job, or a part of it, left on this server when it was killed."""
    for path in (*glob.glob(f"{glob.escape(job)}*"), shared_memory(job)):
        shutil.rmtree(path, ignore_errors=True)


def shared_memory(job):
    """Return the folder of shared memory that the job's ranks use on a server."""
    return os.path.join("/dev/shm", os.path.basename(job))
