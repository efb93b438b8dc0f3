"""Collectives that mindspore_lite's TensorRT lacks, made of those that it has, in shapes that it can build."""

from mindir.errors import MindIRError
from mindir.graph import Graph, attribute, check_stateless, label, primitive_name
from mindir.schema import INT64, PROTO, TUPLE

HAS = ("AllReduce", "AllGather", "ReduceScatter")  # the first as the other two
RESHAPE = "Reshape:two dimensions"


def check_tensorrt(shard):
    """Raise MindIRError, naming the node, for what mindspore_lite's TensorRT lacks or does differently.

    It has no Assign, Send or Receive; it treats every group as that of all ranks, and every reduction as a sum.
    """
    check_stateless(Graph(shard.path, shard.model))
    for collective in shard.collectives:
        where = f"{shard.path}: node {collective.node}: {collective.op}"
        advice = "run it on Ascend or on CPU ranks"
        if collective.op not in HAS:
            raise MindIRError(f"{where} isn't one of {', '.join(HAS)}, which mindspore_lite's TensorRT has: {advice}")
        if not collective.world:
            among = f"among {collective.among()}: mindspore_lite's TensorRT exchanges among all ranks whatever it says"
            raise MindIRError(f"{where} {among}: {advice}")
        if collective.reduction not in ("", "sum"):  # seen on two cards: the largest value came out as the sum
            raise MindIRError(f"{where} with {collective.reduction}: mindspore_lite's TensorRT only sums: {advice}")


