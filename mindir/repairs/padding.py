"""The engine can pad with zeros only; the other kinds are made here."""

import numpy as np

from mindir.lower.padding import filled, padded
from mindir.rules import rules

RULES, of = rules()


@of("PadV3")
def pad(net, x, pads, value=None):
    """The pads are pairs, the last axis first; or all pads before, then all pads after."""
    given, numbers = net.attributes(), net.ints(pads)
    if given.get("paddings_contiguous", True):
        found = [(numbers[index], numbers[index + 1]) for index in range(0, len(numbers), 2)][::-1]
    else:
        half = len(numbers) // 2
        found = list(zip(numbers[:half], numbers[half:]))
    pairs = [(0, 0)] * (len(net.shape(x)) - len(found)) + found
    mode = given.get("mode", "constant")
    if mode != "constant":
        return net.set_result(padded(net, x, mode, pairs))
    number = 0 if value is None or net.known(value) is None else np.reshape(net.number(value), -1)[0].item()
    plain = number == 0 and min(count for pair in pairs for count in pair) >= 0
    if plain and net.dtype(x) == "float32":
        return net.result("Pad", x, paddings=tuple(pairs))
    return net.set_result(filled(net, x, pairs, number))


@of("MirrorPad")
def mirror_pad(net, x, pads):
    pairs = np.reshape(net.number(pads), (-1, 2)).tolist()
    net.set_result(padded(net, x, net.attributes()["mode"].lower(), pairs))
