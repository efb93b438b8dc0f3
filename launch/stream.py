"""Messages from guards to the launcher, through mpirun's stderr, where those of several ranks come together.

A guard's messages are one JSON object per line. They are cut into packets of one length, `@RANK BASE64`, filled up with
spaces: mpirun's daemons pass on what they read, 4096 bytes at most (ORTE_IOF_BASE_MSG_MAX of Open MPI 4), and
Slurm's 1024, so a packet of 1024 bytes is never cut and never mixed with another. What isn't a packet was written by
mpirun, or by a guard that couldn't start.
"""

import base64
import json

PACKET, DATA = 1024, 720  # bytes of a packet, and of a message in it
FULL = 64 << 10  # bytes that may wait for a launcher that doesn't read


class Sender:
    """Sends a rank's messages to the file descriptor `to`, without ever waiting for the reader."""

    def __init__(self, rank, to, write):
        self.rank, self.to, self.write, self.waiting = rank, to, write, bytearray()

    def send(self, **message):
        line = json.dumps(message).encode() + b"\n"
        for begin in range(0, len(line), DATA):
            packet = b"@%d %s" % (self.rank, base64.b64encode(line[begin : begin + DATA]))
            self.waiting += packet.ljust(PACKET - 1) + b"\n"
        self.flush()

    def flush(self):
        """Write as much as is possible now; raise OSError if nobody reads it any more."""
        while self.waiting:
            try:
                del self.waiting[: self.write(self.to, self.waiting[:PACKET])]
            except BlockingIOError:
                return

    def is_full(self):
        return len(self.waiting) > FULL


class Receiver:
    """Puts the messages of all ranks back together."""

    def __init__(self):
        self.rest, self.lines = b"", {}

    def receive(self, data):
        """Return ([(rank, message)], [other lines]) that are complete with this data; b"" marks the end."""
        *lines, self.rest = (self.rest + data).split(b"\n")
        if not data and self.rest:
            lines, self.rest = [self.rest], b""
        messages, others = [], []
        for line in lines:
            rank, _, text = line[1:].partition(b" ")
            if len(line) != PACKET - 1 or not line.startswith(b"@") or not rank.isdigit():
                others.append(line)
                continue
            *complete, rest = (self.lines.get(int(rank), b"") + base64.b64decode(text.rstrip())).split(b"\n")
            self.lines[int(rank)] = rest
            messages += [(int(rank), json.loads(message)) for message in complete]
        return messages, others
