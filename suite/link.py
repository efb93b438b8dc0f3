"""What a Session and its ranks talk with: messages through a socket, arrays in memory that both of them have.

NumPy and the standard library of any Python from 3.7 on. Neither the socket (Linux's abstract ones have no file) nor
the memory (a file that is never in a folder) leaves anything behind, whatever ends the processes.
"""

import array
import ctypes
import json
import mmap
import os
import socket
import struct
import tempfile
import threading

import numpy as np

from suite.arrays import dtype_name

ALIGNED = 64  # bytes: where an array begins
MESSAGE = 200 << 10  # bytes of a message at most, as the kernel's sockets take them by default
BUFFER = threading.local()  # where a thread's next message comes to lie


def listen(name):
    """Return a socket at which ranks of this server find the session of this name."""
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    listener.bind(f"\0{name}")
    listener.listen(4096)
    return listener


def connect(name):
    """Return a socket to the session of this name; None where it isn't on this server."""
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    try:
        connection.connect(f"\0{name}")
    except ConnectionRefusedError:
        connection.close()
        return None
    return connection if is_mine(connection) else None


def is_mine(connection):
    """Return whether the process at the other end is this user's: anybody may connect, or take a name that is free."""
    peer = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)
    return struct.unpack("3i", peer)[1] == os.geteuid()  # pid, uid, gid


def send(connection, message, file=None):
    """Send a message, and with it an open file; raise OSError where nobody is there any more."""
    rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [file]))] if file is not None else []
    connection.sendmsg([json.dumps(message).encode()], rights)


def receive(connection):
    """Wait for a message; return (message, the open file that came with it or None), (None, None) at the end of all."""
    if not hasattr(BUFFER, "data"):
        BUFFER.data = bytearray(MESSAGE)
    try:
        size, rights, _, _ = connection.recvmsg_into([BUFFER.data], socket.CMSG_SPACE(4), socket.MSG_CMSG_CLOEXEC)
    except ConnectionError:
        return None, None
    files = array.array("i", rights[0][2] if rights else b"")
    return (json.loads(BUFFER.data[:size].decode()) if size else None), (files[0] if files else None)


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


def kinds_of(arrays):
    """Return [(dtype, shape)] of the arrays, as a message has them."""
    return [[dtype_name(each.dtype), list(each.shape)] for each in arrays]


def nbytes(kinds):
    """Return how many bytes arrays of these kinds take one after the other."""
    return sum(_room(*kind) for kind in kinds)


def views(memory, kinds):
    """Return arrays of these kinds, one after the other in the memory (an array of bytes)."""
    found, start = [], 0
    for dtype, shape in kinds:
        found.append(memory[start : start + _size(dtype, shape)].view(dtype).reshape(shape))
        start += _room(dtype, shape)
    return found


def _size(dtype, shape):
    size = np.dtype(dtype).itemsize
    for count in shape:
        size *= count
    return size


def _room(dtype, shape):
    size = _size(dtype, shape)
    return max(-size % ALIGNED + size, ALIGNED)


class Holder:
    """Lends memory to NumPy: the array made of it, and every view of that, keeps this object alive."""

    def __init__(self, view, lease):
        self.__array_interface__ = view.__array_interface__
        self.lease = lease
