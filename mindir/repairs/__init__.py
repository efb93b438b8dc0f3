"""What mindspore_lite 2.0.0's CPU computes wrongly, hangs on or hasn't, made of what it computes right; the rest refused.

The files beside this one have a function for each such primitive, and `known` the primitives that tests have seen right.
They are for files of every version: a newer one has been lowered before.
"""

from mindir.repairs import activations, arithmetic, images, indexing, products, reductions, shapes
from mindir.repairs.known import refuse_unknown
from mindir.repairs.products import Products
from mindir.repairs.rewriter import EngineRewriter

RULES = {}
for _module in (activations, arithmetic, images, indexing, products, reductions, shapes):
    RULES.update(_module.RULES)


def repair(shard):
    """Rewrite the shard's model in place for mindspore_lite 2.0.0's CPU; return the shard.

    Raises MindIRError, naming the node, for what that computes wrongly and what isn't made of anything else here.
    """
    net = EngineRewriter(shard.path, shard.model)
    net.products = Products(shard)
    net.walk(lambda net, primitive: RULES.get(net.op), is_pure)
    refuse_unknown(shard)
    return shard


def is_pure(net, primitive):
    """Return whether the node changes no state, as the primitive's attributes say."""
    effects = ("side_effect_mem", "side_effect_io")
    return net.op == "BatchNorm" or not any(each.name in effects and each.i for each in primitive.attribute)
