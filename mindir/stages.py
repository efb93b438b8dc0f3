"""A model cut at its collectives into stages that an engine without collectives can run."""

import os
from collections import defaultdict
from typing import List

import numpy as np

from mindir.collectives import PEERS, check_collective
from mindir.constants import encode
from mindir.dtypes import describe, nbytes
from mindir.errors import MindIRError
from mindir.graph import SIDE_EFFECT, Graph, attribute, check_stateless, label, primitive_name, times_taken
from mindir.parameters import values
from mindir.records import Plan, Stage
from mindir.repairs import repair
from mindir.schema import PROTO, TENSORS, TUPLE

MOST_MORE = 1 << 30  # bytes by which all stages together may exceed the file, not counting weights
RESHAPES = ("Reshape", "ExpandDims", "Squeeze", "Flatten")
COPIED = {"float32": "Slice", "int32": "Slice", "bool": "LogicalOr"}  # dtype: what copies such a value
MADE_AGAIN = ("Constant", "MakeTuple")  # copied to each stage that needs them, not passed on between stages


def cut(shard, in_order=None, resized=False):
    """Return the Plan that runs the shard; `resized` if its stages will take other shapes than the file says.

    Stage k holds the nodes with k collectives before them, so collectives that don't wait for each other follow the
    same stage. With `in_order` they stay in the model's order, too; None stands for needs_order() of this shard alone.
    Nodes that neither an output nor a collective needs are left out. Raises MindIRError, naming the node, for what
    can't be cut.
    """
    net = Graph(shard.path, repair(shard).model)
    collectives = _checked_collectives(net)
    level, before = _levels(net, collectives, needs_order([shard]) if in_order is None else in_order)
    outputs = [] if shard.passes_on else net.outputs
    ends = [collective.input for collective in collectives.values() if collective.input] + outputs
    handed_on: List[set] = [set() for _ in range(max([*before.values(), *map(level.get, outputs)]) + 1)]
    for value in ends:
        if value in net.nodes and value not in collectives and net.op[value] != "Constant":
            handed_on[level[value]].add(value)
    exchanged = defaultdict(list)  # stage: the collectives after it
    for collective in collectives.values():
        exchanged[before[collective.output]].append(collective)
    order = {value: place for place, value in enumerate([*net.parameters, *net.nodes])}
    budget = 16 * sum(1 + len(inputs) for inputs in net.inputs.values()) + len(order)  # values in all stages
    size = os.path.getsize(net.path) + MOST_MORE  # the file's own: ByteSize() would write the weights once more
    resized = resized or any(-1 in net.kind[value.name][1] for value in net.model.graph.input)
    steps: List[object] = []
    for here in reversed(range(len(handed_on))):  # earlier stages have to pass on what a stage takes
        steps += reversed(exchanged[here])
        if not handed_on[here]:
            continue
        inside, inputs = _needed(net, collectives, level, handed_on[here], here)
        budget -= len(inside) + len(inputs)
        if budget < 0 or size < 0:
            raise MindIRError(f"{net.path}: its tuples and constants are taken in too many stages: export fewer")
        for value in inputs:
            if value in net.nodes and value not in collectives:
                handed_on[level[value]].add(value)
        inside = sorted(inside, key=order.__getitem__)
        steps.append(_stage(net, inside, sorted(inputs), sorted(handed_on[here]), resized))
        size -= steps[-1].model.ByteSize()
    constants = {
        collective.input: _constant(net, collective.input)
        for collective in collectives.values()
        if _is_stored(net, collective.input)
    }
    constants.update((value, _constant(net, value)) for value in outputs if _is_stored(net, value))
    return Plan([value.name for value in shard.model.graph.input], steps[::-1], outputs, constants)


def _is_stored(net, value):
    """Return whether the file holds the value: a weight or a constant."""
    return value in net.parameters or net.op.get(value) == "Constant"


