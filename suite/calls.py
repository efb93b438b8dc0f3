"""A Session's predicts that are under way: inputs go out, outputs come back, in the order of the calls."""

import collections
import contextlib
import functools
import os
import queue
import socket
import threading
import weakref
from concurrent.futures import Future

import numpy as np

from suite import link
from suite.job import RankError

SMALL = 256 << 10  # outputs of up to so many bytes are copied; the memory of larger ones is lent
LATE = 0.001  # seconds between two looks whether a rank has read its inputs


class Place:
    """Memory for the inputs of a predict, which `readers` ranks read, and the last predict that it was used for."""

    def __init__(self, readers):
        self.readers, self.memory, self.call = readers, None, None
        self.is_known = False  # whether the ranks know about everything that is new in it

    def make_room(self, kinds):
        """Prepare for arrays of these kinds; return what is new about the memory, and its open file if it is new."""
        if self.is_known and kinds == self.memory.kinds:
            return {}, None
        size, old, file = link.nbytes(kinds, self.readers), self.memory.size if self.memory else 0, None
        if not self.is_known or old < size:
            file = link.new_file(old if old >= size else max(size, 2 * old))
            self.memory, self.call = link.Memory(os.dup(file), os.fstat(file).st_size, self.readers), None
        self.is_known = False
        self.memory.lay_out(kinds)
        return {"kinds": kinds, "size": self.memory.size}, file

    def is_free(self):
        """Return whether every rank has read what the last call put there."""
        return not self.call or (self.call.is_answered and min(self.memory.marks.tolist()) >= self.call.number)


class Call:
    """A predict: its number and, once it is answered, its outputs or its error."""

    def __init__(self, number, names, out):
        self.number, self.names, self.out = number, names, out
        self.is_answered, self.outputs, self.error = False, None, None

    def fail(self, error):
        self.error, self.is_answered = error, True


class Lease:
    """Stands for memory that some outputs use: it is gone when the last of these arrays is."""


