"""Make a process faster by changing how it uses memory and cores: nothing here happens unless it is called."""

import ctypes
import os

LOCKED = {}  # address: the array whose pages are locked there, held to the end
WORTH = 1 << 16  # it pays to lock the pages of arrays from so many bytes on


def keep_memory():
    """Let malloc keep what is freed: fresh pages for every stage's outputs cost more than the stage itself."""
    libc = ctypes.CDLL(None)
    if hasattr(libc, "mallopt"):  # glibc
        libc.mallopt(-1, -1)  # M_TRIM_THRESHOLD: never give memory back ...
        libc.mallopt(-4, 0)  # M_MMAP_MAX: ... and get none that would be given back


def lock_pages(arrays):
    """Lock the arrays' pages, so that an NVIDIA GPU reads and writes them itself, and hold the arrays to the end.

    Small arrays stay as they are; arrays that can't be locked are slower, but no less right.
    """
    try:
        cudart = ctypes.CDLL("libcudart.so.11.0")
    except OSError:
        return
    for array in arrays:
        address, size = array.ctypes.data, array.nbytes
        if size >= WORTH and address not in LOCKED:
            LOCKED[address] = array
            cudart.cudaHostRegister(ctypes.c_void_p(address), ctypes.c_size_t(size), 0)
            cudart.cudaGetLastError()  # else mindspore_lite would take the error for its own


def share_cores(comm):
    """Keep this process on its own share of the cores: threads that move around get in each other's way.

    If all ranks of a server may run on the same cores, at least one for each, these are split among them; ranks that
    are kept apart already, for example by mpirun, stay as they are. All ranks of `comm` (mpi4py's) call this.
    """
    from mpi4py import MPI  # which has started: comm is one of its

    server = comm.Split_type(MPI.COMM_TYPE_SHARED)
    mine = os.sched_getaffinity(0)
    everyone = server.allgather(mine)
    sharing = sum(bool(mine & cores) for cores in everyone)
    if everyone.count(mine) == sharing <= len(mine):
        share, place = len(mine) // sharing, everyone[: server.rank].count(mine)
        os.sched_setaffinity(0, sorted(mine)[place * share : (place + 1) * share])
    server.Free()