def _constant(net, value):
    """Return the array of a weight or a constant that a collective takes or that is an output: no stage computes it."""
    dtype, shape = net.kind[value]
    if value in net.parameters:
        data = values(net.path, net.parameters[value])
    else:
        data = attribute(net.nodes[value], "value").tensors[0].raw_data
    if len(data) != nbytes(dtype, shape):
        raise MindIRError(f"{net.path}: {net.full_name(value)}: a constant that isn't there in full: damaged file")
    return np.frombuffer(data, dtype).reshape(shape) if len(data) else np.empty(shape, dtype)


def needs_order(shards):
    """Return whether the collectives of a set have to stay in the model's order.

    They do if there are several groups of ranks, or a Send or Receive: in another order, ranks could wait for each
    other in a circle. If all are among all ranks, each collective may start as soon as its input is there.
    """
    collectives = [collective for shard in shards for collective in shard.collectives]
    groups = {collective.members for collective in collectives}
    return len(groups) > 1 or any(collective.op in PEERS for collective in collectives)


def _levels(net, collectives, in_order):
    """Return ({value: the first stage that can use it}, {a collective's output: the stage before it})."""
    level, before, latest = dict.fromkeys(net.kind, 0), {}, 0
    for value, inputs in net.inputs.items():
        collective = collectives.get(value)
        if collective is None:
            level[value] = max([level[taken] for taken in inputs], default=0)
            continue
        here = level[collective.input] if collective.input else 0
        latest = max(here, latest)
        before[value] = latest if in_order else here
        level[value] = before[value] + 1
    return level, before


def _needed(net, collectives, level, wanted, here):
    """Return what computes the values `wanted` in stage `here`: parameters and nodes, and the stage's inputs."""
    inside, inputs, todo = set(), set(), list(wanted)
    while todo:
        value = todo.pop()
        if value in inside or value in inputs:
            continue
        computed = value in net.nodes and value not in collectives
        if value in net.parameters or computed and (net.op[value] in MADE_AGAIN or level[value] == here):
            inside.add(value)
            todo += net.inputs.get(value, [])
            continue
        if value not in net.kind:
            where = f"{net.path}: node {label(net.nodes[value])}"
            raise MindIRError(f"{where}: its tuple is taken after a later collective, which can't be cut")
        inputs.add(value)
    return inside, inputs


def _checked_collectives(net):
    """Return {output: Collective}; a ReduceScatter that only an AllGather takes becomes one AllReduce with it."""
    for value, op in net.op.items():
        where = f"{net.path}: node {label(net.nodes[value])}"
        if op in ("Call", "Partial", "Switch") or not all(net.has(taken) for taken in net.inputs[value]):
            raise MindIRError(f"{where}: control flow ({op}) can't be cut into stages: export the net without it")
        if op.startswith(SIDE_EFFECT) and net.inputs[value][0] not in net.parameters:
            raise MindIRError(f"{where}: {op[len(SIDE_EFFECT) :]} has a side effect: export the net without it")
    check_stateless(net)
    for collective in net.collectives:
        check_collective(net.path, collective)
    if not net.outputs:
        raise MindIRError(f"{net.path}: gives no output")
    for value in [] if net.passes_on() else net.outputs:
        if value not in net.kind:
            raise MindIRError(f"{net.path}: output {net.full_name(value)} isn't a tensor")
    taken = times_taken(net)
    takers = {value: node for node, inputs in net.inputs.items() if taken[node] for value in inputs}
    found = {collective.output: collective for collective in net.collectives}
    for collective in net.collectives:
        first = found.get(collective.input)
        joined = first and (collective.op, first.op) == ("AllGather", "ReduceScatter")
        if joined and first.members == collective.members and taken[first.output] == 1:
            node = f"{first.node} + {collective.node}"
            whole = first._replace(op="AllReduce", node=node, output=collective.output)
            del found[first.output], found[collective.output]
            if taken[whole.output] == 1:
                whole = _without_reshapes(net, whole, takers.get(whole.output))
            found[whole.output] = whole
    return found


def _without_reshapes(net, collective, result):
    """Return the AllReduce of what is reshaped for it and reshaped back after it, as sums of any number of rows are.

    It adds number by number, whatever the shape: two nodes less. `result` is all that takes what it makes.
    """
    if not net.op.get(collective.input) == net.op.get(result) == "Reshape":
        return collective
    value = "".join(net.inputs[collective.input][:1])
    kinds = net.kind.get(value), net.kind.get(result)
    if value not in net.nodes or not kinds[0] or kinds[0] != kinds[1] or kinds[0][1].count(-1) > 1:
        return collective
    return collective._replace(input=value, output=result, shape=kinds[0][1])


