"""Refuse, with the node's name, what mindspore_lite 2.0.0's TensorRT was found to compute wrongly on two H200s.

tests/nets_gpu.py runs nets there, and known_gpu.tsv lists what the right ones were made of.
"""

from mindir.errors import MindIRError
from mindir.graph import label

ELEMENTWISE = ("Add", "Div", "Maximum", "Minimum", "Mul", "Pow", "RealDiv", "Sub")


def refuse_wrong(net):
    """Raise MindIRError for the first node of a repaired Graph whose result would be wrong on a GPU."""
    for value in net.outputs:
        dtype, shape = net.kind.get(value, ("", None))
        if dtype == "bool":
            raise MindIRError(f"{net.path}: output {value}: bool comes out wrong on GPUs: cast it to float32 first")
        if shape == ():
            raise MindIRError(
                f"{net.path}: output {value}: a value without dimensions gets one on GPUs: export it with keep_dims"
            )
    for value, op in net.op.items():
        why = WRONG[op](net, value, net.inputs[value]) if op in WRONG else None
        if why is not None:
            where = f"{net.path}: node {label(net.nodes[value])}: {op}"
            raise MindIRError(
                f"{where}{why}, which mindspore_lite 2.0's TensorRT computes wrongly: run it on CPU ranks"
            )


def _convolution(net, value, inputs):
    return None if inputs[1] in net.parameters else " with a kernel that isn't a parameter"


def _gather(net, value, inputs):
    kinds = [net.kind.get(name) for name in (value, *inputs[:2])]
    if all(kinds):
        made, taken, indices = (len(shape) for _, shape in kinds)
        if made != taken + indices - 1:
            return " with batch_dims"
    return None


def _sum(net, value, inputs):
    if len(inputs) == 1 and inputs[0] in net.nodes:
        inputs = net.inputs[inputs[0]]
    return " of one value twice" if len(set(inputs)) < len(inputs) else None


def _choice(net, value, inputs):
    return ""  # in some nets, and not in others of the same primitives


def _broadcast(net, value, inputs):
    shapes = [net.kind[name][1] for name in (value, *inputs[:2]) if name in net.kind]
    if len(shapes) == 3 and len(shapes[1]) != len(shapes[2]) and shapes[0] != max(shapes[1:], key=len):
        return f" of {shapes[1]} and {shapes[2]}, which are both broadcast"
    return None


WRONG = {"Conv2D": _convolution, "Gather": _gather, "AddN": _sum, "Select": _choice}
WRONG.update(dict.fromkeys(ELEMENTWISE, _broadcast))
