"""Nets that are the same but for the shapes of what they compute: an engine that can be resized builds one for all."""

import hashlib

from mindir.graph import Graph, primitive_name
from mindir.parameters import values
from mindir.repairs import repair

SHAPE = "shape"  # the attribute that says a node's result's dtype and shape
NAMES = ("input_names", "output_names")  # of a primitive's inputs and outputs


def fingerprint(shard, by_shape=()):
    """Return a SHA-256, as text, of what the shard's net computes by which values, whatever the shapes that go in.

    Nets in which it is the same take and give the same things in the same order, and have the same nodes, weights and
    constants, under whatever names. The results of the operators `by_shape` also have the same shapes.
    """
    kinds = [(value.dtype, len(value.shape)) for value in shard.inputs]  # in the file: a collective may take it
    net = Graph(shard.path, repair(shard).model)
    sums = {value.name: _sum("input", index) for index, value in enumerate(net.model.graph.input)}
    for name, parameter in net.parameters.items():
        sums[name] = _sum("parameter", net.kind[name], content=values(net.path, parameter))
    primitives = {name: _primitive(primitive) for name, primitive in net.primitives.items()}
    for value, node in net.nodes.items():
        dtype, shape = net.kind.get(value, ("", ()))
        facts = [net.op[value], dtype, len(shape)]
        facts += [primitives.get(primitive_name(node)), [sums.get(taken, taken) for taken in net.inputs[value]]]
        facts += [
            item.SerializeToString(deterministic=True)
            for item in node.attribute
            if item.name != SHAPE or net.op[value] in by_shape  # a LayerNorm's is that of a tuple
        ]
        sums[value] = _sum(*facts)
    exchanged = [sums[collective.output] for collective in net.collectives]
    return _sum(kinds, exchanged, [sums[value] for value in net.outputs])


def _primitive(primitive):
    attributes = [item for item in primitive.attribute if item.name not in NAMES]
    return primitive.op_type, sorted(item.SerializeToString(deterministic=True) for item in attributes)


def _sum(*facts, content=b""):
    digest = hashlib.sha256(repr(facts).encode())
    digest.update(content)
    return digest.hexdigest()
