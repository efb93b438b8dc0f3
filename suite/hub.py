"""How the Ascend ranks of one server talk to each other: through a socket in the job's folder. HCCL is the engine's."""

import os
import signal
import time
from multiprocessing import connection


class Ranks:
    """The methods of mpi4py's communicators that are used here, for the ranks `here` of `size`; by default for one."""

    def __init__(self, rank, size, here=(), folder=""):
        self.rank, self.size, self.here, self.folder, self.peers = rank, size, list(here) or [rank], folder, []

    def allgather(self, value):
        """Return every rank's value, in the order of `here`; if one is lost, wait for the launcher to end all ranks."""
        if len(self.here) == 1:
            return [value]
        try:
            self._connect()
            if self.rank != self.here[0]:
                self.peers[0].send((self.rank, value))
                return self.peers[0].recv()
            values = {self.rank: value, **dict(peer.recv() for peer in self.peers)}
            everyone = [values[rank] for rank in self.here]
            for peer in self.peers:
                peer.send(everyone)
            return everyone
        except (EOFError, ConnectionError):
            while True:  # the launcher says which rank is lost
                signal.pause()

    def bcast(self, value):
        return self.allgather(value)[0]

    def Barrier(self):
        self.allgather(None)

    def _connect(self):
        """Connect to the first of the ranks, which listens on a socket in the folder."""
        if self.peers:
            return
        path = f"/proc/self/fd/{os.open(self.folder, os.O_RDONLY)}/hub"  # a socket's path has 108 bytes at most
        if self.rank == self.here[0]:
            with connection.Listener(path, "AF_UNIX", len(self.here)) as listener:
                self.peers = [listener.accept() for _ in self.here[1:]]
        while not self.peers:
            try:
                self.peers = [connection.Client(path, "AF_UNIX")]
            except (FileNotFoundError, ConnectionRefusedError):
                time.sleep(0.02)  # the first rank isn't there yet


def join(rank, size):
    """Return the Ranks of this server that the launcher names in the environment; without it, this rank alone."""
    if "LAUNCH_HUB" not in os.environ:
        return Ranks(rank, size)
    here = [int(number) for number in os.environ["LAUNCH_HERE"].split(",")]
    return Ranks(rank, int(os.environ["LAUNCH_SIZE"]), here, os.environ["LAUNCH_HUB"])


def is_first(comm):
    """Return whether this rank prints, checks and writes files for all that it can talk to."""
    return comm.rank == getattr(comm, "here", [0])[0]
