"""The collectives between a Model's stages: mindspore_lite has none on the CPU, MPI does them."""

import numpy as np

import ranks
from suite.tensors import as_bytes, new_tensor

SMALL = 16 << 10  # up to so many bytes, a reduction's time is the ranks' waiting for each other
UFUNCS = {"sum": np.add, "max": np.maximum, "min": np.minimum, "prod": np.multiply}


def communicators(comm, collectives):
    """Return {ranks of a group: its communicator} for the groups that this rank is in.

    `comm` has all ranks, `collectives` are those of all of them. All ranks call this together: the groups are made in
    the same order everywhere, so that nobody waits for somebody who makes another one. () stands for all ranks, whose
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
    the group call it together.
    """

    def __init__(self, comm, collective, name=""):
        from mpi4py import MPI  # not among the imports: ranks.world() has to import it first

        self.comm, self.collective, self.name = comm, collective, name
        self.op, self.rank, self.count = collective.op, comm.rank, comm.size
        self.in_place, self.ufunc = MPI.IN_PLACE, UFUNCS.get(collective.reduction)
        self.reduction = getattr(MPI, collective.reduction.upper()) if collective.reduction else None
        self.shape = self.buffer = self.result = self.other = None
        self.integers = self.whole = None  # any type of this size will do in an AllGather, and MPI has no float16

    def __call__(self, tensors):
        comm, op = self.comm, self.op
        data = tensors[0].get_data_to_numpy()
        if data.shape != self.shape:  # at first, and with open dimensions
            self._prepare(data)
        buffer = self.buffer
        if self.count == 1 and op != "AlltoAll":
            np.copyto(buffer, data)
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
        """Make the memory for what comes of data of this shape."""
        self.shape, count = data.shape, self.count
        self.buffer = np.empty(shape_after(self.collective, data.shape, count), data.dtype)
        self.result, self.other = new_tensor(self.buffer, self.name), np.empty(data.size // count, data.dtype)
        self.integers = np.dtype(f"i{data.itemsize}")
        self.whole = self.buffer.view(self.integers)

    def _swap_parts(self, data):
        """Give each rank its part of the data along one axis; join what comes from all of them along another."""
        count, split, joined = self.collective.detail
        parts = np.ascontiguousarray(np.stack(np.split(data, count, split)))
        come = np.empty_like(parts)
        self.comm.Alltoall(as_bytes(parts), as_bytes(come))
        np.concatenate(come, joined, out=self.buffer)

    def _reduce_mine(self, data, total):
        """Reduce this rank's share of all ranks' data: in half the time that Open MPI's own takes."""
        rank, count, other = self.rank, self.count, self.other
        shares = data.reshape(count, -1)
        mine = shares[rank]
        for shift in range(1, count):
            to, source = (rank + shift) % count, (rank - shift) % count
            self.comm.Sendrecv(shares[to], to, recvbuf=other, source=source)
            mine = self.ufunc(mine, other, out=total)


def shape_after(collective, shape, count):
    """Return the shape of what a collective among `count` ranks makes of this shape."""
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
