"""How a Session and its ranks communicate: messages through a socket, arrays in memory that both of them have.

It needs NumPy and any Python from 3.7 on. Neither the socket (Linux's abstract ones have no file) nor the memory (a
file that is never in a folder) leaves anything behind, however the processes end.
"""

import array
import collections
import ctypes
import itertools
import json
import mmap
import os
import select
import socket
import struct
import tempfile
from typing import NamedTuple, Tuple

import numpy as np

from suite.arrays import dtype_name

ALIGNED = 64  # bytes: where an array begins
MESSAGE = 200 << 10  # bytes of a message at most, as the kernel's sockets take them by default
HEAD = struct.Struct("=QII")  # of a message: number, place, how many are free


def listen(name):
    """Return a socket at which this server's ranks find the session of this name."""
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    listener.bind(f"\0{name}")
    listener.listen(4096)
    return listener


def connect(name):
    """Return a socket to the session of this name; None if it isn't on this server."""
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    try:
        connection.connect(f"\0{name}")
    except ConnectionRefusedError:
        connection.close()
        return None
    return connection if is_mine(connection) else None


def is_mine(connection):
    """Return whether the process at the other end is this user's: anybody could connect, or use a free name."""
    peer = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)
    return struct.unpack("3i", peer)[1] == os.geteuid()  # pid, uid, gid


class Message(NamedTuple):
    """A message about one predict, from the program or a rank; `more` only has what has changed since the last one."""

    number: int  # of the predict
    place: int = 0  # the number of the memory that has its arrays
    free: Tuple[int, ...] = ()  # memories of outputs that the program no longer reads, or a rank has given up
    more: dict = {}  # of the memory: its `size` in bytes and the `kinds` of its arrays; how the `check` ended

    def packed(self):
        """Return the bytes to send: a few numbers and, for `more`, JSON."""
        head = HEAD.pack(self.number, self.place, len(self.free)) + array.array("I", self.free).tobytes()
        return head + json.dumps(self.more).encode() if self.more else head


def send(connection, data, file=None):
    """Send a packed message, and with it an open file; raise OSError if nobody is there any more."""
    if file is None:
        connection.send(data)
    else:
        connection.sendmsg([data], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [file]))])


class Inbox:
    """Receives through a connection without losing anything to a signal such as Ctrl-C in between."""

    def __init__(self, connection):
        self.buffer, self.arrived = bytearray(MESSAGE), collections.deque()
        self.next = itertools.starmap(
            connection.recvmsg_into, itertools.repeat(([self.buffer], socket.CMSG_SPACE(4), socket.MSG_CMSG_CLOEXEC))
        )

    def receive(self):
        """Wait for a Message; return it and the open file that came with it or None; (None, None) at the end."""
        if not self.arrived:
            try:
                self.arrived.extend(itertools.islice(self.next, 1))
            except ConnectionError:
                return None, None
        size, rights, *_ = self.arrived.popleft()
        if not size:
            return None, None
        number, place, count = HEAD.unpack_from(self.buffer)
        end = HEAD.size + 4 * count
        free = array.array("I", bytes(self.buffer[HEAD.size : end])) if count else ()
        more = json.loads(self.buffer[end:size].decode()) if end < size else {}
        file = array.array("i", rights[0][2])[0] if rights else None
        return Message(number, place, free, more), file


def has_ended(connection, seconds):
    """Wait so many seconds for the process at the other end to end; return whether it has."""
    if connection.fileno() < 0:
        return True
    waiting = select.poll()
    waiting.register(connection, 0)  # which leaves POLLHUP
    return bool(waiting.poll(seconds * 1000))


def new_file(size):
    """Return an open file of this many bytes in memory, which is in no folder; raise OSError where it's too many."""
    try:
        libc = ctypes.CDLL(None, use_errno=True)
        file = libc.memfd_create(b"session", 1)  # MFD_CLOEXEC
    except AttributeError:  # a C library from before 2018
        file = -1
    if file < 0:
        with tempfile.TemporaryFile(dir="/dev/shm") as temporary:
            file = os.dup(temporary.fileno())
    try:
        os.posix_fallocate(file, 0, size)  # now, and not by SIGBUS later
    except OSError:
        os.close(file)
        raise
    return file


def attach(file, size):
    """Return the file's bytes as an array that stays as long as it is used; close the file."""
    try:
        return np.frombuffer(mmap.mmap(file, size), np.uint8)
    finally:
        os.close(file)


class Memory:
    """Bytes that the program and its ranks share, and the arrays in them: `views`, of the `kinds`.

    Inputs have `marks` before them, one for each of `readers` ranks: the last predict for which it has read them.
    """

    def __init__(self, file, size, readers=0):
        self.bytes, self.size = attach(file, size), size
        self.marks, self.head = self.bytes[: 8 * readers].view(np.int64), _head(readers)
        self.kinds, self.views, self.used = [], [], 0

    def lay_out(self, kinds):
        """Arrange arrays of these kinds in it; return whether there were others before."""
        if kinds == self.kinds:
            return False
        self.kinds, self.views, self.used = kinds, views(self.bytes[self.head :], kinds), nbytes(kinds)
        return True


def kinds_of(arrays):
    """Return [(dtype, shape)] of the arrays, as in a message."""
    return [[dtype_name(value.dtype), list(value.shape)] for value in arrays]


def nbytes(kinds, readers=0):
    """Return how many bytes arrays of these kinds take, with the marks of so many readers before them."""
    return sum(_room(*kind) for kind in kinds) + _head(readers)


def views(memory, kinds):
    """Return arrays of these kinds, one after the other in the memory (an array of bytes)."""
    found, start = [], 0
    for dtype, shape in kinds:
        found.append(memory[start : start + _size(dtype, shape)].view(dtype).reshape(shape))
        start += _room(dtype, shape)
    return found


def _head(readers):
    """Return how many bytes the marks take: whole pages, as large inputs that begin inside one cost ranks time."""
    return -(-8 * readers // mmap.PAGESIZE) * mmap.PAGESIZE


def _size(dtype, shape):
    size = np.dtype(dtype).itemsize
    for count in shape:
        size *= count
    return size


def _room(dtype, shape):
    size = _size(dtype, shape)
    return max(-size % ALIGNED + size, ALIGNED)


class Holder:
    """Lends memory to NumPy: the array made from it, and every view of that, keeps this object alive."""

    def __init__(self, view, lease):
        self.__array_interface__ = view.__array_interface__
        self.lease = lease
