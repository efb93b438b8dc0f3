"""Send and Receive: values on their way from one stage of a pipeline to the next."""

import weakref

import numpy as np

from suite.tensors import as_bytes, new_tensor

IN_FLIGHT = 2  # predicts whose values a Send holds: the next stage works on one while this one makes the other


class Send:
    """Sends a copy of a Tensor without waiting for it to arrive, for at most IN_FLIGHT predicts at a time.

    `comm` is the group's communicator, `collective` a mindir.Collective.
    """

    def __init__(self, comm, collective):
        self.comm, (self.place, self.tag), self.dtype = comm, collective.detail, collective.dtype
        self.shape, self.turn, self.buffers = None, 0, []
        self.requests = [None] * IN_FLIGHT
        weakref.finalize(self, wait_for, self.requests)  # at the end, before MPI does: what was sent has to arrive

    def __call__(self, tensors):
        data = tensors[0].get_data_to_numpy()
        if data.shape != self.shape:
            wait_for(self.requests)
            self.shape, self.buffers = data.shape, [np.empty(data.shape, self.dtype) for _ in self.requests]
        self.turn = (self.turn + 1) % IN_FLIGHT
        buffer = self.buffers[self.turn]
        wait_for(self.requests[self.turn : self.turn + 1])  # only if the next stage is this far behind
        np.copyto(buffer, data, casting="unsafe")  # mindspore_lite's CPU may have made float32 of float16
        self.requests[self.turn] = self.comm.Isend(as_bytes(buffer), self.place, self.tag)
        return []


def wait_for(requests):
    """Wait until all that was sent has arrived; None stands for nothing."""
    for request in requests:
        if request:
            request.Wait()


class Receive:
    """Waits for a Tensor from another rank; it is in the same memory at every predict."""

    def __init__(self, comm, collective, name=""):
        self.comm, (self.place, self.tag) = comm, collective.detail
        self.buffer = np.empty(collective.shape, collective.dtype)
        self.result = new_tensor(self.buffer, name)

    def __call__(self, tensors):
        self.comm.Recv(as_bytes(self.buffer), self.place, self.tag)
        return [self.result]
