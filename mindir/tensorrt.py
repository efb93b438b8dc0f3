"""Collectives that mindspore_lite's TensorRT hasn't, made of those that it has."""

from mindir.errors import MindIRError
from mindir.schema import INT64, attribute


def split_all_reduce(shard, ranks):
    """Rewrite every AllReduce of the shard's model, in place, to ReduceScatter and AllGather, and return the shard.

    mindspore_lite's TensorRT has no AllReduce; the two together are one. Raises MindIRError where the first dimension
    can't be scattered over the ranks.
    """
    graph, primitives = shard.model.graph, shard.model.primitives
    nodes = list(graph.node)
    del graph.node[:]
    for node in nodes:
        each = next((each for each in shard.collectives if each.output == node.output[0]), None)
        if each is None or each.op != "AllReduce":
            graph.node.add().CopyFrom(node)
            continue
        if not each.shape or each.shape[0] % ranks:
            raise MindIRError(
                f"{shard.path}: node {each.node}: AllReduce of {each.shape}, whose first dimension can't be split over "
                f"{ranks} ranks, as TensorRT's ReduceScatter needs: export it with another first dimension"
            )
        scatter, gather = graph.node.add(), graph.node.add()
        for made, op in ((scatter, "ReduceScatter"), (gather, "AllGather")):
            made.CopyFrom(node)
            made.op_type, made.domain = f"REF::{op} of {node.op_type[5:]}", f"{node.domain}-{op}"
            if not any(primitive.name == made.op_type[5:] for primitive in primitives):
                old = next(primitive for primitive in primitives if primitive.name == node.op_type[5:])
                new = primitives.add()
                new.CopyFrom(old)
                new.name, new.op_type = made.op_type[5:], op
                new.attribute.add(name="rank_size", i=ranks, type=INT64)
        scatter.output[0] = scatter.name = f"{each.output}~scattered"
        gather.input[0] = scatter.output[0]
        attribute(scatter, "shape").tensors[0].dims[0] //= ranks
    return shard
