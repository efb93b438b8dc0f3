"""The double's ranks: they meet as HCCL's ranks do, and do the collectives of all groups with each other."""

import contextlib
import os
import socket
import time
import zlib
from multiprocessing.connection import Connection

import numpy as np

from mindspore_lite._configuration import physical, read_rank_table
from mindspore_lite._engine import Refused

REDUCTIONS = {"sum": np.add, "max": np.maximum, "min": np.minimum, "prod": np.multiply}


class Ranks:
    """GE's and HCCL's state, one per process while a model lives: which rank this is, its connections to the others.

    The first rank of a group collects its collectives' parts, and hands out the results, over sockets in the folder
    that ASCEND_DOUBLE_HUB names: they are found there from other network namespaces, too.
    """

    def __init__(self, rank, device_id, table):
        self.rank, self.settings, self.connections, self.size = rank, (rank, device_id, table), {}, 1
        self.come = {}  # (rank, key): what it sent that wasn't waited for yet
        self.timeout = float(os.environ.get("HCCL_EXEC_TIMEOUT", 1800))
        environment = os.environ.get("RANK_TABLE_FILE")
        if environment and (not table or os.path.realpath(environment) != os.path.realpath(table)):
            raise Refused(f"RANK_TABLE_FILE={environment} in the environment, but rank_table_file={table or 'none'}")
        if not table:
            return
        text, devices = read_rank_table(table)
        if rank not in devices:
            raise Refused(f"rank table {table}: rankId[{rank}] is invalid: it has {len(devices)}")
        if devices[rank] != physical(device_id):
            raise Refused(f"rank table config devId[{devices[rank]}],but local devId[{physical(device_id)}]")
        self.size = len(devices)
        if self.size > 1:
            self._meet(zlib.crc32(text.encode()))

    def _meet(self, checksum):
        if not os.environ.get("ASCEND_DOUBLE_HUB"):
            raise Refused("ASCEND_DOUBLE_HUB has to name the folder where the double's ranks meet")
        deadline = time.monotonic() + float(os.environ.get("HCCL_CONNECT_TIMEOUT", 120))
        folder = os.open(os.environ["ASCEND_DOUBLE_HUB"], os.O_RDONLY)
        path = f"/proc/self/fd/{folder}/hub"  # a socket's path has room for 107 characters
        try:
            if self.rank:
                self._listen(f"{path}{self.rank}")
                self._join(path, checksum, deadline)
            else:
                self._gather(path, checksum, deadline)
        finally:
            os.close(folder)

    def _join(self, path, checksum, deadline):
        while True:
            mine = socket.socket(socket.AF_UNIX)
            try:
                mine.connect(path)
                break
            except OSError:
                mine.close()
            if time.monotonic() > deadline:
                raise Refused("HCCL_CONNECT_TIMEOUT: rank 0 didn't come")
            time.sleep(0.02)
        self.connections = {0: Connection(mine.detach())}
        self._send(0, "meet", (self.rank, checksum))
        problem = self._receive(0, "met", deadline)
        if problem:
            raise Refused(problem)
        for other in range(1, self.rank):
            mine = socket.socket(socket.AF_UNIX)
            mine.connect(f"{path}{other}")  # there since before that rank came to rank 0
            self.connections[other] = Connection(mine.detach())
            self._send(other, "meet", (self.rank, checksum))
        while len(self.connections) < self.size - 1:
            other, connection = self._accept(deadline, range(self.size))
            self.connections[other[0]] = connection
        os.remove(f"{path}{self.rank}")
        self.listener.close()

    def _listen(self, path):
        """Listen for other ranks' connections."""
        with contextlib.suppress(FileNotFoundError):
            os.remove(path)  # of a job that ended here before
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(path)
        self.listener.listen(self.size)

    def _accept(self, deadline, missing):
        """Return (rank, checksum), connection of the next rank to connect; the rank is None if it is lost already."""
        self.listener.settimeout(max(deadline - time.monotonic(), 0.001))
        try:
            connection = Connection(self.listener.accept()[0].detach())
        except socket.timeout:
            missing = sorted(set(missing) - set(self.connections) - {self.rank})
            raise Refused(f"HCCL_CONNECT_TIMEOUT: ranks {missing} of {self.size} didn't come") from None
        try:
            return connection.recv()[1], connection
        except (EOFError, OSError):
            return (None, None), connection  # its place stays empty

    def _gather(self, path, checksum, deadline):
        with contextlib.suppress(FileNotFoundError):
            os.remove(path)  # of a job that ended here before
        self._listen(path)
        problem = ""
        while len(self.connections) < self.size - 1 and not problem:
            (other, theirs), connection = self._accept(deadline, range(1, self.size))
            if other is None:
                continue
            if other in self.connections:
                problem = f"two processes are rank {other}"
            if theirs != checksum:
                problem = f"ranks 0 and {other} have different rank tables"
            self.connections[other] = connection
        os.remove(path)
        self.listener.close()
        for other in self.connections:
            self._send(other, "met", problem)
        if problem:
            raise Refused(problem)

    def _send(self, other, key, value):
        with contextlib.suppress(OSError):  # the next receive deals with a lost rank
            self.connections[other].send((key, value))

    def _receive(self, other, key, deadline):
        """Return what a rank sends under a key. A lost rank is no error: HCCL waits until the time is over."""
        try:
            while not self.come.get((other, key)):
                if not self.connections[other].poll(max(deadline - time.monotonic(), 0)):
                    break
                found, value = self.connections[other].recv()
                self.come.setdefault((other, found), []).append(value)
            else:
                return self.come[other, key].pop(0)
        except (EOFError, OSError):
            time.sleep(max(deadline - time.monotonic(), 0))
        raise Refused(f"rank {self.rank}: HCCL_EXEC_TIMEOUT: another rank didn't come or is lost")

    def exchange(self, tag, collective, array):
        """Return this rank's result of a collective; `tag` distinguishes it from all others in its group."""
        members, deadline = collective.group_ranks(self.size), time.monotonic() + self.timeout
        if collective.detail and collective.op in ("Send", "Receive"):
            other, key = collective.peer(self.size), ("pair", members, collective.detail[1])
            if collective.op == "Receive":
                return self._receive(other, key, deadline)
            self._send(other, key, array)
            return array
        tag, first = (*tag, collective.signature()), members[0]
        if self.rank != first:
            self._send(first, members, (tag, array))
            problem, result = self._receive(first, members, deadline)
            if problem:
                raise Refused(problem)
            return result
        parts = [(tag, array)] + [self._receive(other, members, deadline) for other in members[1:]]
        problem = ""
        for rank, (theirs, _) in zip(members, parts):
            if theirs != tag:
                problem = f"ranks {first} and {rank} are at different collectives: {tag}, {theirs}"
        results = [None] * len(members) if problem else _collect(collective, [part for _, part in parts])
        for other, result in zip(members[1:], results[1:]):
            self._send(other, members, (problem, result))
        if problem:
            raise Refused(problem)
        return results[0]

    def __del__(self):
        for connection in self.connections.values():
            connection.close()


def _collect(collective, parts):
    """Return every rank's result of a collective, computed from the parts of its group's ranks."""
    if collective.op == "AllGather":
        return [np.concatenate(parts)] * len(parts)
    if collective.op == "Broadcast":
        return [parts[collective.detail[0]]] * len(parts)
    if collective.op == "AlltoAll":
        count, split, joined = collective.detail
        blocks = [np.split(part, count, split) for part in parts]
        return [np.concatenate([block[place] for block in blocks], joined) for place in range(count)]
    total = parts[0].astype(np.float32) if parts[0].dtype == np.float16 else parts[0]
    for part in parts[1:]:  # in the ranks' order: the same sum every time
        total = REDUCTIONS[collective.reduction](total, part)
    total = total.astype(parts[0].dtype)
    return [total] * len(parts) if collective.op == "AllReduce" else np.split(total, len(parts))
