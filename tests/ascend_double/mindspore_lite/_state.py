"""Parameters that Assign changes: GE keeps them on the device, the double beside its stages."""


def opened(mindir, shard):
    """Return (the shard with each such parameter as a last input and its new value as a last output, {name: kind}).

    A Load whose monad comes after the Assign takes the new value, any other Load the old one.
    """
    model = mindir.PROTO["Model"].FromString(shard.model.SerializeToString())
    kinds, graph = mindir.Graph(shard.path, model).kind, model.graph
    ops = {primitive.name: primitive.op_type for primitive in model.primitives}
    assigned, instead, done = {}, {}, {}  # {parameter: new value}, {Assign's output: it}, {value: assigned before it}
    nodes = list(graph.node)
    for node in nodes:
        before = set().union(*(done.get(name, ()) for name in node.input))
        if ops.get(node.op_type[5:]) == "Load" and node.input[0] in before:
            node.input[0] = assigned[node.input[0]]
        node.input[:] = [instead.get(name, name) for name in node.input]
        if ops.get(node.op_type[5:]) == "Assign":
            name, value = node.input[:2]
            if name in assigned or name not in {tensor.name for tensor in graph.parameter}:
                raise mindir.MindIRError(f"{shard.path}: the double has one Assign of each parameter, and no other")
            assigned[name] = instead[node.output[0]] = value
            before = before | {name}
        done[node.output[0]] = before
    for messages, left in (
        (graph.node, [node for node in nodes if node.output[0] not in instead]),
        (graph.parameter, [tensor for tensor in graph.parameter if tensor.name not in assigned]),
    ):
        left = [type(message).FromString(message.SerializeToString()) for message in left]
        del messages[:]
        messages.extend(left)
    kept = [tensor for tensor in shard.model.graph.parameter if tensor.name in assigned]
    for tensor in kept:
        graph.input.add(name=tensor.name).tensor.add(dims=tensor.dims, data_type=tensor.data_type)
        graph.output.add(name=assigned[tensor.name])
    return shard._replace(model=model), {tensor.name: kinds[tensor.name] for tensor in kept}
