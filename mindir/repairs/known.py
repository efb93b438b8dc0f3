"""The primitives that tests found mindspore_lite 2.0.0 to compute right: known.tsv, known_gpu.tsv.

tests/nets_table.py --known and tests/nets_gpu.py --known wrote them: what the nets with right results were made of
after their repair.
"""

import os

from mindir.errors import MindIRError
from mindir.graph import label

STRUCTURE = ("Constant", "MakeTuple", "make_list", "TupleGetItem", "Load", "Depend", "UpdateState")


def read(name):
    """Return {primitive: the dtypes of the first input for which it is known}."""
    with open(os.path.join(os.path.dirname(__file__), name)) as file:
        lines = [line.split() for line in file if not line.startswith("#")]
    return {name: set(dtypes) for name, *dtypes in lines}


KNOWN = {"cpu": read("known.tsv"), "gpu": read("known_gpu.tsv")}
ON = {"cpu": "on CPUs", "gpu": "on GPUs"}


def primitives(net):
    """Yield (value, primitive, dtype of its first input) for what the engine computes in a repaired Graph."""
    exchanged = {collective.output for collective in net.collectives}
    for value, op in net.op.items():
        if op in STRUCTURE or value in exchanged or ": " in op:
            continue
        inputs = net.inputs[value]
        while inputs and inputs[0] in net.nodes and net.op[inputs[0]] in ("MakeTuple", "make_list"):
            inputs = net.inputs[inputs[0]]
        yield value, op, net.kind[inputs[0]][0] if inputs and inputs[0] in net.kind else "-"


def refuse_unknown(net, is_lowered, back_end):
    """Raise MindIRError for a node of a repaired Graph that takes or makes an empty tensor.

    In a lowered file, also for one that isn't known: in files of its own version, the engine itself says what it can't
    build.
    """
    known = KNOWN[back_end]
    for value, op, dtype in primitives(net):
        where = f"{net.path}: node {label(net.nodes[value])}"
        shapes = [net.kind[name][1] for name in (value, *net.inputs[value]) if name in net.kind]
        empty = next((shape for shape in shapes if 0 in shape), None)
        if empty is not None:
            why = f"{op} of the shape {empty}, which has no values, crashes mindspore_lite 2.0"
            raise MindIRError(f"{where}: {why}: leave it out")
        is_open = back_end == "gpu" and any(dimension < 0 for shape in shapes for dimension in shape)
        if is_lowered and is_open:
            raise MindIRError(f"{where}: {op} of an open shape isn't known to be right on GPUs: export a fixed one")
        if dtype in known.get(op, ()) or not is_lowered:
            continue
        if op in known:
            dtypes = ", ".join(sorted(known[op]))
            raise MindIRError(
                f"{where}: {op} of {dtype} isn't known to be right {ON[back_end]}: cast to {dtypes} first"
            )
        raise MindIRError(f"{where}: {op} isn't known to be right {ON[back_end]}: export the net without it")
