"""The guard of one rank: its parent, which mpirun, srun or the launcher starts, and which outlives the rank.

    python3 guard.py SETTINGS COMMAND...

The rank writes its output to log files, so that a slow reader doesn't hold it up, and its step into a page of memory
(ranks.py). The guard passes both on to the launcher, ends the rank when a step takes longer than its limit, even one
that is stopped or hangs in C with the interpreter's lock, and reports how it ended. Nothing of the rank is left then.
"""

import contextlib
import fcntl
import glob
import json
import mmap
import os
import resource
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time

if __name__ == "__main__":
    sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from launch.processes import (
    STARTERS,
    adopt_orphans,
    die_with_parent,
    end_processes_below,
    identity,
    is_stopped,
    remove_job,
    shared_memory,
    signal_name,
)
from launch.stream import Sender
from ranks import FAILED, PLACE, REFUSED, STEP, TIMEOUT

GRACE = 5  # seconds from SIGTERM to SIGKILL
SHOWN = 10  # how many lines of a failed rank's log are shown
READ = 1 << 15  # bytes of a log that are passed on at once
# which limit a step has, by its first word (see step() in ranks.py); steps that a program names itself have none
LIMITS = {
    "start": "start",
    "read": "build",
    "build": "build",
    "predict": "predict",
    "check": "build",
    "idle": "",  # a Session's ranks wait as long as its program likes
    "exit": "predict",
}


