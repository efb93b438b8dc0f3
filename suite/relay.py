"""A Session's inputs on their way to ranks on other servers: through MPI, from the first rank beside the program."""

import json
import time

import numpy as np

PAUSE = 1e-3  # seconds between two looks for the next inputs: MPI's own waiting would keep a core busy


class Relay:
    """Passes inputs from the first of the ranks `here`, those beside the program, to all ranks elsewhere.

    `comm` is mpi4py's communicator of all ranks; all of them make a Relay together.
    """

    def __init__(self, comm, here):
        from mpi4py import MPI  # which has started: comm is one of its

        self.sends = comm.rank == here[0]
        taking_part = self.sends or comm.rank not in here
        self.comm = comm.Split(0 if taking_part else MPI.UNDEFINED, 0 if self.sends else 1 + comm.rank)

    def send(self, request, arrays):
        """Pass on a predict's (number, kinds of its arrays) and the arrays; None marks the end."""
        data = np.frombuffer(json.dumps(request).encode(), np.uint8)
        self._broadcast(np.array([data.size], np.int64))
        self._broadcast(data.copy())
        for array in arrays:
            self._broadcast(array.reshape(-1).view(np.uint8))

    def receive(self):
        """Wait for the next predict; return (its number, its arrays), (0, []) at the end."""
        size = np.empty(1, np.int64)
        self._broadcast(size)
        data = np.empty(size[0], np.uint8)
        self._broadcast(data)
        number, kinds = json.loads(data.tobytes().decode()) or (0, [])
        arrays = [np.empty(shape, dtype) for dtype, shape in kinds]
        for array in arrays:
            self._broadcast(array.reshape(-1).view(np.uint8))
        return number, arrays

    def _broadcast(self, data):
        pending = self.comm.Ibcast(data, 0)
        while not pending.Test():
            time.sleep(PAUSE)
