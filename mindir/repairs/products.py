"""Products whose weights or results other nodes use as well."""

from mindir.graph import Graph, times_taken
from mindir.rules import rules

RULES, of = rules()
TRANSPOSES = ("transpose_a", "transpose_x1", "adj_x1"), ("transpose_b", "transpose_x2", "adj_x2")  # first, second


class Products:
    """What rules need to know about the whole graph: how often each value is used, and a weight's kinds of products."""

    def __init__(self, shard):
        net = Graph(shard.path, shard.model)
        self.taken, self.parameters, self.users = times_taken(net), net.parameters, {}


@of("MatMul", "BatchMatMul")
def own_weights(net, *inputs):
    """The engine transposes a weight in place even if another product needs it as it was: each kind gets a copy.

    The kind of a product is which of its sides it transposes.
    """
    products, given = net.products, net.attributes()
    kind = (net.op, *(str(any(given.get(name) for name in names)) for names in TRANSPOSES))
    for index, value in enumerate(inputs):
        if value not in products.parameters or products.users.setdefault(value, kind) == kind:
            continue
        own = f"{value} for {' '.join(kind)}"
        if own not in products.users:
            products.users[own] = kind
            net.graph.parameter.add().CopyFrom(products.parameters[value])
            net.graph.parameter[-1].name = own
            net.kind[own] = net.kind[value]
        net.node.input[index] = own


def part_from_product(net, x, *_):
    """The engine fuses a ReLU with the product before it, even if others use that product: a Reshape separates them."""
    original = next(iter(net.node.input))
    if net.products.taken[original] > 1 and x in net.kind:
        net.result(net.op, net.make("Reshape", x, net.target(x, net.shape(x))))


PARTED = dict.fromkeys(("ReLU", "ReLU6"), part_from_product)  # for CPUs EngineRewriter does it, when all is done
