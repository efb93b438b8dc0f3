"""Which ranks have outputs to show: all have the same, or only those in a pipeline's last stage have any."""

import ranks


class Outputs:
    """The ranks' outputs: `mine` are this rank's output Tensors, None if this rank has none of the net's.

    `shards` are the mindir.Shard of all ranks, `comm` has those that this rank can talk to.
    """

    def __init__(self, comm, shards, tensors):
        self.comm, self.mine = comm, None if shards[comm.rank].passes_on else tensors
        self.givers = [rank for rank, shard in enumerate(shards) if not shard.passes_on]
        self.partial = len(self.givers) < len(shards)

    def lines(self):
        """Return the lines that show every rank's outputs, in the order of the ranks; each line carries its rank."""
        tag = f"rank {self.comm.rank}: " if self.comm.size > 1 else ""
        mine = [] if self.mine is None else [tag + line for line in ranks.describe(self.mine)]
        lines = [line for rank_lines in self.comm.allgather(mine) for line in rank_lines]
        if self.partial:
            lines.append(f"the outputs are those of {self.who()}: the last stage of the pipeline")
        return lines

    def who(self):
        """Return which ranks have outputs, as text."""
        numbers = ", ".join(map(str, self.givers))
        return f"rank{'s' if len(self.givers) > 1 else ''} {numbers}"

    def first(self, convert):
        """Return convert(tensor) of the outputs of the first rank that has some; None if no rank here has.

        All ranks of `comm` call this together, and each gets it.
        """
        here = getattr(self.comm, "here", range(self.comm.size))
        wanted = self.comm.rank == next((rank for rank in here if rank in self.givers), None)
        everyone = self.comm.allgather([convert(tensor) for tensor in self.mine] if wanted else None)
        return next((made for made in everyone if made is not None), None)