class Guard:
    def __init__(self, settings, command):
        self.settings, self.command = settings, command
        self.rank, self.local_rank, self.size = identity()
        self.sender = Sender(self.rank, 2, os.write)
        self.step, self.since = settings["first_step"], time.monotonic()
        self.sent_step, self.sent_at, self.sent_took = None, 0.0, 0.0  # the step that the launcher knows
        self.folder = self.child = self.kill_at = self.expired = None
        self.is_asked_to_end = self.launcher_gone = False
        self.parent = os.getppid()

    def run(self):
        """Run the rank to its end; return its exit status."""
        os.set_blocking(2, False)
        die_with_parent(signal.SIGTERM)
        adopt_orphans()
        wake, woken = os.pipe()
        os.set_blocking(woken, False)
        signal.set_wakeup_fd(woken)
        signal.signal(signal.SIGCHLD, lambda *_: None)  # so that it wakes select() up
        for number in (signal.SIGUSR1, signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, self.end_rank)
        try:
            self.start_rank()
            self.watch_rank(wake)
            failed = self.how_it_ended()
        except OSError as error:
            failed = {
                "status": REFUSED,
                "how": f"can't start: {error.filename or ''}: {error.strerror}",
                "step": "start",
            }
        finally:
            end_processes_below()
            self.clean_up()
        if failed:
            self.send(**failed)
        else:
            self.send(ended=self.child.returncode == 0)  # False if it was only asked to end
        until = time.monotonic() + 2 * GRACE
        while self.sender.waiting and not self.launcher_gone and time.monotonic() < until:
            select.select([], [2], [], 0.2)
            self.send()
        while failed and not self.is_asked_to_end and time.monotonic() < until:
            time.sleep(0.05)  # if this process ended first, mpirun would end the others silently
        return failed["status"] if failed and not self.is_asked_to_end else 0

    def send(self, **message):
        try:
            if message:
                self.sender.send(**message)
            else:
                self.sender.flush()
        except OSError:
            self.sender.waiting.clear()
            self.launcher_gone = True
            self.end_rank()

    def end_rank(self, *_):
        """End the rank, because the launcher, or whatever started this process, asks for it."""
        self.is_asked_to_end = True
        if self.kill_at is None and self.child:
            self.kill_at = time.monotonic() + GRACE
            self.child.send_signal(signal.SIGTERM)
            self.child.send_signal(signal.SIGCONT)  # a stopped process gets SIGTERM only after this

    def start_rank(self):
        """Start the rank with a folder of its own, which is its TMPDIR, and its two log files."""
        job = self.settings["job"]
        self.folder = tempfile.mkdtemp(prefix=os.path.basename(job) + "-")
        log_dir = self.settings["log_dir"] or self.folder
        os.makedirs(log_dir, exist_ok=True)
        self.logs = []  # (the file that the rank writes to, the same file to be read here)
        for name in ("stdout", "stderr"):
            path = os.path.join(log_dir, f"rank_{self.rank}.{name}.log")
            with contextlib.suppress(FileNotFoundError):
                os.remove(path)
            self.logs.append((open(path, "ab"), open(path, "rb", 0)))  # noqa: SIM115  (for as long as the rank runs)
        with open(os.path.join(self.folder, "step"), "w+b") as file:
            file.truncate(STEP + PLACE)
            self.page = mmap.mmap(file.fileno(), STEP + PLACE)
        self.page[:STEP] = self.step.encode().ljust(STEP, b"\0")
        environment = dict(os.environ, TMPDIR=self.folder, LAUNCH_FOLDER=self.folder, PYTHONFAULTHANDLER="1")
        environment.update(zip(STARTERS[0], (str(self.rank), str(self.local_rank), str(self.size))))
        if private_folder(shared_memory(job)):
            environment["OMPI_MCA_btl_vader_backing_directory"] = shared_memory(job)
        self.child = subprocess.Popen(
            self.command,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=self.logs[0][0],
            stderr=self.logs[1][0],
            start_new_session=True,  # signals that mpirun sends to its processes are for the guard alone
            preexec_fn=die_with_parent,
        )

    def watch_rank(self, wake):
        """Pass on what the rank does and writes until it has ended and everything is passed on."""
        shown = [(1, self.logs[0][1])] + [(2, self.logs[1][1])] * self.settings["verbose"]
        os.set_blocking(wake, False)
        while True:
            ended = self.child.poll() is not None
            if ended:
                end_processes_below()  # a process that the rank left behind could go on writing for ever
            self.look_at_step(ended)
            full, read = self.sender.is_full(), False
            for on, log in () if full else shown:
                data = log.read(READ)
                if data:
                    read = True
                    self.send(on=on, text=data.decode(errors="surrogateescape"))
            self.send()
            if ended and not full and (not read or self.child.returncode):  # if it failed, the rest is in the log
                return
            if not read:
                select.select([wake], [2] if self.sender.waiting else [], [], 0.05)
                with contextlib.suppress(BlockingIOError):
                    os.read(wake, 4096)

    def look_at_step(self, ended):
        """Report a new step to the launcher, at most once a second, and end the rank if the step takes too long."""
        now, step = time.monotonic(), self.page[:STEP].rstrip(b"\0").decode(errors="replace")
        if step != self.step:
            if self.step == self.sent_step:
                self.sent_took = now - self.since
            self.step, self.since = step, now
        if step != self.sent_step and (now - self.sent_at > 1 or ended):
            self.send(step=step, before_took=self.sent_took)
            self.sent_step, self.sent_at = step, now
        option = LIMITS.get(step.split(" ")[0])
        limit = self.settings["limits"].get(option)
        if limit and now - self.since > limit and self.kill_at is None and not ended:
            how = "stopped by a signal" if is_stopped(self.child.pid) else "still"
            self.expired = f"{how} in {self.step_and_place()} after {limit:g} s (--{option}_timeout)"
            resource.prlimit(self.child.pid, resource.RLIMIT_CORE, (0, 0))
            self.child.send_signal(signal.SIGABRT)  # Python writes all threads' stacks into the log
            self.send(late=True)
            self.kill_at = now + 0.5
        if self.kill_at and now > self.kill_at and not ended:
            self.child.kill()

    def step_and_place(self):
        """Return the rank's step and, if it has said so, how far it is in it."""
        place = self.page[STEP:].rstrip(b"\0").decode(errors="replace")
        return f"{self.step} ({place})" if place else self.step

    def how_it_ended(self):
        """Return what to report to the launcher about the rank's failure; None if it didn't fail by itself."""
        code, reason, in_step = self.child.returncode, {}, f" in {self.step}" if self.step else ""
        with contextlib.suppress(OSError, ValueError), open(os.path.join(self.folder, "failure")) as file:
            reason = json.load(file)
        if self.expired:
            failed = {"how": self.expired, "status": TIMEOUT}
        elif self.is_asked_to_end and code in (-signal.SIGTERM, -signal.SIGKILL):
            return None
        elif reason and reason.pop("status") == code:
            failed = {"how": f"failed{in_step}", "status": code, "ago": time.time() - reason.pop("time"), **reason}
        elif code < 0:
            failed = {"how": f"died{in_step}: {signal_name(-code)}", "status": 128 - code}
        elif code or self.step not in ("", "exit"):  # "exit" is the last thing that run() in ranks.py says
            failed = {"how": f"ended{in_step} with status {code}", "status": code or FAILED}
        else:
            return None
        return {**failed, "step": self.step_and_place(), "log": last_lines(self.logs[1][1], reason.get("message"))}

    def clean_up(self):
        """Remove what the rank, and Open MPI on its behalf, had on this server."""
        for path in glob.glob(os.path.join(glob.escape(shared_memory(self.settings["job"])), f"*.{self.rank}")):
            os.remove(path)  # vader_segment.HOST.USER.JOB.RANK, left where the rank was killed
        with contextlib.suppress(OSError):  # unless other ranks still use it
            os.rmdir(shared_memory(self.settings["job"]))
        if self.folder:
            shutil.rmtree(self.folder, ignore_errors=True)
        if self.launcher_gone or os.getppid() != self.parent or is_orphaned(self.settings["job"]):
            remove_job(self.settings["job"])
        with contextlib.suppress(OSError):  # it is here on another server, where Open MPI's daemon made it
            os.rmdir(self.settings["job"])


def private_folder(path):
    """Make a folder for this user alone; return whether it exists and belongs to nobody else."""
    with contextlib.suppress(FileExistsError, OSError):
        os.mkdir(path, 0o700)
    try:
        found = os.lstat(path)
    except OSError:
        return False
    return found.st_uid == os.geteuid() and found.st_mode & 0o170777 == 0o040700


def is_orphaned(job):
    """Return whether this is the launcher's server and the launcher, which held a lock on this file, is gone."""
    try:
        with open(os.path.join(job, "launcher")) as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
    except OSError:
        return False


def last_lines(file, message):
    """Return the last lines of a log, after the engine's errors before them; without the message, which is known."""
    file.seek(max(0, file.seek(0, 2) - (1 << 16)))
    lines = [line for line in file.read().decode(errors="replace").splitlines() if line.strip() and line != message]
    errors = [line for line in lines[:-SHOWN] if "[ERROR]" in line]
    return [line[:300] for line in errors[-SHOWN:] + lines[-SHOWN:]]


if __name__ == "__main__":
    sys.exit(Guard(json.loads(sys.argv[1]), sys.argv[2:]).run())
