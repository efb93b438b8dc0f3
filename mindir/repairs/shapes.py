"""What changes shapes."""

from mindir.constants import UNKNOWN
from mindir.rules import rules

RULES, of = rules()


@of("Tile")
def tile(net, x, multiples):
    """The engine takes no more multiples than dimensions."""
    many = net.ints(multiples)
    missing = len(many) - len(net.shape(x))
    if missing > 0:
        net.result("Tile", net.reshape(x, (1,) * missing + net.fixed(x)), many)


@of("Transpose")
def transpose(net, x, order):
    """The engine drops a Transpose before a Reshape if its input and output have one shape.

    A dimension of 1 goes from the last place to the first on the way, so that they don't.
    """
    if net.known(order) is UNKNOWN or net.out is None or net.shape(x) != net.out[1]:
        return
    order, shape = net.ints(order), net.out[1]
    if list(order) == sorted(order):
        return
    wide = net.reshape(x, (*shape, 1))
    turned = net.make("Transpose", wide, (len(order), *order), kind=(net.dtype(x), (1, *shape)))
    net.result_reshaped(turned)
