"""Products whose weights or results others take, too."""

from mindir.graph import Graph, times_taken
from mindir.rules import rules

RULES, of = rules()


class Products:
    """What is to be known of the whole graph: how often each value is taken, and by what kind of product a weight."""

    def __init__(self, shard):
        net = Graph(shard.path, shard.model)
        self.taken, self.parameters, self.users = times_taken(net), net.parameters, {}


@of("MatMul", "BatchMatMul")
def own_weights(net, *inputs):
    """The engine transposes a weight in place even if another product takes it as it was: each kind gets its own."""
    products = net.products
    for index, value in enumerate(inputs):
        kind = net.node.op_type
        if value in products.parameters and products.users.setdefault(value, kind) != kind:
            own = f"{value} for {kind}"
            net.node.input[index] = own
            if own not in products.users:
                products.users[own] = kind
                net.graph.parameter.add().CopyFrom(products.parameters[value])
                net.graph.parameter[-1].name = own
                net.kind[own] = net.kind[value]


@of("ReLU", "ReLU6")
def part_from_product(net, x, *_):
    """The engine makes a ReLU part of the product before it, also for others that take it: a Reshape parts them."""
    original = next(iter(net.node.input))
    if net.products.taken[original] > 1 and x in net.kind:
        net.result(net.op, net.make("Reshape", x, net.target(x, net.shape(x))))
