"""What is known about a file: its values, its collectives, its stages."""

from typing import List, NamedTuple, Optional, Tuple


class Value(NamedTuple):
    """A tensor that goes in, out or between stages; -1 in `shape` is a dimension that the file leaves open."""

    name: str
    dtype: str
    shape: Tuple[int, ...]

    def __str__(self):
        return f"{self.name or '(unnamed)'}  {self.dtype} {self.shape}"


class Collective(NamedTuple):
    """One exchange between all ranks, along axis 0: `input` and `output` are values of this rank's graph."""

    op: str  # AllReduce, AllGather or ReduceScatter
    reduction: str  # sum, max, min or prod; empty for AllGather
    ranks: int  # group size that the node was exported for; 0 where it doesn't say
    group: str
    dtype: str
    shape: Tuple[int, ...]  # of the input
    node: str
    input: str
    output: str

    def signature(self):
        """What all ranks must agree on, as text."""
        reduction = f"({self.reduction})" if self.reduction else ""
        return f"{self.op}{reduction} of {self.dtype} {self.shape}"


class Stage(NamedTuple):
    """What lies between two collectives: a model without any, and the values that go in and out, in its order."""

    model: object
    inputs: List[str]
    outputs: List[str]


class Plan(NamedTuple):
    """How a rank runs: the values that go in, a list of Stage and Collective in order, the values that come out."""

    inputs: List[str]
    steps: List[object]
    outputs: List[str]


class Shard(NamedTuple):
    """What one file holds. `model` is the protobuf message; `summary()` leaves it out, to be sent to other ranks."""

    path: str
    producer: str
    inputs: List[Value]
    outputs: List[Value]
    parameters: int
    nbytes: int
    collectives: List[Collective]
    model: Optional[object] = None

    def summary(self):
        return self._replace(model=None)
