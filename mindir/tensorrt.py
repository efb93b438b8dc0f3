"""Collectives that mindspore_lite's TensorRT hasn't, made of those that it has."""

from mindir.errors import MindIRError
from mindir.graph import attribute, primitive_name
from mindir.schema import INT64, PROTO


def split_all_reduce(shard, ranks):
    """Rewrite every AllReduce of the shard's model, in place, to ReduceScatter and AllGather, and return the shard.

    mindspore_lite's TensorRT has no AllReduce; the two together are one. Raises MindIRError, and leaves the shard as
    it was, where the first dimension can't be scattered over the ranks.
    """
    graph = shard.model.graph
    sums = {collective.output: collective for collective in shard.collectives if collective.op == "AllReduce"}
    primitives = {primitive.name: primitive for primitive in shard.model.primitives}
    nodes, new = [], {}
    for node in graph.node:
        if node.output[0] not in sums:
            nodes.append(node)
            continue
        collective = sums[node.output[0]]
        _check_shape(shard.path, node, collective, ranks)
        name, shape = primitive_name(node), collective.shape
        scatter, gather = _copy(node, "ReduceScatter"), _copy(node, "AllGather")
        for made, op in ((scatter, "ReduceScatter"), (gather, "AllGather")):
            if primitive_name(made) not in new:
                new[primitive_name(made)] = _primitive(primitives[name], primitive_name(made), op, ranks)
        scatter.output[0] = scatter.name = f"{collective.output}~scattered"
        gather.input[0] = scatter.output[0]
        attribute(scatter, "shape").tensors[0].dims[:] = (shape[0] // ranks, *shape[1:])
        nodes += [scatter, gather]
    if new:
        nodes = PROTO["Graph"](node=nodes).node  # a copy: clearing a list takes what is in it along
        del graph.node[:]
        graph.node.extend(nodes)
        shard.model.primitives.extend(primitive for name, primitive in new.items() if name not in primitives)
    return shard


def _check_shape(path, node, collective, ranks):
    """Raise MindIRError unless the AllReduce can be split over the ranks."""
    shape, made = collective.shape, attribute(node, "shape")
    if not shape or shape[0] % ranks or shape[0] < 0 and ranks > 1:
        raise MindIRError(
            f"{path}: node {collective.node}: AllReduce of {shape}, whose first dimension can't be split over "
            f"{ranks} ranks, as TensorRT's ReduceScatter needs: export it with another first dimension"
        )
    if made is None or len(made.tensors) != 1:
        raise MindIRError(f"{path}: node {collective.node} doesn't say what shape it makes: damaged file")


def _copy(node, op):
    """Return a copy of the AllReduce `node` that is to be this collective, with a label of its own in the logs."""
    made = PROTO["Node"]()
    made.CopyFrom(node)
    made.op_type, made.domain = f"REF::{op} of {primitive_name(node)}", f"{node.domain}-{op}"
    return made


def _primitive(old, name, op, ranks):
    """Return a copy of the primitive `old` that is this collective over so many ranks."""
    made = PROTO["Primitive"]()
    made.CopyFrom(old)
    made.name, made.op_type = name, op
    size = attribute(made, "rank_size") or made.attribute.add(name="rank_size", type=INT64)
    size.i = ranks
    return made