class Calls:
    """Sends predicts to the ranks through the `connections`; through `replier`, one of them, outputs come back."""

    def __init__(self, job, connections, replier, in_flight):
        self.job, self.connections, self.replier = job, connections, replier
        self.places = [Place(len(connections)) for _ in range(in_flight)]
        self.number, self.pending, self.inbox = 0, collections.deque(), link.Inbox(replier)
        self.blocks, self.lent, self.freed = {}, {}, collections.deque()  # outputs' memories, by the rank's number
        # one thread at a time sends, one receives; a thread that sends may also receive, but never the other way round
        self.sending, self.receiving = threading.RLock(), threading.RLock()
        self.error, self.is_closed, self.found, self.queue = None, False, None, None

    def submit(self, arrays, names, out=None):
        """Copy the inputs to where the ranks read them and have them predict; return the Call."""
        with self.sending:
            self._check_open()
            place, index = self._free_place()
            more, file = place.make_room(link.kinds_of(arrays))
            try:
                for view, array in zip(place.memory.views, arrays):
                    np.copyto(view, array)
                self.number += 1
                call = Call(self.number, names, out)
                freed = [self.freed.popleft() for _ in range(len(self.freed))]
                message = link.Message(call.number, index, freed, more).packed()
                self.pending.append(call)
                place.call = call
                self._send(message, file)
                place.is_known = True
            finally:
                if file is not None:
                    os.close(file)
        return call

    def wait_for(self, call):
        """Return the call's outputs, {name: array}; raise what went wrong."""
        while not call.is_answered:
            with self.receiving:
                if not call.is_answered:
                    self._receive()
        if call.error:
            raise _without_stack(call.error)
        return call.outputs

    def find_error(self):
        """Return the RankError with which the ranks have ended, even between two calls; None while they live."""
        if not self.error and not self.is_closed and self.job.process.poll() is not None:
            with self.receiving:
                self._set_error()
        return self.error

    def start_collector(self):
        """Return a queue for (Call, Future): a thread waits for the calls in order and sets their futures."""
        self.queue = queue.Queue()
        threading.Thread(target=self._collect, daemon=True).start()
        return self.queue

    def close(self, pid):
        """End the ranks and fail all calls; does nothing in a copy of the process `pid` that os.fork() has made."""
        if os.getpid() != pid or self.is_closed:
            return
        self.is_closed = True
        if self.queue:
            self.queue.put(None)
        for connection in self.connections:  # whoever waits for one, on either side, sees that it ends
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        self.job.end(is_gentle=not self.pending)
        with self.receiving:
            self._fail_pending()
            for connection in self.connections:
                connection.close()

    def _check_open(self):
        if self.is_closed:
            raise RuntimeError("this Session is closed: open another")
        if self.error:
            raise _without_stack(self.error)

    def _free_place(self):
        """Return (place, its index) that no rank reads any more; wait for one if need be."""
        while True:
            for index, place in enumerate(self.places):
                if place.is_free():
                    return place, index
            oldest = min(self.places, key=lambda place: place.call.number)
            late = self._late_ranks(oldest.call.number)
            if not oldest.call.is_answered:
                with contextlib.suppress(Exception):  # whoever waits for that call gets it
                    self.wait_for(oldest.call)
            elif not late:
                oldest.call = None  # the ranks never learnt of its memory, as the program was interrupted
            elif any(link.has_ended(self.connections[rank], LATE) for rank in late):
                with self.receiving:
                    self._set_error()
            self._check_open()

    def _late_ranks(self, number):
        """Return the ranks that may not have read all inputs up to this predict's: a rank marks all memory it has."""
        marks = np.max([place.memory.marks for place in self.places if place.memory], axis=0)
        return np.flatnonzero(marks < number).tolist()

    def _send(self, message, file):
        """Send a message to all ranks, even if interrupted meanwhile: they wait for each other."""
        waiting = collections.deque(self.connections)
        try:
            while waiting:
                link.send(waiting[0], message, file)
                waiting.popleft()
        except OSError:
            with self.receiving:
                self._set_error()
        except BaseException:
            for connection in waiting:
                link.send(connection, message, file)
            raise

    def _receive(self):
        """Wait for an answer and pass it on to its call; the caller holds the lock."""
        message, file = self.inbox.receive()
        if message is None:
            self._set_error()
            return
        while self.pending[0].number < message.number:  # this answer was lost, as the program was interrupted
            self.pending.popleft().fail(RuntimeError("predict: interrupted"))
        call = self.pending.popleft()
        try:
            self.found = message.more.get("check") or self.found
            call.outputs = dict(zip(call.names, self._outputs(message, file, call)))
        except Exception as error:
            call.error = error
        except BaseException as error:
            call.error = RuntimeError(f"predict: interrupted ({type(error).__name__})")
            raise
        finally:
            call.is_answered = True

    def _outputs(self, message, file, call):
        """Return the outputs as the caller's arrays."""
        block = message.place
        if not block:
            return []
        for number in message.free:
            del self.blocks[number]
        if file is not None:
            self.blocks[block] = link.Memory(file, message.more["size"])
        memory = self.blocks[block]
        memory.lay_out(message.more.get("kinds", memory.kinds))
        found = memory.views
        if not call.out and memory.used > SMALL:
            lease = Lease()
            self.lent[weakref.ref(lease, functools.partial(reuse_memory, self.lent, self.freed))] = block
            return [np.asarray(link.Holder(view, lease)) for view in found]
        try:
            if call.out:
                return [_copied(view, call.out[name], name) for view, name in zip(found, call.names)]
            return [view.copy() for view in found]
        finally:
            self.freed.append(block)

    def _set_error(self):
        """Find out why the ranks have ended, which nobody told them to do."""
        if not self.error and not self.is_closed:
            self.error = self.job.error()
        self._fail_pending()

    def _fail_pending(self):
        while self.pending:
            self.pending.popleft().fail(self.error or RuntimeError("this Session was closed before the predict ended"))

    def _collect(self):
        for call, future in iter(self.queue.get, None):
            with contextlib.suppress(SystemExit):  # raised by a caller's callback: later futures want results, too
                try:
                    outputs = self.wait_for(call)
                except Exception as error:
                    future.set_exception(error)
                else:
                    future.set_result(outputs)


def reuse_memory(lent, freed, reference):
    """Let memory whose lease is gone be used again; not a method, as the Calls may be gone before the lease."""
    freed.append(lent.pop(reference))


def new_future():
    """Return a Future that can't be cancelled: ranks can't stop in the middle of a predict."""
    future = Future()
    future.set_running_or_notify_cancel()
    return future


def _copied(view, array, name):
    if array.shape != view.shape:
        raise ValueError(f"out: {name} has the shape {list(array.shape)}, the output {list(view.shape)}")
    np.copyto(array, view)
    return array


def _without_stack(error):
    """Return a new error of the same kind and text, to be raised without the stack of the time before."""
    return RankError(*error.args) if isinstance(error, RankError) else type(error)(*error.args)
