"""What is known about a file: its values, its collectives, its stages."""

from typing import Dict, List, NamedTuple, Optional, Tuple


class Value(NamedTuple):
    """A tensor that goes in, out or between stages; -1 in `shape` is a dimension that the file leaves open."""

    name: str
    dtype: str
    shape: Tuple[int, ...]

    def __str__(self):
        return f"{self.name or '(unnamed)'}  {self.dtype} {self.shape}"


class Collective(NamedTuple):
    """One exchange among the ranks of a group: `input` and `output` are values of this rank's graph.

    AllGather and ReduceScatter are along axis 0. A Receive has no input, and a Send has no result.
    """

    op: str  # AllReduce, AllGather, ReduceScatter, Broadcast, AlltoAll, Send, Receive, or one that CPU ranks don't have
    reduction: str  # sum, max, min or prod; empty if nothing is reduced
    ranks: int  # group size that the node was exported for; 0 if it doesn't say
    group: str
    dtype: str
    shape: Tuple[int, ...]  # of the input; of a Receive, of the output
    node: str
    input: str
    output: str
    members: Tuple[int, ...] = ()  # the group's ranks in order; () for all ranks, or if the file doesn't name them
    detail: Tuple[int, ...] = ()  # places in the group: a peer's, with the tag; the root's; AlltoAll: see signature
    world: bool = True  # whether the group has all ranks

    def signature(self):
        """Return, as text, what all ranks of the group must agree on."""
        details = self.reduction
        if self.op == "Broadcast":
            details = f"from place {self.detail[0]}"
        elif self.op == "AlltoAll":
            details = f"{self.detail[0]} parts along {self.detail[1]}, joined along {self.detail[2]}"
        elif self.detail:
            place, tag = self.detail
            details = f"{'to' if self.op == 'Send' else 'from'} place {place}, tag {tag}"
        return f"{self.op}{f'({details})' if details else ''} of {self.dtype} {self.shape}"

    def group_ranks(self, count):
        """Return the ranks of the group in order, of `count` ranks in all; () if the file doesn't name them."""
        return tuple(range(count)) if self.world else self.members

    def among(self):
        """Return, as text, which ranks take part."""
        if self.world:
            return "all ranks"
        if not self.members:
            return f"group {self.group}"
        return f"rank{'s' if len(self.members) > 1 else ''} {', '.join(map(str, self.members))}"

    def peer(self, count):
        """Return the rank that a Send goes to or a Receive comes from, of `count` ranks in all."""
        return self.group_ranks(count)[self.detail[0]]


class Stage(NamedTuple):
    """What is between two collectives: a model without any, and the values that go in and out, in its order."""

    model: object
    inputs: List[str]
    outputs: List[str]


class Plan(NamedTuple):
    """How a rank runs: the values that go in, a list of Stage and Collective in order, the values that come out.

    `constants` are weights, as arrays by value, that a collective takes as they are.
    """

    inputs: List[str]
    steps: List[object]
    outputs: List[str]
    constants: Dict[str, object] = {}


class Shard(NamedTuple):
    """What one file holds. `model` is the protobuf message; `summary()` leaves it out, to be sent to other ranks."""

    path: str
    producer: str
    inputs: List[Value]
    outputs: List[Value]
    parameters: int
    nbytes: int
    collectives: List[Collective]
    passes_on: bool = False  # whether it has no output of the net's: a pipeline stage that isn't the last
    is_lowered: bool = False  # whether the file was newer than what the engine reads
    model: Optional[object] = None

    def summary(self):
        return self._replace(model=None)