def _stage(net, inside, inputs, outputs, resized):
    """Return the Stage that computes the values `outputs` from the values `inputs`.

    `inside` are the values that are made in it: parameters, then nodes, both in the model's order. If it will be
    `resized`, what is reshaped is never an input itself: mindspore_lite 2.0 then keeps the memory for fewer numbers,
    and writes beyond it when there are more again.
    """
    model = PROTO["Model"](
        ir_version=net.model.ir_version, producer_name=net.model.producer_name, model_version=net.model.model_version,
        little_endian=net.model.little_endian, mind_ir_version=net.model.mind_ir_version,
    )  # fmt: skip
    graph, names = model.graph, {value: f"in{index}" for index, value in enumerate(inputs)}
    graph.name = "stage"
    for value in inputs:  # mindspore_lite shortens names at ':', so a stage's values get new names
        describe(graph.input.add(name=names[value]).tensor.add(), net.kind[value])
    primitives, copied = {}, {}  # input: its copy
    for value in inside:
        if value in net.parameters:  # write() adds where the values are
            parameter = net.parameters[value]
            graph.parameter.add(name=value, dims=parameter.dims, data_type=parameter.data_type)
            continue
        first = "".join(net.inputs[value][:1]) if net.op[value] in RESHAPES and resized else ""
        if first in names and first not in copied and net.kind[first][0] in COPIED and net.kind[first][1]:
            copied[first] = _copy(model, names[first], net.kind[first])
        made, name = graph.node.add(), primitive_name(net.nodes[value])
        made.CopyFrom(net.nodes[value])
        made.input[:] = [names.get(taken, taken) for taken in net.inputs[value]]
        if first in copied:
            made.input[0] = copied[first]
        if name in net.primitives:
            primitives[name] = net.primitives[name]
    model.primitives.extend(primitives.values())
    if len(outputs) == 1:
        describe(graph.output.add(name=outputs[0]).tensor.add(), net.kind[outputs[0]])
    else:
        _end_in_tuple(model, outputs, [net.kind[value] for value in outputs])
    return Stage(model, inputs, outputs)


def _copy(model, name, kind):
    """Add nodes that copy an input, whatever its shape turns out to be; return the copy's name."""
    copy, dimensions, op = f"{name}-copy", len(kind[1]), COPIED[kind[0]]
    if not any(primitive.name == f"{op}:stage" for primitive in model.primitives):
        model.primitives.add(name=f"{op}:stage", op_type=op)
    ends = {f"{copy}-first": (0,) * dimensions, f"{copy}-sizes": (-1,) * dimensions} if op == "Slice" else {}
    for end, numbers in ends.items():
        node = model.graph.node.add(name=end, output=[end], op_type="Constant")
        node.attribute.add().CopyFrom(encode("value", numbers))
    inputs = [name, *(ends or [name])]
    node = model.graph.node.add(name=copy, input=inputs, output=[copy], op_type=f"REF::{op}:stage")
    describe(node.attribute.add(name="shape", type=TENSORS).tensors.add(), kind)
    return copy


def _end_in_tuple(model, outputs, kinds):
    """Let the model return a tuple of these values, as MindSpore does for a net with several outputs."""
    graph = model.graph
    model.primitives.add(name="MakeTuple:stage", op_type="MakeTuple")
    node = graph.node.add(input=outputs, output=["outputs"], name="outputs", op_type="REF::MakeTuple:stage")
    shape = node.attribute.add(name="shape", type=TUPLE)
    graph.output.add(name="outputs", denotation="Tuple").attr_info.type = TUPLE
    for kind in kinds:
        for tuple_type in (shape, graph.output[0].attr_info):
            describe(tuple_type.values.add(type=TENSORS).tensors.add(), kind)
            tuple_type.seq_info.is_dyn_len = False
