"""What mindspore_lite 2.0.0 would compute wrongly without a word, rewritten."""

from mindir.errors import MindIRError
from mindir.graph import Graph, label, times_taken
from mindir.schema import INT64, PROTO, TUPLE


def repair(shard):
    """Rewrite, in place, what mindspore_lite 2.0.0 would compute wrongly without a word; return the shard.

    - It transposes a weight in place even if another product takes it as it was: each kind of product gets its own.
    - It drops a Transpose before a Reshape if the Transpose's input and output have one shape: a dimension of 1 goes
      from the last place to the first on the way, so that they don't.
    - It makes a ReLU part of the product before it, also for others that take that product: a Reshape parts them.
    """
    graph, net = shard.model.graph, Graph(shard.path, shard.model)
    taken = times_taken(net)
    nodes, users = list(graph.node), {}  # parameter: the kind of product that takes it
    del graph.node[:]
    for node in nodes:
        value, inputs = node.output[0], net.inputs[node.output[0]]
        op, kind = net.op[value], net.kind.get(value)
        order = _constant(net, inputs[1]) if op == "Transpose" and len(inputs) == 2 else []
        if op in ("MatMul", "BatchMatMul"):
            for index, each in enumerate(inputs):
                if each in net.parameters and users.setdefault(each, node.op_type) != node.op_type:
                    node.input[index] = f"{each} for {node.op_type}"
                    if node.input[index] not in users:
                        users[node.input[index]] = node.op_type
                        graph.parameter.add().CopyFrom(net.parameters[each])
                        graph.parameter[-1].name = node.input[index]
        elif op in ("ReLU", "ReLU6") and inputs and kind and taken[inputs[0]] > 1:
            node.input[0] = _add_with_constant(
                shard, node, "Reshape", f"{value}~apart", node.input[0], kind[1], kind[1]
            )
        elif kind and order != sorted(order) and kind == net.kind.get(inputs[0]):
            shape, turned = kind[1], (len(order), *order)
            last = _add_with_constant(shard, node, "Reshape", f"{value}~in", node.input[0], (*shape, 1), (*shape, 1))
            last = _add_with_constant(shard, node, "Transpose", f"{value}~turned", last, turned, (1, *shape))
            _add_with_constant(shard, node, "Reshape", value, last, shape, shape)
            continue
        graph.node.add().CopyFrom(node)
    return shard


def _add_with_constant(shard, node, op, name, taken, constant, shape):
    """Add a Reshape or Transpose of the value `taken`, told by a constant, to the graph; return its own value `name`.

    `shape` is what comes out; everything else is as in `node`.
    """
    if shape.count(-1) > 1:
        raise MindIRError(f"{shard.path}: node {label(node)} has the open shape {shape}: export it with a fixed one")
    if not any(each.name == f"{op}:repair" for each in shard.model.primitives):
        shard.model.primitives.add(name=f"{op}:repair", op_type=op, instance_name=op.lower())
    numbers = shard.model.graph.node.add(name=f"{name}~constant", output=[f"{name}~constant"], op_type="Constant")
    items = numbers.attribute.add(name="value", type=TUPLE).values
    items.extend(PROTO["Attribute"](ints=[each], type=INT64) for each in constant)
    made = shard.model.graph.node.add()
    made.CopyFrom(node)
    made.name, made.op_type = name, f"REF::{op}:repair"
    made.domain = label(node) if name == node.output[0] else f"{label(node)}-{name.rsplit('~', 1)[-1]}"
    made.input[:], made.output[:] = [taken, numbers.name], [name]
    attribute(made, "shape").tensors[0].dims[:] = shape
    return name


def attribute(node, name):
    return next(each for each in node.attribute if each.name == name)


def _constant(net, value):
    """Return the whole numbers of a Constant node, [] for anything else."""
    if net.op.get(value) != "Constant":
        return []
    return [number for each in net.nodes[value].attribute for item in each.values for number in item.ints]
