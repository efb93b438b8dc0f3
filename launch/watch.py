"""Follow all ranks, decide what went wrong first, and end the job."""

import os
import re
import select
import signal
import time
from collections import defaultdict

from launch import around, python_path
from launch.guard import GRACE, LIMITS
from launch.processes import processes_below, signal_name
from launch.progress import Progress
from launch.stream import Receiver
from ranks import DIFFERENT, FAILED, REFUSED, TIMEOUT, UNAVAILABLE
from suite.batches import is_pattern

TOGETHER, LATE = 0.2, 1.0  # failures, or limits that ran out, count as simultaneous within so many seconds
STACKS = 3  # seconds for ranks that are late to write their stacks into the log and end
PROGRESS = 5  # seconds after which a step that still goes on is shown
TIMES = 10  # a rank may take this many times as long for a step as the slowest of the others, plus straggler_timeout


class Rank:
    """What is known about a rank."""

    def __init__(self):
        self.step, self.since = None, time.monotonic()  # None until the first message from it
        self.took = {}  # seconds, by step
        self.has_ended = self.is_heard_of = False
        self.is_lost = True  # until its guard says how it ended
        self.is_late = False  # its guard is ending it because its step took too long


class Watch:
    """Shows what the ranks of this job write until all have ended; ends them all at the first failure.

    `processes` are those that start ranks, `caught` receives the numbers of signals, `elsewhere` says which ranks are
    started on which other servers.
    """

    def __init__(self, args, processes, ranks, screen, caught, elsewhere=()):
        self.args, self.processes, self.screen, self.caught, self.elsewhere = args, processes, screen, caught, elsewhere
        self.started = time.monotonic()
        self.ranks = {rank: Rank() for rank in ranks}
        self.failures, self.words = [], []
        self.receivers = {process.stdout.fileno(): Receiver() for process in processes}
        for source in self.receivers:
            os.set_blocking(source, False)
        self.shown_at = self.heard_at = self.started
        self.status = None
        self.progress = Progress() if is_pattern(args.input) and not args.program else None

    def run(self):
        """Return the job's exit status."""
        give_up_at = None
        while True:
            # if whatever reads the output is slow, that is no rank's fault, and the limits don't run on
            crowded = self.screen.is_crowded() and self.status is None
            waited_from = time.monotonic()
            readable, _, _ = select.select([] if crowded else list(self.receivers), self.screen.waiting(), [], 0.1)
            for source in readable:
                self.read_messages(source)
            if self.is_orphaned() and not self.caught:
                self.caught.append(signal.SIGHUP)
            self.screen.show_unfinished()
            unread = self.screen.flush()
            if unread:
                self.add_failure(None, how=unread, status=FAILED)
            if crowded and not self.caught:
                for rank in self.ranks.values():
                    rank.since += time.monotonic() - waited_from
                continue
            over = all(process.poll() is not None for process in self.processes)
            # whatever still holds the pipes half a second later isn't one of them
            over = over and (not self.receivers or not readable and time.monotonic() - self.heard_at > 0.5)
            if self.status is None:
                self.set_status(over)
                if self.status is not None:
                    for process in self.processes:
                        process.send_signal(signal.SIGUSR1)  # mpirun and srun pass it on to the guards
                    give_up_at = time.monotonic() + (GRACE - 2 if self.caught else GRACE + 1)
                elif over:
                    return 0
            # mpirun takes another second to end, which needn't be waited for if all ranks were on this server
            if self.status is not None and not self.args.has_servers:
                over = over or set(processes_below()) <= {process.pid for process in self.processes}
            if over or give_up_at and time.monotonic() > give_up_at:
                return self.status

    def is_orphaned(self):
        """Return whether the program of the Session that this job is for, its parent, is gone.

        A signal from the kernel wouldn't tell: it comes as soon as the thread that started this process ends.
        """
        name = self.args.session  # begins with the program's process id
        return bool(name) and os.getppid() != int(name.split("-")[0])

    def set_status(self, over):
        """If the job has to end, set its status and show why."""
        if self.caught:
            self.status = 128 + self.caught[0]
            self.screen.show_message(f"interrupted ({signal_name(self.caught[0])})")
            return
        if not self.failures:
            self.look_for_lost_ranks(over)
        if self.failures:
            first = self.failures[0]
            late = {number for number, rank in self.ranks.items() if rank.is_late}
            late -= {failure["on"] for failure in self.failures}
            window = STACKS if late else LATE if first["status"] == TIMEOUT else TOGETHER
            if over or time.monotonic() > first["heard_at"] + window:
                self.status = self.report()
        elif time.monotonic() - self.shown_at > PROGRESS:
            self.show_progress()

    def read_messages(self, source):
        try:
            data = os.read(source, 1 << 16)
        except BlockingIOError:
            return
        self.heard_at = time.monotonic()
        messages, words = self.receivers[source].receive(data)
        self.words += [word.decode(errors="replace") for word in words if word.strip()]
        for rank, message in messages:
            self.handle_message(rank, message)
        if not data:
            del self.receivers[source]

    def handle_message(self, number, message):
        rank, now = self.ranks[number], time.monotonic()
        rank.is_heard_of = True
        if "text" in message:
            self.screen.show_output(number, message["on"], message["text"].encode(errors="surrogateescape"))
        elif "late" in message:
            rank.is_late = True
        elif "how" in message:
            self.add_failure(number, **message)
        elif "step" in message:
            if rank.step is not None:
                rank.took[rank.step] = message["before_took"]
            rank.step, rank.since = message["step"], now
            if self.progress and number == min(self.ranks):
                self.screen.show_progress(self.progress.text(rank.step))
        elif "ended" in message:
            rank.has_ended, rank.is_lost = message["ended"], False
            for on in (1, 2):
                self.screen.show_output(number, on, b"", last=True)

    def add_failure(self, number, how, status, ago=0.0, **more):
        now = time.monotonic()
        step = self.ranks[number].step if number is not None else None
        failure = {"on": number, "rank": number, "how": how, "status": status, "step": step or "start", **more}
        self.failures.append(dict(failure, heard_at=now, at=now - ago))

    # What no guard can report

    def look_for_lost_ranks(self, over):
        """Find ranks that never appeared, whose guard or server is gone, or that others have left far behind."""
        args, now = self.args, time.monotonic()
        if args.timeout and now - self.started > args.timeout:
            self.add_failure(
                self.furthest_behind(), f"the job took longer than {args.timeout:g} s (--timeout)", TIMEOUT
            )
        for number, rank in self.ranks.items():
            limit = getattr(args, f"{LIMITS.get((rank.step or 'start').split(' ')[0], '')}_timeout", None)
            if rank.has_ended:
                continue
            if not rank.is_heard_of and now - self.started > args.start_timeout + 1:
                self.add_failure(number, f"didn't appear within {args.start_timeout:g} s (--start_timeout)", TIMEOUT)
            elif rank.is_heard_of and limit and now - rank.since > limit + GRACE:
                self.add_failure(number, f"not heard from since {rank.step}, {limit + GRACE:g} s ago", TIMEOUT)
            else:
                self.look_for_straggler(number, rank, now)
        code = next((process.returncode for process in self.processes if process.returncode), 0)
        missing = [number for number, rank in self.ranks.items() if not rank.has_ended]
        if over and not self.failures and (code or missing):
            lost = min(missing or self.ranks, key=lambda number: not self.ranks[number].is_lost)
            how = signal_name(-code) if code < 0 else f"status {code}"
            where = f"in {self.ranks[lost].step}" if self.ranks[lost].is_heard_of else "before it started"
            others = f" (and {len(missing) - 1} more)" if missing[1:] else ""
            status = 128 - code if code < 0 else code or FAILED
            status = status if self.ranks[lost].is_heard_of else FAILED  # not mpirun's or ssh's own
            self.add_failure(lost, f"was lost {where}{others}: what started it ended with {how}", status)

    def look_for_straggler(self, number, rank, now):
        """Name a rank that is still in a step which others finished long ago."""
        step, waits = rank.step, now - rank.since
        if not step or is_idle(step) or waits <= self.args.straggler_timeout:
            return
        here = progress_of(step)
        others = [other for other in self.ranks.values() if other.has_ended or progress_of(other.step or "") > here]
        slowest = max((other.took.get(step, 1.0) for other in others), default=None)
        if slowest is not None and waits > TIMES * slowest + self.args.straggler_timeout:
            how = f"still in {step} after {waits:.0f} s, which {len(others)} others finished in {slowest:.1f} s or less"
            self.add_failure(number, f"{how} (--straggler_timeout)", TIMEOUT)

    def furthest_behind(self):
        living = [number for number, rank in self.ranks.items() if not rank.has_ended]
        return min(living or self.ranks, key=lambda number: progress_of(self.ranks[number].step or ""))

    # What is shown

    def report(self):
        """Show which rank failed first and how; return the exit status."""
        late = [failure for failure in self.failures if failure["status"] == TIMEOUT]
        first = min(self.failures, key=lambda failure: (failure["status"] == 128 + signal.SIGTERM, failure["at"]))
        rank, status, message = first["rank"], first["status"], first.get("message", "")
        if status == TIMEOUT:
            late += self.not_begun(late)
            late.sort(key=lambda failure: (progress_of(failure["step"]), "stopped" not in failure["how"]))
            first = late[0]  # the others wait for the one that is furthest behind
            for number in sorted(number for number, watched in self.ranks.items() if not watched.is_heard_of):
                self.screen.show_message(f"rank {number}: never appeared")
            for failure in late:
                if self.ranks[failure["on"]].is_heard_of:
                    self.screen.show_line(f"rank {failure['on']}: {failure['how']}")
            steps = {number: watched.step or "start" for number, watched in self.ranks.items() if watched.is_heard_of}
            steps.update((failure["on"], failure["step"]) for failure in late if self.ranks[failure["on"]].is_heard_of)
            last = ", ".join(f"rank {number}: {step}" for number, step in sorted(steps.items()))
            self.screen.show_message(f"last steps: {last}")
            self.name_others()
            rank = first["on"]
        elif message and status in (REFUSED, UNAVAILABLE, DIFFERENT):  # the step would add nothing
            # any rank may report it and name the rank that it is about
            self.screen.show_line(message if re.match(r"rank \d+: ", message) else f"rank {rank}: {message}")
            return status
        elif rank is None:
            self.screen.show_message(first["how"])
        else:
            self.screen.show_line(f"rank {rank} {first['how']}{': ' if message else ''}{message}")
        for line in first.get("log", ()):
            self.screen.show_line(f"  rank {rank} | {line}")
        foreign = python_path.blamed(first.get("log", ()))
        if foreign and first["step"] == "start":
            self.screen.show_message(foreign)
        silent = first["step"] == "start" and not message and not first.get("log")
        if silent or not any(watched.is_heard_of for watched in self.ranks.values()):  # mpirun may have said why
            for word in self.words:
                self.screen.show_line(f"  {word}")
            settings = around.mpi_settings()
            if settings:
                self.screen.show_message(f"Open MPI took from the environment: {settings}: does that fit here?")
        return status

    def not_begun(self, late):
        """Return failures for a Session's ranks that haven't begun the predict in which others are late."""
        begun = min(progress_of(failure["step"]) for failure in late)
        idle = {
            number: rank.step
            for number, rank in self.ranks.items()
            if rank.step and is_idle(rank.step) and not rank.has_ended and progress_of(rank.step) < begun
        }
        return [
            {"on": number, "rank": number, "how": f"still {step}: hasn't begun", "status": TIMEOUT, "step": step}
            for number, step in idle.items()
        ]

    def name_others(self):
        """Show which ranks have to be started on other servers: whether they are can't be seen from here."""
        for server, theirs in self.elsewhere:
            them = f"rank{'s'[: len(theirs) > 1]} {', '.join(map(str, theirs))} of server {server}"
            self.screen.show_line(f"  {them} must take part: has run.sh been started there?")

    def is_quiet(self, step):
        """Return whether a long step isn't shown: a Session's program knows that it is waiting."""
        return is_idle(step) or bool(self.args.session) and step.startswith("predict")

    def show_progress(self):
        """Show which long steps still go on, with the ranks that are in them, and who else has to take part."""
        now, ranks_in = time.monotonic(), defaultdict(list)
        for number, rank in sorted(self.ranks.items()):
            if rank.step and not rank.has_ended and not self.is_quiet(rank.step):
                ranks_in[rank.step].append(number)
        for step, numbers in ranks_in.items():
            seconds = now - min(self.ranks[number].since for number in numbers)
            if seconds <= PROGRESS:
                continue
            who = f"rank{'s'[: len(numbers) > 1]} {', '.join(map(str, numbers))}"
            self.screen.show_line(f"{who}: {step}... {seconds:.0f} s")
            self.shown_at = now
            self.name_others()
        missing = [number for number, rank in self.ranks.items() if not rank.is_heard_of]
        if missing and now - self.started > PROGRESS:
            self.screen.show_line(f"not heard from yet: rank{'s'[: len(missing) > 1]} {', '.join(map(str, missing))}")
            self.shown_at = now


def is_idle(step):
    """Return whether a rank in this step only waits for a program, which may take as long as it likes."""
    return LIMITS.get(step.split(" ")[0]) == ""


def progress_of(step):
    """Return a key to order steps: "predict 3 of 10 (stage 2)" comes after "predict 3 of 10 (collective 1)"."""
    word, numbers = step.split(" ")[0], [int(number) for number in re.findall(r"\d+", step)]
    if is_idle(step):  # "idle after 3" comes after all of "predict 3"
        word, numbers = "predict", [*numbers, float("inf")]
    return list(LIMITS).index(word) if word in LIMITS else -1, numbers
