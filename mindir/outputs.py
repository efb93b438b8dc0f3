"""Outputs in a form that engines can return: no tuples other than those of MakeTuple."""

from mindir.constants import encode
from mindir.graph import attribute, label
from mindir.schema import TENSORS, TUPLE


def part_outputs(model):
    """Replace an output that is a node's tuple, also inside a tuple of outputs, by a MakeTuple of its items."""
    graph = model.graph
    primitives = {primitive.name: primitive.op_type for primitive in model.primitives}
    nodes = {node.output[0]: node for node in graph.node if len(node.output) == 1}
    found = [output.name for output in graph.output]
    seen, renamed = set(), {}
    while found:
        value = found.pop()
        node = nodes.get(value)
        op = primitives.get(node.op_type[len("REF::") :]) if node is not None else None
        if op is None or value in seen:
            continue
        seen.add(value)
        if op in ("MakeTuple", "make_list"):
            found += node.input
        elif op in ("Load", "Depend") and node.input:
            found.append(node.input[0])
        else:
            made = attribute(node, "shape")
            if made is not None and made.type == TUPLE and all(len(item.tensors) == 1 for item in made.values):
                renamed[value] = _parted(model, value, node, made, primitives)
    if not renamed:
        return
    order = {node.output[0]: place for place, node in enumerate(graph.node)}
    for value in seen - set(renamed):
        node = nodes[value]
        node.input[:] = [renamed.get(name, name) for name in node.input]
    for output in graph.output:
        output.name = renamed.get(output.name, output.name)
    places = {}  # the new nodes follow the one that they take apart
    for node in graph.node:
        first = node.output[0].split(PART)[0]
        places[node.output[0]] = (order[first], order[node.output[0]])
    graph.node.sort(key=lambda node: places[node.output[0]])


PART = "~part"


def _parted(model, value, node, made, primitives):
    """Add the nodes that take the tuple `value` apart and make a new one; return the name of that."""
    graph = model.graph
    for op in ("TupleGetItem", "MakeTuple"):
        if f"{op}:output" not in primitives:
            primitives[f"{op}:output"] = op
            model.primitives.add(name=f"{op}:output", op_type=op, instance_name=op.lower())
    items = []
    for index, kind in enumerate(made.values):
        number = graph.node.add(op_type="Constant", name=f"{value}{PART}{index}~place")
        number.output.append(number.name)
        number.attribute.add().CopyFrom(encode("value", index))
        item = _add(graph, f"{value}{PART}{index}", "TupleGetItem", f"{label(node)}-{index}", [value, number.name])
        tensor = item.attribute.add(name="shape", type=TENSORS).tensors.add(data_type=kind.tensors[0].data_type)
        tensor.dims[:] = kind.tensors[0].dims
        items.append(item.name)
    whole = _add(graph, f"{value}{PART}s", "MakeTuple", f"{label(node)}-parts", items)
    whole.attribute.add().CopyFrom(made)
    return whole.name


def _add(graph, name, op, domain, inputs):
    node = graph.node.add(name=name, op_type=f"REF::{op}:output", domain=domain, input=inputs)
    node.output.append(name)
    return node
