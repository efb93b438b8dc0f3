"""Graphs from untrusted sources, and all that mindir does with a file."""

from collections import Counter

import numpy as np

import mindir

PROTO = mindir.PROTO
INT64, TENSORS, TUPLE, UMONAD = 7, 19, 20, 23
HUGE = 2**62


def tensor_of(dims, data_type=1, **fields):
    return PROTO["Tensor"](dims=dims, data_type=data_type, **fields)


class Builder:
    """A model that is being built. A node refers to the primitive of its operator unless told otherwise."""

    def __init__(self):
        self.model = PROTO["Model"](ir_version="0.1.1", producer_name="MindSpore", model_version="2.0.0")
        self.graph = self.model.graph
        self.primitives = set()

    def input(self, name, dims=(4, 8), data_type=1):
        self.graph.input.add(name=name).tensor.add().CopyFrom(tensor_of(dims, data_type))
        return name

    def parameter(self, name, dims=(8, 8), **fields):
        fields = fields or {"raw_data": bytes(4 * int(np.prod(dims)))}
        self.graph.parameter.add().CopyFrom(tensor_of(dims, name=name, **fields))
        return name

    def external(self, name, location, dims=(8, 8), offset=0, length=256):
        data = PROTO["External"](location=location, offset=offset, length=length)
        return self.parameter(name, dims, external_data=data)

    def primitive(self, op_type, name="", **attributes):
        name = name or op_type
        if name not in self.primitives:
            self.primitives.add(name)
            made = self.model.primitives.add(name=name, op_type=op_type)
            for key, value in attributes.items():
                made.attribute.add(name=key, **({"s": value} if isinstance(value, bytes) else {"i": value}))
        return f"REF::{name}"

    def node(self, op, output, inputs, dims=(4, 8), data_type=1, op_type=None):
        op_type = op_type or (op if op == "Constant" else self.primitive(op))
        node = self.graph.node.add(op_type=op_type, name=output, input=inputs, output=[output])
        name = "value" if op == "Constant" else "shape"
        if dims is not None:
            node.attribute.add(name=name, type=TENSORS).tensors.add().CopyFrom(tensor_of(dims, data_type))
        return output

    def tuple(self, output, inputs):
        return self.node("MakeTuple", output, inputs, dims=None)

    def collective(self, op, output, value, dims=(4, 8)):
        ref = self.primitive(op, group=b"hccl_world_group", op=b"sum", rank_size=2)
        return self.node(op, output, [value], dims, op_type=ref)

    def output(self, *names):
        for name in names:
            self.graph.output.add(name=name)
        return self

    def write(self, path):
        path.write_bytes(self.model.SerializeToString())
        return str(path)


def everything(path, folder):
    """Do everything that the package can do with a file; return how often each step was done or refused.

    Anything but a MindIRError is a crash.
    """
    ends = Counter()

    def attempt(work, *arguments):
        try:
            result = work(*arguments)
        except mindir.MindIRError as error:
            assert error.status == 2
            assert str(error).isprintable()
            assert 0 < len(str(error)) < 3000
            ends[f"{work.__name__} refused"] += 1
            return None
        ends[f"{work.__name__} done"] += 1
        return result

    shard = attempt(mindir.load, path)
    if shard is None:
        return ends
    attempt(mindir.check_set, [shard.summary()] * 2)
    attempt(mindir.check_shared, shard, shard)
    ranges = attempt(mindir.Ranges, shard)
    if ranges:
        attempt(ranges.check, dict.fromkeys(range(len(shard.inputs)), (0, 5)))
    plan = attempt(mindir.cut, shard)
    for index, step in enumerate(plan.steps if plan else []):
        if isinstance(step, mindir.Stage):
            assert mindir.load(attempt(mindir.write, step, shard, str(folder), f"stage{index}")).outputs
    for work, arguments in ((mindir.repair, ()), (mindir.split_all_reduce, (2,))):
        shard = mindir.load(path)
        before = shard.model.SerializeToString()
        if attempt(work, shard, *arguments) is None:
            assert shard.model.SerializeToString() == before
        else:
            attempt(mindir.save, shard, str(folder))
    return ends


# Where values are


OUTSIDE = ["/bin/bash", "../data_0", "a/../../data_0", "inner/../../data_0", "..", "", ".", "/", "a\0b"]
