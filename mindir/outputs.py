"""Outputs as the engine gives them: no tuple that a node makes."""

from mindir.constants import encode
from mindir.schema import TENSORS, TUPLE


def part_outputs(model):
    """Make of an output that is a node's tuple the tuple of its items, one node each."""
    graph = model.graph
    primitives = {each.name: each.op_type for each in model.primitives}
    nodes = {each.output[0]: each for each in graph.node}
    for output in graph.output:
        node = nodes.get(output.name)
        if node is None or primitives.get(node.op_type[5:]) in (None, "MakeTuple"):
            continue
        made = next((each for each in node.attribute if each.name == "shape"), None)
        if made is None or made.type != TUPLE or any(len(each.tensors) != 1 for each in made.values):
            continue
        for name in ("TupleGetItem", "MakeTuple"):
            if f"{name}:output" not in primitives:
                primitives[f"{name}:output"] = name
                model.primitives.add(name=f"{name}:output", op_type=name, instance_name=name.lower())
        both = _node(graph, f"{output.name}~all", "MakeTuple", node)
        shape = both.attribute.add()
        shape.CopyFrom(made)
        for index, kind in enumerate(made.values):
            number = graph.node.add(op_type="Constant", name=f"{output.name}~place{index}")
            number.output.append(number.name)
            number.attribute.add().CopyFrom(encode("value", index))
            item = _node(graph, f"{output.name}~item{index}", "TupleGetItem", node)
            item.input[:] = [output.name, number.name]
            tensor = kind.tensors[0]
            shape = item.attribute.add(name="shape", type=TENSORS).tensors.add(data_type=tensor.data_type)
            shape.dims[:] = tensor.dims
            both.input.append(item.name)
        output.name = both.name
        _last(graph, both)


def _node(graph, name, op, after):
    node = graph.node.add(name=name, op_type=f"REF::{op}:output", domain=f"{after.domain or after.name}-{name[-5:]}")
    node.output.append(name)
    return node


def _last(graph, node):
    """Move a node behind all others: what it takes was added after it."""
    name = node.output[0]
    graph.node.sort(key=lambda each: each.output[0] == name)


