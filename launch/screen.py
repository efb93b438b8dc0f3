"""Show lines on stdout and stderr without ever waiting for the reader."""

import os
import select
import time

CROWDED = 256 << 10  # once this many bytes wait to be shown, the ranks' output is no longer read
PROGRESS, ERASED = "progress", b"\r\x1b[K"  # a line that the next one replaces, and what erases it on a terminal
LINE = 8192  # at most this many bytes of a rank's line are shown in one piece
MOMENT = 0.1  # seconds after which an unfinished line of rank 0 is shown


class Screen:
    """Shows lines, with a tag if a rank wrote them, and at once what rank 0 writes without a newline."""

    def __init__(self, is_tagged=lambda rank, on: True):
        self.is_tagged = is_tagged  # whether what a rank writes on stdout (1) or stderr (2) carries "rank N: "
        self.pending = {1: bytearray(), 2: bytearray()}
        self.unfinished = {}  # (rank, 1 or 2): (since when, the beginning of its line)
        self.cursor = None  # (rank, 1 or 2) while its unfinished line is the last thing shown

    def show_line(self, text, on=2):
        """Show a line from the launcher itself."""
        self._add(None, on, os.fsencode(text) + b"\n")

    def show_message(self, text):
        self.show_line(f"run.sh: {text}")

    def show_output(self, rank, on, data, last=False):
        """Show what a rank has written; `last`: that was all."""
        since, before = self.unfinished.pop((rank, on), (time.monotonic(), b""))
        *lines, rest = (before + data).split(b"\n")
        for line in lines:
            self._add(rank, on, line + b"\n")
        if rest and (last or len(rest) > LINE):
            self._add(rank, on, rest + b"\n")
        elif rest:
            self.unfinished[rank, on] = time.monotonic() if lines else since, rest
        if last and self.cursor == (rank, on):
            self._add(rank, on, b"\n")

    def show_progress(self, text):
        """Show the text in place of the one before, on stderr, if that is a terminal and no line is unfinished."""
        is_shown = self.cursor == (PROGRESS, 2)
        if 2 in self.pending and os.isatty(2) and (is_shown or text and not self.cursor):
            self.pending[2] += ERASED * is_shown + text.encode()
            self.cursor = (PROGRESS, 2) if text else None

    def show_unfinished(self):
        """Show the beginning of a line that rank 0 hasn't finished for a moment."""
        now = time.monotonic()
        for (rank, on), (since, rest) in list(self.unfinished.items()):
            if self.waiting():  # the reader is slow: the line may be finished meanwhile
                self.unfinished[rank, on] = now, rest
            elif rank == 0 and now - since > MOMENT:
                del self.unfinished[rank, on]
                self._add(rank, on, rest)

    def _add(self, rank, on, data):
        """Show a line, or the beginning or next part of one; rank None stands for the launcher."""
        before = self.cursor
        if before != (rank, on):
            tag = f"rank {rank}: ".encode() if rank is not None and self.is_tagged(rank, on) else b""
            interrupts = before and (before[1] == on or os.isatty(1) and os.isatty(2))
            if not interrupts and before and before[0] == PROGRESS:  # it stays: this goes to the other file
                self.pending.get(on, bytearray()).extend(tag + data)
                return
            end = ERASED if before and before[0] == PROGRESS else b"\n"
            data = end * bool(interrupts) + tag + data
        self.cursor = None if data.endswith(b"\n") else (rank, on)
        if on in self.pending:
            self.pending[on] += data

    def is_crowded(self):
        return sum(map(len, self.pending.values())) > CROWDED

    def waiting(self):
        """Return the file descriptors for which something is waiting to be written."""
        return [on for on, data in self.pending.items() if data]

    def flush(self, seconds=0):
        """Show as much as the reader takes now; return the reason if nothing can be shown any more."""
        waiting = self.waiting()
        for on in select.select([], waiting, [], seconds)[1] if waiting else ():
            try:
                del self.pending[on][: os.write(on, self.pending[on][: select.PIPE_BUF])]
            except OSError as error:
                del self.pending[on]
                return f"{('', 'stdout', 'stderr')[on]}: {error.strerror}: nobody is reading the results"
        return None

    def flush_all(self, is_interrupted=lambda: False):
        """Show everything, however slowly it is read; once interrupted, what is taken at once. Return why it failed."""
        reason = None
        while self.waiting():
            before = sum(map(len, self.pending.values()))
            reason = self.flush(0 if is_interrupted() else 0.2) or reason
            if is_interrupted() and before == sum(map(len, self.pending.values())):
                break
        return reason
