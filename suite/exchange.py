"""The collectives between a Model's stages: mindspore_lite has none on the CPU, so MPI does them."""

import numpy as np

import ranks
from suite import same_server
from suite.tensors import Views, as_bytes, new_tensor

SMALL = 16 << 10  # for up to so many bytes, a reduction's time is that of the ranks' waiting for each other
FEW = 4 << 10  # for up to so many, MPI is as fast as memory that the ranks share
UFUNCS = {"sum": np.add, "max": np.maximum, "min": np.minimum, "prod": np.multiply}


def communicators(comm, collectives):
    """Return {ranks of a group: its communicator} for the groups that this rank is in.

    `comm` has all ranks, `collectives` are those of all of them. All ranks call this together: the groups are made in
    the same order everywhere, so that no rank waits for one that makes another group. () stands for all ranks, whose
    communicator is `comm` itself.
    """
    made = {(): comm}
    for members in sorted({collective.members for collective in collectives} - {()}):
        if members == tuple(range(comm.size)):
            made[members] = comm
        elif comm.rank in members:
            group = comm.group.Incl(members)
            made[members] = comm.Create_group(group)
            group.Free()
    return made


class Exchange:
    """One collective among the ranks of `comm`: a Tensor in, a Tensor out, always in the same memory.

    `collective` is a mindir.Collective, `comm` its group's communicator, `name` what its output is called. All ranks of
    the group call it together. On one server they work in memory that all of them see: each puts there what others
    need, and reads theirs where it is. MPI does the rest: what is small, float16, or on several servers. `areas` is the
    memory of reductions by their groups, which a model's Exchanges share.
    """

    def __init__(self, comm, collective, name="", areas=None):
        from mpi4py import MPI  # not at the top: ranks.world() has to import it first

        self.comm, self.collective, self.name = comm, collective, name
        self.op, self.rank, self.count = collective.op, comm.rank, comm.size
        self.in_place, self.ufunc = MPI.IN_PLACE, UFUNCS.get(collective.reduction)
        self.reduction = getattr(MPI, collective.reduction.upper()) if collective.reduction else None
        self.views = Views()
        self.shape = self.buffer = self.result = self.other = None
        self.integers = self.whole = None  # any type of this size will do in an AllGather, and MPI has no float16
        self.in_shared_memory, self.areas = False, {} if areas is None else areas
        self.given, self.taken = [], []  # [(where others find them, whose shares of the data)], [where theirs are]
        self.mine = None  # this rank's share of the result

    def __call__(self, tensors):
        comm, op = self.comm, self.op
        data = self.views.of(tensors[0])
        if data.shape != self.shape:  # at first, and with open dimensions
            self._prepare(data)
        buffer = self.buffer
        if self.count == 1 and op != "AlltoAll":
            np.copyto(buffer, data)
        elif self.in_shared_memory:
            self._meet(data)
        elif op == "AllGather":
            comm.Allgather(data.view(self.integers), self.whole)
        elif op == "Broadcast":
            np.copyto(buffer, data)
            comm.Bcast(as_bytes(buffer), self.collective.detail[0])
        elif op == "AlltoAll":
            self._swap_parts(data)
        elif data.dtype == np.float16:
            total = np.empty(buffer.shape, np.float32)
            all_or_scatter = comm.Allreduce if op == "AllReduce" else comm.Reduce_scatter_block
            all_or_scatter(data.astype(np.float32), total, self.reduction)
            buffer[...] = total
        elif op == "ReduceScatter":
            self._reduce_mine(data, buffer.reshape(-1))
        elif data.nbytes <= SMALL or data.size % self.count:
            comm.Allreduce(data, buffer, self.reduction)
        else:
            self._reduce_mine(data, buffer.reshape(self.count, -1)[self.rank])
            comm.Allgather(self.in_place, buffer)
        return [self.result]

    def _prepare(self, data):
        """Allocate the memory for the result of data of this shape."""
        self.shape, count = data.shape, self.count
        shape = shape_after(self.collective, data.shape, count)
        self.buffer = self._shared_memory(data, shape)
        if self.buffer is None:
            self.buffer = np.empty(shape, data.dtype)
        self.result, self.other = new_tensor(self.buffer, self.name), np.empty(data.size // count, data.dtype)
        self.integers = np.dtype(f"i{data.itemsize}")
        self.whole = self.buffer.view(self.integers)

    def _shared_memory(self, data, shape):
        """Allocate shared memory and return where the result goes in it; None if MPI does the collective."""
        reduces, self.in_shared_memory = self.op != "AllGather", False
        if self.op not in ("AllReduce", "ReduceScatter", "AllGather") or data.nbytes <= FEW or self.count == 1:
            return None
        if reduces and (data.size % self.count or data.dtype == np.float16):
            return None
        if reduces:
            area = self._area(self.count * data.nbytes)
            if area is None:
                return None
            self._share(area[: self.count * data.nbytes].view(data.dtype).reshape(self.count, self.count, -1))
        if self.op == "ReduceScatter":
            result = np.empty(shape, data.dtype)
        else:
            size = int(np.prod(shape)) * data.itemsize
            result = same_server.shared(self.comm, size)
            if result is None:
                return None
            result = result[:size].view(data.dtype).reshape(shape)
        self.in_shared_memory = True
        whole = result.reshape(-1)
        self.mine = whole if self.op == "ReduceScatter" else whole.reshape(self.count, -1)[self.rank]
        return result

    def _share(self, everyones):
        """Find where this rank's shares of a reduction go, and where the others' are: each rank has one for each."""
        rank, count = self.rank, self.count
        others = [slice(start, stop) for start, stop in ((0, rank), (rank + 1, count)) if start < stop]
        self.given = [(everyones[rank, of_others], of_others) for of_others in others]
        self.taken = [everyones[(rank + shift) % count, rank] for shift in range(1, count)]

    def _area(self, nbytes):
        """Return the group's memory, at least so many bytes of it; None if there can't be any."""
        members = self.collective.members
        if members not in self.areas or self.areas[members].size < nbytes:
            area = same_server.shared(self.comm, nbytes)
            if area is None:
                return None
            self.areas[members] = area
        return self.areas[members]

    def _meet(self, data):
        """Wait for all ranks before writing, as another may still read the last result, and again before reading."""
        barrier = self.comm.Barrier
        if self.op == "AllGather":
            barrier()  # the last result has been used
            put(self.mine, data.reshape(-1))
            barrier()
            return
        shares = data.reshape(self.count, -1)
        for place, others in self.given:
            put(place, shares[others])
        barrier()
        reduced = shares[self.rank]
        for place in self.taken:
            reduced = self.ufunc(reduced, place, out=self.mine)
        barrier()

    def _swap_parts(self, data):
        """Give each rank its part of the data along one axis; join the parts from all ranks along another."""
        count, split, joined = self.collective.detail
        parts = np.ascontiguousarray(np.stack(np.split(data, count, split)))
        come = np.empty_like(parts)
        self.comm.Alltoall(as_bytes(parts), as_bytes(come))
        np.concatenate(come, joined, out=self.buffer)

    def _reduce_mine(self, data, total):
        """Reduce this rank's share of all ranks' data, in half the time that Open MPI's own reduction takes."""
        rank, count, other = self.rank, self.count, self.other
        shares = data.reshape(count, -1)
        mine = shares[rank]
        for shift in range(1, count):
            to, source = (rank + shift) % count, (rank - shift) % count
            self.comm.Sendrecv(shares[to], to, recvbuf=other, source=source)
            mine = self.ufunc(mine, other, out=total)


def put(place, array):
    """Copy the array, as np.copyto does, which takes half a microsecond more."""
    place[...] = array


def shape_after(collective, shape, count):
    """Return the shape of the result of a collective among `count` ranks for this shape."""
    if collective.op == "AllGather":
        return (shape[0] * count,) + shape[1:]
    if collective.op == "ReduceScatter":
        if shape[0] % count:  # an open dimension, or the export would have failed
            message = f"node {collective.node}: ReduceScatter of {shape} over {count} ranks: not divisible"
            raise ranks.Stop(ranks.FAILED, message)
        return (shape[0] // count,) + shape[1:]
    if collective.op == "AlltoAll":
        _, split, joined = collective.detail
        sizes = list(shape)
        sizes[split] //= count
        sizes[joined] *= count
        return tuple(sizes)
    return shape
