"""The graph of a model with its names resolved."""

from collections import Counter
from typing import Dict, List, Tuple

from mindir.errors import MindIRError
from mindir.parameters import short_name
from mindir.records import Collective
from mindir.schema import DTYPES, MONADS, kind

SIDE_EFFECT = "side effect: "


class Graph:
    """The graph with its names resolved: what stands for order only (Load, Depend, UpdateState) is gone."""

    def __init__(self, path, model):
        self.path, self.model = path, model
        graph = model.graph
        primitives = {each.name: each for each in model.primitives}
        functions = {each.name for each in model.functions}
        self.parameters = {each.name: each for each in graph.parameter}
        self.kind: Dict[str, Tuple[str, Tuple[int, ...]]] = {}  # value: dtype and shape
        self.nodes: Dict[str, object] = {}  # value: the node that makes it
        self.inputs: Dict[str, List[str]] = {}  # value: what its node takes
        self.op: Dict[str, str] = {}  # value: its node's operator
        self.collectives: List[Collective] = []
        alias, monads = {}, set()
        for each in graph.input:
            if len(each.tensor) != 1 or each.tensor[0].data_type not in DTYPES:
                raise MindIRError(f"{path}: input {short_name(each.name)} is no tensor of a known type")
            self.kind[each.name] = kind(each.tensor[0])
        for each in graph.parameter:
            self.kind[each.name] = kind(each)
        known = set(self.kind)
        for node in graph.node:
            name = node.op_type[5:] if node.op_type.startswith("REF::") else node.op_type
            op = primitives[name].op_type if name in primitives else name
            if len(node.output) != 1 or node.output[0] in known:
                raise MindIRError(f"{path}: node {node.name or '(unnamed)'}: not one output of its own: damaged file")
            output = node.output[0]
            missing = [each for each in node.input if each not in known and each not in functions]
            if missing:
                raise MindIRError(f"{path}: node {label(node)} takes {missing[0]!r}, which nothing makes: damaged file")
            known.add(output)
            self.nodes[output] = node
            if node.op_type != "Constant" and name not in primitives:
                if name in functions or name in self.nodes:
                    op = "Call"
                else:
                    raise MindIRError(f"{path}: node {label(node)}: {name!r} isn't among the primitives: file cut off?")
            made = {each.name: each for each in node.attribute}.get("value" if op == "Constant" else "shape")
            if made is not None and (made.type in MONADS or op == "UpdateState"):
                monads.add(output)
            elif made is not None and len(made.tensors) == 1 and made.tensors[0].data_type in DTYPES:
                self.kind[output] = kind(made.tensors[0])
            inputs = [alias.get(each, each) for each in node.input]
            self.op[output], self.inputs[output] = op, inputs
            if op in ("Load", "Depend") and inputs:
                alias[output] = inputs[0]
            elif op != "UpdateState" and any(each in monads for each in inputs):
                self.op[output] = SIDE_EFFECT + op
            attributes = {each.name: each for each in primitives[name].attribute} if name in primitives else {}
            if "group" in attributes and attributes["group"].s:
                self.collectives.append(self._collective(output, node, op, attributes))
        outputs = []
        for each in graph.output:
            if each.name not in known:
                raise MindIRError(f"{path}: nothing makes the output {each.name!r}: damaged file")
            outputs.append(alias.get(each.name, each.name))
        while any(self.op.get(each) == "MakeTuple" for each in outputs):  # several outputs, nested or not
            outputs = [
                inner
                for each in outputs
                for inner in (self.inputs[each] if self.op.get(each) == "MakeTuple" else [each])
            ]
        self.outputs = outputs

    def _collective(self, output, node, op, attributes):
        value = self.inputs[output][0] if self.inputs[output] else ""
        dtype, shape = self.kind.get(value, ("tuple", ()))
        reduction = attributes["op"].s.decode(errors="replace") if "op" in attributes else ""
        ranks = attributes["rank_size"].i if "rank_size" in attributes else 0
        group = attributes["group"].s.decode(errors="replace")
        return Collective(op, reduction, ranks, group, dtype, shape, label(node), value, output)

    def full_name(self, value):
        """Return the name that mindspore_lite gives to this output of a whole model."""
        return label(self.nodes[value]) if value in self.nodes else short_name(value)


def label(node):
    """Return a node's name as MindSpore's logs have it."""
    return node.domain or node.name


def times_taken(net):
    """Return {value: how often nodes and outputs take it}, counting only what an output or a collective needs."""
    taken, needed, todo = Counter(net.outputs), set(), net.outputs + [each.output for each in net.collectives]
    while todo:
        value = todo.pop()
        if value in net.nodes and value not in needed:
            needed.add(value)
            taken.update(net.inputs[value])
            todo += net.inputs[value]
    return taken
