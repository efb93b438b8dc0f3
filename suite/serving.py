"""The ranks' side of a Session: predict the inputs that it sends, and write the outputs where it reads them.

The program talks to each rank of its server, and none of them waits for another before it begins. All read the same
inputs, where the program has put them, and the first rank that has outputs writes them once.
"""

import os

import ranks
from suite import check, inputs, link, memory
from suite.arrays import array_dtype
from suite.outputs import Outputs
from suite.relay import Relay

FREE = 3  # how many blocks of memory for outputs are kept for the next ones
IN_FLIGHT = 2  # how many predicts are under way at a time; one more for each rank that passes values on


def serve(args, comm, model, reference, everyone):
    """Predict whatever the Session called args.session sends, until it is closed; all ranks call this together.

    `reference` is the unsharded model's mindir.Shard or None, `everyone` has those of all ranks.
    """
    connection = link.connect(args.session)
    here = [rank for rank, is_here in comm.allgather((comm.rank, connection is not None)) if is_here]
    if not here:
        message = "no rank runs on the server of the program that started them: put it first in --hostfile"
        raise ranks.Stop(ranks.FAILED, message)
    if args.backend != "ascend":
        memory.keep_memory()
    outgoing = Outgoing(args, comm, everyone, here, connection)
    outgoing.announce_model(args)
    incoming = Incoming(comm, everyone, here, connection, args.backend == "gpu")
    is_new, number, arrays = True, 0, None
    while True:
        ranks.step(f"idle after {number}")
        before = arrays
        number, arrays = incoming.next_inputs(outgoing)
        if not number:
            return
        ranks.step(f"predict {number}")
        if arrays is not before or args.backend != "cpu":  # else the Tensors have the new values already
            tensors = inputs.fill_by_name(model, arrays)
        if is_new and args.backend != "cpu":  # on the CPU the model does this itself
            inputs.check_same(comm, arrays)
        outputs = model.predict(tensors)
        found = compared(args, comm, reference, everyone, arrays, outputs) if is_new else None
        is_new = False
        answer, file = outgoing.write_outputs(number, outputs, found)
        incoming.release_inputs(number)
        if not outgoing.send_answer(answer, file):
            return


def compared(args, comm, reference, everyone, arrays, outputs):
    """Return what check.compared() says about the first predict; raise Stop (status 4) if its result is wrong."""
    ranks.step("check")
    whole = inputs.unsharded_inputs(reference, all_inputs(everyone), arrays, arrays) if reference else {}
    found = check.compared(args, comm, reference, whole, Outputs(comm, everyone, outputs))
    if found["result"] == "FAIL":
        raise ranks.Stop(ranks.DIFFERENT, found["reason"])
    return found


def all_inputs(everyone):
    """Return {name: mindir.Value} of the inputs of all shards: a pipeline's stages may have different ones."""
    return {inputs.short_name(value.name): value for shard in everyone for value in shard.inputs}


class Incoming:
    """Receives inputs: from the program, or on another server from the first of the ranks beside it."""

    def __init__(self, comm, everyone, here, connection, is_locked):
        self.names, self.connection, self.is_locked = list(all_inputs(everyone)), connection, is_locked
        self.relay = Relay(comm, here) if len(here) < len(comm.allgather(None)) else None
        self.sends = comm.rank == here[0]
        self.inbox = link.Inbox(connection) if connection else None
        self.count, self.mine = len(here), here.index(comm.rank) if connection else None
        self.memories, self.kept = {}, []  # by the number that the program gives each; locked ones that are replaced
        self.arrays = {}  # by the same number: {name: array}
        self.last = 0

    def next_inputs(self, outgoing):
        """Wait for the next inputs; return (number of the predict, {name: array}), (0, {}) at the end."""
        if self.connection:
            message = self._receive()
            arrays = self.arrays[message.place] if message else {}
            if self.relay and self.sends:
                kinds = self.memories[message.place].kinds if message else []
                self.relay.send((message.number, kinds) if message else None, arrays.values())
            outgoing.reuse_blocks(message.free if message else ())
            return message.number if message else 0, arrays
        number, arrays = self.relay.receive()
        return number, dict(zip(self.names, arrays))

    def release_inputs(self, number):
        """Tell the program that it may overwrite the inputs of this predict."""
        for shared in self.memories.values():  # all of them, as a message about one may have been lost
            shared.marks[self.mine] = number

    def _receive(self):
        """Return the next Message, None at the end."""
        while True:
            message, file = self.inbox.receive()
            if message is None:
                return None
            place, more = message.place, message.more
            if file is not None:
                self.kept += [self.memories[place]] if self.is_locked and place in self.memories else []
                self.memories[place] = link.Memory(file, more["size"], self.count)
                if self.is_locked:
                    memory.lock_pages([self.memories[place].bytes])
            if message.number > self.last:  # else it was sent twice, as the program was interrupted
                self.last = message.number
                if more:
                    self.memories[place].lay_out(more["kinds"])
                    self.arrays[place] = dict(zip(self.names, self.memories[place].views))
                return message


