"""run.sh, started for a Session: wait for its ranks, show what it writes, end it."""

import collections
import os
import secrets
import signal
import socket
import subprocess
import sys
import threading
import time

import ranks
from suite import link

RUN = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "run.sh")
NOT_HERE = {"help", "input", "output", "stop_at_first", "warmup", "repeat", "json", "untagged", "session"}
PATIENCE = 5  # seconds after which the output of run.sh is shown if the start takes longer
LINES = 200  # how many of run.sh's last lines are kept
GENTLY, AT_ONCE = 20, 15  # seconds for run.sh to end, after its ranks were told to go and after it was told to end them


class RankError(RuntimeError):
    """A rank failed, took too long or couldn't be started: what run.sh wrote about it, and run.sh's exit `status`."""

    def __init__(self, message, status):
        super().__init__(message, status)
        self.status = status

    def __str__(self):
        return self.args[0]


class Job:
    """run.sh with the `options`, {name: value}, as a child of this process; it ends with this process."""

    def __init__(self, options):
        wrong = sorted(NOT_HERE & set(options))
        if wrong:
            raise TypeError(f"Session: {', '.join(wrong)}: not an option for a Session")
        # ranks find the Session by this name, and run.sh knows by it whose child it has to be
        name = f"{os.getpid()}-{secrets.token_hex(16)}"
        self.listener = link.listen(name)
        self.lines, self.is_shown = collections.deque(maxlen=LINES), bool(options.get("verbose"))
        self.process = subprocess.Popen(
            [RUN, *as_words(options), f"--session={name}"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # Ctrl-C is for the program, which may go on
        )
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def wait_until_ready(self):
        """Return (what the ranks say about the model, sockets to this server's ranks in order, the replier's socket).

        Raises RankError if run.sh ends before that.
        """
        connections = []
        try:
            return self._wait_until_ready(connections)
        except BaseException:
            for connection in connections:
                connection.close()
            raise

    def _wait_until_ready(self, connections):
        started, replier, hello, count, order = time.monotonic(), None, None, 1, {}
        was_shown = self.is_shown
        self.listener.settimeout(0.2)
        while len(connections) < count:
            if self.process.poll() is not None:
                raise self.error()
            if time.monotonic() - started > PATIENCE:
                self._show()
            try:
                connection, _ = self.listener.accept()
            except socket.timeout:
                continue
            connection.setblocking(True)
            message = link.Inbox(connection).receive()[0] if link.is_mine(connection) else None
            if message is None:
                connection.close()
                continue
            connections.append(connection)
            order[connection], count = message.more["rank"], message.more["here"]
            if message.more["replies"]:
                replier, hello = connection, message.more
        self.listener.close()
        self.is_shown = was_shown
        self.lines.clear()
        return hello, sorted(connections, key=order.get), replier

    def error(self):
        """Wait for the end of run.sh, whose ranks have ended; return the RankError."""
        self.end(is_gentle=True)
        code = self.process.returncode
        status = (128 - code if code < 0 else code) or ranks.FAILED
        message = "\n".join(self.lines) or f"run.sh ended with {f'signal {-code}' if code < 0 else f'status {code}'}"
        return RankError(message, status)

    def end(self, is_gentle=False):
        """Wait until run.sh has ended: by itself if `is_gentle`, as its ranks have been told to; else it is ended."""
        self.listener.close()
        for number, seconds in ((0, GENTLY), (signal.SIGTERM, AT_ONCE), (signal.SIGKILL, AT_ONCE)):
            if number:
                self._signal(number)
            elif not is_gentle:
                continue
            try:
                self.process.wait(seconds)
                break
            except subprocess.TimeoutExpired:
                continue
        self.reader.join(AT_ONCE)

    def _signal(self, number):
        if self.process.poll() is None:
            os.killpg(self.process.pid, number)  # run.sh, and pip if it is installing what the ranks need

    def _read(self):
        with self.process.stdout as file:
            for data in file:
                line = data.decode(errors="replace").rstrip("\n")
                self.lines.append(line)
                if self.is_shown:
                    print(line, file=sys.stderr, flush=True)

    def _show(self):
        """Show what run.sh has written, and from now on what it writes: it is installing, or the build takes long."""
        if not self.is_shown:
            self.is_shown = True
            for line in list(self.lines):
                print(line, file=sys.stderr, flush=True)


def as_words(options):
    """Return a command line's words for {name: value}; True: an option without a value; None, False: no option."""
    words = []
    for name, value in options.items():
        if value is True:
            words.append(f"--{name}")
        elif value is not None and value is not False:
            words.append(f"--{name}={os.fspath(value) if hasattr(value, '__fspath__') else value}")
    return words
