"""The table of newer primitives that MindSpore 2.0 has, too: primitives.tsv, made by derive.py."""

import os

from mindir.constants import Type

ENUMS = {  # numbers for names, from include/mindspore/ops/include/op_enum.h of MindSpore 2.10
    "format": {0: "NCHW", 1: "NHWC"},
    "pad_mode": {0: "PAD", 1: "SAME", 2: "VALID"},
    "reduction": {0: "sum", 1: "mean", 2: "none"},
}


def read():
    """Return {primitive: (names of inputs, [(attribute, type)])}; "*" for inputs: it hasn't changed."""
    table = {}
    with open(os.path.join(os.path.dirname(__file__), "primitives.tsv")) as file:
        for line in file:
            if not line.startswith("#"):
                name, inputs, attributes = line.rstrip("\n").split("\t")
                pairs = [(attribute.split(":") + [""])[:2] for attribute in attributes.split()]
                table[name] = inputs.split(), pairs
    return table


def read_names(file):
    """Return the names in a file beside this one, one per line."""
    with open(os.path.join(os.path.dirname(__file__), file)) as lines:
        return {line.strip() for line in lines if not line.startswith("#")}


TABLE = read()


def by_table(net, *args):
    """Turn the node's arguments after its inputs into attributes."""
    if TABLE[net.op][1]:
        given, inputs = split(net, *args)
        net.result(net.op, *inputs, **given)


def split(net, *args):
    """Return the node's attributes, {name: Python value}, and the inputs that remain."""
    inputs, attributes = TABLE[net.op]
    given = {}
    for (name, kind), value in zip(attributes, args[len(inputs) :]):
        found = net.number(value)
        if kind == "type":
            found = Type((net.out[0] if isinstance(net.out, list) else net.out)[0])
        elif kind == "window":  # two numbers; in 2.0 four, with N's and C's
            found = (1, 1) + (tuple(found) if len(found) == 2 else tuple(found) * 2)
        elif kind:
            if found not in ENUMS.get(kind, ()):
                net.refuse(f"has {name} {found}, which isn't known here", "export it with another")
            found = ENUMS[kind][found]
        if found is not None:
            given[name] = found
    return given, args[: len(inputs)]