def split_all_reduce(shard, ranks):
    """Rewrite every AllReduce of the shard's model, in place, to ReduceScatter and AllGather, and return the shard.

    mindspore_lite's TensorRT has no AllReduce; the two together are one. If the first dimension can't be scattered over
    the ranks, the values are reshaped to as many rows as there are ranks. Raises MindIRError, and leaves the shard as
    it was, if that isn't possible either.
    """
    sums = {collective.output: collective for collective in shard.collectives if collective.op == "AllReduce"}
    primitives = {primitive.name: primitive for primitive in shard.model.primitives}
    new = _New(shard)
    for node in shard.model.graph.node:
        if node.output[0] not in sums:
            new.nodes.append(node)
            continue
        collective = sums[node.output[0]]
        rows = _rows(shard.path, node, collective, ranks)
        name, value = primitive_name(node), collective.output
        for op in ("ReduceScatter", "AllGather"):
            own = f"{op} of {name}"
            if own not in new.primitives:
                new.primitives[own] = _primitive(primitives[name], own, op, ranks)
        taken = node.input[0]
        if rows != collective.shape:
            taken = new.reshape(node, f"{value}~rows", taken, rows)
        scatter = new.copy(node, f"{value}~scattered", taken, (rows[0] // ranks, *rows[1:]))
        made = value if rows == collective.shape else f"{value}~sum"
        gather = new.copy(node, made, scatter.output[0], rows)
        for part, op in ((scatter, "ReduceScatter"), (gather, "AllGather")):
            part.op_type, part.domain = f"REF::{op} of {name}", f"{node.domain}-{op}"
        if made != value:
            new.reshape(node, value, made, collective.shape)
    return new.put()


def in_two_dimensions(shard):
    """Rewrite every AllGather and ReduceScatter without two dimensions, in place, to one with two; return the shard.

    While TensorRT builds, it times a plug-in's layers once for every order of the values in memory that it can choose
    from: with three or more dimensions, not equally often on each rank, so that ranks wait in NCCL for ever. With two
    dimensions there is only one order. Raises MindIRError, and leaves the shard as it was, for open shapes.
    """
    net, new = Graph(shard.path, shard.model), _New(shard)
    exchanged = {collective.output: collective for collective in net.collectives}
    for node in shard.model.graph.node:
        value, collective = node.output[0], exchanged.get(node.output[0])
        if collective is None or len(collective.shape) == 2 or collective.op not in HAS or value not in net.kind:
            new.nodes.append(node)
            continue
        before, after = collective.shape, net.kind[value][1]
        if not before or -1 in before[1:] or -2 in before:
            where = f"{shard.path}: node {collective.node}: {collective.op}"
            raise MindIRError(
                f"{where} of the shape {before}, which TensorRT can't be given: export it with a fixed one"
            )
        taken = new.reshape(node, f"{value}~rows", node.input[0], _flat(before))
        made = new.copy(node, f"{value}~flat", taken, _flat(after))
        made.domain = f"{label(node)}-flat"  # if it had the domain of the Reshape after it, the build would fail
        new.reshape(node, value, made.output[0], after)
    return new.put()


def _flat(shape):
    size = 1
    for dimension in shape[1:]:
        size *= dimension
    return (shape[0], size)


def _rows(path, node, collective, ranks):
    """Return the shape in which the AllReduce can be scattered over the ranks: its own, or one row per rank."""
    shape, made = collective.shape, attribute(node, "shape")
    if made is None or len(made.tensors) != 1:
        raise MindIRError(f"{path}: node {collective.node} doesn't say what shape it makes: damaged file")
    if shape and (shape[0] > 0 and shape[0] % ranks == 0 or ranks == 1):
        return shape
    rows = (ranks, _flat((1, *shape))[1] // ranks)
    if min(shape, default=1) < 0 or _flat(rows)[1] * ranks != _flat((1, *shape))[1]:
        raise MindIRError(
            f"{path}: node {collective.node}: AllReduce of {shape}, whose first dimension can't be split over "
            f"{ranks} ranks, nor all of it, as TensorRT's ReduceScatter needs: export it with another first dimension"
        )
    return rows


class _New:
    """A shard's new model: its nodes in order, and the primitives that are added."""

    def __init__(self, shard):
        self.shard, self.nodes, self.primitives = shard, [], {}

    def copy(self, node, value, taken, shape):
        """Add a copy of the node that takes another value and makes `value`, of this shape; return it."""
        made = PROTO["Node"]()
        made.CopyFrom(node)
        made.input[:], made.output[:] = [taken, *node.input[1:]], [value]
        made.name = node.name if value == node.output[0] else value
        attribute(made, "shape").tensors[0].dims[:] = shape
        self.nodes.append(made)
        return made

    def reshape(self, node, value, taken, shape):
        """Add a Reshape of a value to the shape, before or after the node; return its own value."""
        self.primitives[RESHAPE] = PROTO["Primitive"](name=RESHAPE, op_type="Reshape", instance_name="reshape")
        constant = PROTO["Node"](name=f"{value}~shape", output=[f"{value}~shape"], op_type="Constant")
        items = constant.attribute.add(name="value", type=TUPLE).values
        items.extend(PROTO["Attribute"](ints=[size], type=INT64) for size in shape)
        self.nodes.append(constant)
        made = self.copy(node, value, taken, shape)
        made.input[:] = [taken, constant.name]
        made.op_type = f"REF::{RESHAPE}"
        made.domain = label(node) if value == node.output[0] else f"{label(node)}-{value.rsplit('~', 1)[-1]}"
        return value

    def put(self):
        """Put the nodes and primitives into the shard's model, and return the shard."""
        model = self.shard.model
        if self.primitives:
            nodes = PROTO["Graph"](node=self.nodes).node  # a copy: clearing a list clears its messages, too
            del model.graph.node[:]
            model.graph.node.extend(nodes)
            known = {primitive.name for primitive in model.primitives}
            model.primitives.extend(made for name, made in self.primitives.items() if name not in known)
        return self.shard


def _primitive(old, name, op, ranks):
    """Return a copy of the primitive `old` for this collective over so many ranks."""
    made = PROTO["Primitive"]()
    made.CopyFrom(old)
    made.name, made.op_type = name, op
    size = attribute(made, "rank_size") or made.attribute.add(name="rank_size", type=INT64)
    size.i = ranks
    return made