class Outgoing:
    """Sends answers: that a predict is done and, from one of the ranks beside the program, the outputs."""

    def __init__(self, args, comm, everyone, here, connection):
        self.comm, self.here, self.connection, self.everyone = comm, here, connection, everyone
        givers = [rank for rank, shard in enumerate(everyone) if not shard.passes_on]
        among = [rank for rank in comm.allgather(comm.rank) if rank in givers]  # on Ascend, those of this server
        self.replier = next((rank for rank in among if rank in here), here[0])
        self.giver = self.replier if self.replier in givers else next(iter(among), None)
        self.blocks, self.free, self.count = {}, [], 0

    def announce_model(self, args):
        """Tell the program that this rank is ready, and what the model takes and gives."""
        message = {"rank": self.comm.rank, "here": len(self.here), "replies": self.comm.rank == self.replier}
        if self.comm.rank == self.replier:
            values = {"inputs": all_inputs(self.everyone).items(), "outputs": self._outputs()}
            for key, named in values.items():
                message[key] = [(name, array_dtype(value.dtype), list(value.shape)) for name, value in named]
            stages = sum(shard.passes_on for shard in self.everyone)
            message.update(size=self.comm.size, backend=args.backend, in_flight=IN_FLIGHT + stages)
        if self.connection:
            link.send(self.connection, link.Message(0, more=message).packed())

    def _outputs(self):
        """Return [(name, mindir.Value)]; a name that is used again gets its index appended."""
        named = {}
        for index, value in enumerate(self.everyone[self.giver].outputs if self.giver is not None else ()):
            named[f"{value.name}.{index}" if value.name in named else value.name] = value
        return list(named.items())

    def write_outputs(self, number, outputs, found):
        """Write the outputs where the program reads them; return the message to it, and the file of new memory.

        Both are None on a rank that doesn't reply.
        """
        rank, arrays = self.comm.rank, []
        if rank == self.giver:
            arrays = [output.get_data_to_numpy() for output in outputs]
            if rank != self.replier:
                self.comm.send(arrays, self.replier)
        elif rank == self.replier and self.giver is not None:
            arrays = self.comm.recv(source=self.giver)
        if rank != self.replier or not self.connection:
            return None, None
        more = {"check": found} if found else {}
        if not arrays:
            return link.Message(number, more=more), None
        kinds = link.kinds_of(arrays)
        place, dropped, file = self._free_block(link.nbytes(kinds))
        block = self.blocks[place]
        if block.lay_out(kinds):
            more.update(kinds=kinds, size=block.size)
        for view, array in zip(block.views, arrays):
            view[...] = array
        return link.Message(number, place, dropped, more), file

    def send_answer(self, message, file):
        """Send what write_outputs() has returned; return whether the program is still there."""
        try:
            if message:
                link.send(self.connection, message.packed(), file)
            return True
        except OSError:
            return False
        finally:
            if file is not None:
                os.close(file)

    def _free_block(self, needed):
        """Return (the number of a block that nobody reads, the blocks given up, its open file if it is a new one)."""
        large, file = [block for block in self.free if self.blocks[block].size >= needed], None
        dropped = [block for block in self.free if block not in large] + large[FREE:]
        if large:
            block = large[0]
        else:
            self.count += 1
            block, file = self.count, new_file(needed)
            self.blocks[block] = link.Memory(os.dup(file), needed)
        for old in dropped:
            del self.blocks[old]
        self.free = [other for other in large[:FREE] if other != block]
        return block, dropped, file

    def reuse_blocks(self, blocks):
        """Use blocks of memory again that the program doesn't read any more."""
        self.free += [block for block in blocks if block in self.blocks]


def new_file(size):
    try:
        return link.new_file(size)
    except OSError as error:
        raise ranks.Stop(ranks.FAILED, f"no shared memory for {size} bytes of outputs: {error.strerror}") from None
