"""Rewrite what mindspore_lite 2.0.0 lacks, hangs on or computes wrongly to what it computes right; refuse the rest.

The files beside this one have a function for each such primitive; known.tsv and known_gpu.tsv have the primitives that
tests found to be right: in lowered files, all others are refused. The repairs are for files of every version.
"""

from mindir.errors import understood
from mindir.repairs import (
    activations,
    arithmetic,
    erf,
    functions,
    images,
    indexing,
    padding,
    pooling,
    products,
    reductions,
    shapes,
    trigonometry,
    types,
)
from mindir.repairs.erf import GeLUs
from mindir.repairs.known import refuse_unknown
from mindir.repairs.on_gpu import refuse_wrong
from mindir.repairs.products import Products
from mindir.repairs.rewriter import EngineRewriter
from mindir.rewriting import Rewriter
from mindir.rules import joined

ON_CPUS = joined(  # primitive: the function that rewrites it for the CPU's engine
    (activations, arithmetic, functions, images, indexing, padding, pooling, products, reductions, shapes, trigonometry)
)
ON_GPUS = {
    **products.RULES,
    **products.PARTED,
    **erf.RULES,
    "Slice": indexing.whole_sizes,
    "Transpose": shapes.transpose,
}  # what both get wrong, as both read a file, and what is TensorRT's own


def repair(shard, back_end="cpu"):
    """Rewrite the shard's model in place for mindspore_lite 2.0.0, on "cpu" or "gpu"; return the shard.

    Raises MindIRError, naming the node, for what it computes wrongly and what can't be rewritten here; the model is
    then left as it was.
    """
    types.check(shard, back_end)
    on_cpu = back_end == "cpu"
    net, rules = (EngineRewriter, ON_CPUS) if on_cpu else (Rewriter, ON_GPUS)
    with understood(shard.path):
        net = net(shard.path, shard.model)
        net.products = Products(shard)
        spelled_out = GeLUs(shard).rule if on_cpu else lambda value: None

        def check(graph):
            refuse_unknown(graph, shard.is_lowered, back_end)
            if not on_cpu:
                refuse_wrong(graph)

        net.walk(lambda net, primitive: spelled_out(net.node.output[0]) or rules.get(net.op), is_pure, check)
    return shard


def is_pure(net, primitive):
    """Return whether the node changes no state, as the primitive's attributes say."""
    effects = ("side_effect_mem", "side_effect_io")
    return net.op in ("BatchNorm", "InstanceNorm") or not any(
        attribute.name in effects and attribute.i for attribute in primitive.attribute
    )
