"""Whether what is computed from int64 inputs fits int32, in which mindspore_lite's CPU computes int64.

Interval arithmetic: for each whole-number value, the least and the most that it can be, from those of the inputs. The
result of a primitive without a rule here is unknown, and so is what is computed from it: that is let through.
"""

import numpy as np

from mindir.constants import decode
from mindir.errors import MindIRError, understood
from mindir.graph import Graph, attribute, label
from mindir.parameters import values
from mindir.shapes import product

LEAST, MOST = -(2**31), 2**31 - 1
WHOLE = ("int64", "int32", "bool")


def span(numbers):
    return min(numbers), max(numbers)


def size(x):
    return max(-x[0], x[1])


def joined(*ranges):
    return min(x[0] for x in ranges), max(x[1] for x in ranges)


def same(x, *_):
    return x


RULES = {  # primitive: its result's range, computed from those of its inputs
    "Add": lambda x, y: (x[0] + y[0], x[1] + y[1]),
    "Sub": lambda x, y: (x[0] - y[1], x[1] - y[0]),
    "Mul": lambda x, y: span([a * b for a in x for b in y]),
    "Maximum": lambda x, y: (max(x[0], y[0]), max(x[1], y[1])),
    "Minimum": lambda x, y: (min(x[0], y[0]), min(x[1], y[1])),
    "Neg": lambda x: (-x[1], -x[0]),
    "Abs": lambda x: (0, size(x)),
    "Square": lambda x: (0, size(x) ** 2),
    "FloorDiv": lambda x, _: (-size(x), size(x)),
    "FloorMod": lambda _, y: (min(y[0] + 1, 0), max(y[1] - 1, 0)),
    "Select": lambda _, x, y: joined(x, y),
    "MakeTuple": joined,
    "make_list": joined,
}
SUMS = ("AllReduce", "CumSum", "ReduceScatter", "ReduceSum")
GROWING = ("Add", "Mul", "Pow", "Square", "Sub", *SUMS)
OF_FIRST = (  # primitives that return some of their first input's values, whatever the other inputs are
    "AllGather", "BroadcastTo", "Cast", "Concat", "ExpandDims", "Flatten", "Gather", "GatherD", "ReduceMax",
    "ReduceMin", "Reshape", "ReverseV2", "Slice", "Split", "Squeeze", "Stack", "StridedSlice", "Tile", "Transpose",
    "TupleGetItem",
)  # fmt: skip


class Ranges:
    """The whole numbers that the model of a shard, as it was loaded, computes from its inputs.

    `grows` says whether any can be larger than the inputs.
    """

    def __init__(self, shard):
        net = Graph(shard.path, shard.model)
        self.path, self.net_inputs = shard.path, [value.name for value in shard.model.graph.input]
        self.fixed = {name: found for name, found in ((name, _stored(net, name)) for name in net.parameters) if found}
        self.steps = []  # (value, its dtype, rule, the values that it takes, its node's label, its primitive)
        with understood(shard.path):
            self._note(net)
        self.fixed.update((name, (0, 1)) for name in self.net_inputs if net.kind[name][0] == "bool")
        self.grows = any(op in GROWING and dtype == "int64" for _, dtype, _, _, _, op in self.steps)
        self.safe = {}  # input: a range for which everything was found to fit

    def _note(self, net):
        """Note what is known about values in the file, and how others are computed from inputs."""
        exchanged = {collective.output: collective for collective in net.collectives}
        for value, op in net.op.items():
            dtype, _ = net.kind.get(value, ("tuple", ()))
            if dtype not in (*WHOLE, "tuple"):
                continue
            found = (0, 1) if dtype == "bool" else _constant(net.nodes[value]) if op == "Constant" else None
            rule, inputs = self._rule(net, op, value, exchanged.get(value))
            if found:
                self.fixed[value] = found
            elif rule:
                self.steps.append((value, dtype, rule, inputs, label(net.nodes[value]), op))

    def _rule(self, net, op, value, collective):
        """Return (rule, the inputs that it takes); the rule is None if there is none."""
        inputs = net.inputs[value]
        if op in OF_FIRST or collective and collective.reduction in ("max", "min"):
            return same, inputs[:1]
        if op in SUMS and inputs:
            count = collective.ranks * (collective.reduction == "sum") if collective else _summed(net, op, value)
            rule = (lambda x: (min(x[0], x[0] * count), max(x[1], x[1] * count))) if count else None
            return rule, inputs[:1]
        power = self.fixed.get(inputs[1], (0, 0))[0] if op == "Pow" and len(inputs) == 2 else 0
        if 1 < power < 64:
            return lambda x: (0 if x[0] >= 0 else -(size(x) ** power), size(x) ** power), inputs[:1]
        return RULES.get(op), inputs

    def check(self, given):
        """Raise MindIRError (status 2) if a value may be beyond int32, for {number of an input: (least, most)}."""
        ranges = {self.net_inputs[index]: found for index, found in given.items()}
        wide = {name: joined(found, self.safe.get(name, found)) for name, found in ranges.items()}
        if wide == self.safe:
            return
        with understood(self.path):
            if not self._beyond(wide):
                self.safe = wide
            elif self._beyond(ranges):
                raise MindIRError(f"{self.path}: {self._beyond(ranges)}")

    def _beyond(self, ranges):
        """Return what may be beyond int32, in words; "" if nothing is."""
        found = {**self.fixed, **ranges}
        for value, dtype, rule, inputs, node, op in self.steps:
            taken = [found.get(name) for name in inputs]
            if None in taken:
                continue
            least, most = rule(*taken)
            if dtype == "int64" and not LEAST <= least <= most <= MOST:
                beyond = f"with these inputs {op} may reach {most if most > MOST else least}, beyond int32"
                advice = "in which CPU ranks compute int64: give smaller values, or run it on Ascend"
                return f"node {node}: {beyond}, {advice}"
            found[value] = max(least, LEAST), min(most, MOST)
        return ""


def _summed(net, op, value):
    """Return how many values a sum adds, at most; 0 for open shapes."""
    before, after = (net.kind.get(name, ("", (-1,)))[1] for name in (net.inputs[value][0], value))
    if min(before + after, default=1) < 1:
        return 0
    return product(before) // (product(after) if op == "ReduceSum" else 1)


def _constant(node):
    made = attribute(node, "value")
    return _range(decode(made)) if made is not None else None


def _stored(net, name):
    parameter = net.parameters[name]
    if net.kind[name][0] not in ("int64", "int32") or parameter.compression_type:
        return None
    return _range(np.frombuffer(values(net.path, parameter), net.kind[name][0]))


def _range(numbers):
    """Return the range of a Python value; None unless it has only whole numbers."""
    array = np.asarray(numbers) if isinstance(numbers, (int, tuple, np.ndarray)) else np.empty(0, np.float32)
    return (int(array.min()), int(array.max())) if array.size and array.dtype.kind in "biu" else None
