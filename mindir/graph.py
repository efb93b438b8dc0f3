"""A model's graph with its names resolved."""

from collections import Counter
from typing import Dict, List, Optional, Tuple

from mindir.collectives import PEERS, read_group
from mindir.dtypes import dtype_and_shape
from mindir.errors import MindIRError
from mindir.parameters import short_name
from mindir.records import Collective
from mindir.schema import MONADS

SIDE_EFFECT = "side effect: "
LONGEST_NAME = 4096  # characters: what is written has some names several times
MOST_OUTPUTS = 1 << 16  # including the tuples around them


class Graph:
    """The graph with its names resolved, without the nodes that only stand for an order (Load, Depend, UpdateState).

    Making one raises MindIRError unless each name is defined once, and before it is used: no cycle gets through. It
    takes time and memory in proportion to the file.
    """

    def __init__(self, path, model):
        self.path, self.model = path, model
        self.primitives = self._by_name("primitive", model.primitives)
        self.parameters = self._by_name("parameter", model.graph.parameter)
        self.functions = {function.name for function in model.functions}
        self.kind: Dict[str, Tuple[str, Tuple[int, ...]]] = {}  # value: dtype and shape
        self.nodes: Dict[str, object] = {}  # value: the node that makes it
        self.inputs: Dict[str, List[str]] = {}  # value: what its node takes
        self.op: Dict[str, str] = {}  # value: its node's operator
        self.collectives: List[Collective] = []
        self._alias: Dict[str, str] = {}  # value: the one that it is under another name
        self._exchanges: Dict[str, Optional[Collective]] = {}  # primitive: what it exchanges among which ranks
        self._monads = set()  # values that only say what comes after what
        for value in self._by_name("input", model.graph.input).values():
            if len(value.tensor) != 1:
                raise MindIRError(f"{path}: input {short_name(value.name)} isn't a tensor")
            self.kind[value.name] = dtype_and_shape(path, "input", short_name(value.name), value.tensor[0])
        for name, parameter in self.parameters.items():
            if name in self.kind:
                raise MindIRError(f"{path}: {name!r} is an input and a parameter: damaged file")
            self.kind[name] = dtype_and_shape(path, "parameter", name, parameter)
        for node in model.graph.node:
            self._add(node)
        self.outputs = self._flat_outputs()

    def _by_name(self, what, messages):
        found = {message.name: message for message in messages}
        if len(found) != len(messages):
            name = next(name for name, count in Counter(message.name for message in messages).items() if count > 1)
            raise MindIRError(f"{self.path}: two {what}s are called {name!r}: damaged file")
        for name in found:
            self._check_length(what, name, name)
        return found

    def _check_length(self, what, name, text):
        if len(text) > LONGEST_NAME:
            raise MindIRError(f"{self.path}: {what} {name}: a name of {len(text)} characters: damaged file")

    def _add(self, node):
        """Resolve the names of one node."""
        output = self._own_output(node)
        name = primitive_name(node)
        op = self.primitives[name].op_type if name in self.primitives else name
        if node.op_type != "Constant" and name not in self.primitives:
            if name not in self.functions and name not in self.nodes:
                where = f"{self.path}: node {label(node)}"
                raise MindIRError(f"{where}: {name!r} isn't among the primitives: file cut off?")
            op = "Call"
        made = attribute(node, "value" if op == "Constant" else "shape")
        if made is not None and (made.type in MONADS or op == "UpdateState"):
            self._monads.add(output)
        elif made is not None and len(made.tensors) == 1 and made.tensors[0].data_type:
            self.kind[output] = dtype_and_shape(self.path, "node", label(node), made.tensors[0])
        inputs = [self._alias.get(value, value) for value in node.input]
        self.nodes[output], self.op[output], self.inputs[output] = node, op, inputs
        of_broadcast = op == "TupleGetItem" and self.op.get("".join(inputs[:1])) == "Broadcast"
        if inputs and (op in ("Load", "Depend") or of_broadcast and inputs[0] in self.kind):
            self._alias[output] = inputs[0]
        elif op not in ("UpdateState", *PEERS) and any(value in self._monads for value in inputs):
            self.op[output] = SIDE_EFFECT + op
        if name in self.primitives:
            self._add_collective(output, self.primitives[name])

    def _own_output(self, node):
        """Return the name of the value that the node makes; raise MindIRError if it or an input can't be right."""
        name, outputs = label(node), node.output
        if len(outputs) != 1 or self.has(outputs[0]):
            raise MindIRError(f"{self.path}: node {name or '(unnamed)'}: not one output of its own: damaged file")
        for text in (outputs[0], name, node.name):
            self._check_length("node", name, text)
        for value in node.input:
            if not self.has(value) and value not in self.functions:
                raise MindIRError(f"{self.path}: node {name} takes {value!r}, which nothing makes: damaged file")
        return outputs[0]

    def has(self, value):
        """Return whether `value` is an input, a parameter, or what a node makes."""
        return value in self.nodes or value in self.kind

    def _add_collective(self, output, primitive):
        collective = self._exchange_of(primitive, label(self.nodes[output]))
        if collective is None:
            return
        value = self.inputs[output][0] if self.inputs[output] else ""
        if collective.op == "Broadcast" and self.op.get(value) == "MakeTuple" and len(self.inputs[value]) == 1:
            value = self.inputs[value][0]  # it takes and makes a tuple: of one value it is that value
            if value in self.kind:
                self.kind[output] = self.kind[value]
        value = "" if collective.op == "Receive" else value  # what it takes only says when
        dtype, shape = self.kind.get(value or output, ("tuple", ()))
        node = label(self.nodes[output])
        self.collectives.append(collective._replace(dtype=dtype, shape=shape, node=node, input=value, output=output))

    def _exchange_of(self, primitive, node):
        """Return the Collective that a primitive stands for, without its values; None if it isn't one.

        It is looked up once, however many nodes refer to it.
        """
        if primitive.name not in self._exchanges:
            attributes = {found.name: found for found in reversed(primitive.attribute)}  # the first one counts
            found = None
            if "group" in attributes and attributes["group"].s:  # a convolution's is a number
                for name in ("group", "op", "group_ranks"):
                    text = attributes[name].s if name in attributes else b""
                    self._check_length("attribute of primitive", primitive.name, text)
                found = read_group(self.path, primitive.op_type, attributes, node)
            self._exchanges[primitive.name] = found
        return self._exchanges[primitive.name]

    def _flat_outputs(self):
        """Return the graph's outputs, those in tuples and in tuples of tuples one by one.

        By tuples that hold a tuple twice, and so on, a file of some kilobytes could have any number of outputs: more
        than MOST_OUTPUTS are refused.
        """
        for value in self.model.graph.output:
            if not self.has(value.name):
                raise MindIRError(f"{self.path}: nothing makes the output {value.name!r}: damaged file")
        found, visits = [], 0
        todo = [iter([self._alias.get(value.name, value.name) for value in self.model.graph.output])]
        while todo:
            value = next(todo[-1], None)
            if value is None:
                todo.pop()
                continue
            visits += 1
            if visits > MOST_OUTPUTS:
                raise MindIRError(f"{self.path}: its outputs are tuples of more than {MOST_OUTPUTS} values: damaged?")
            if self.op.get(value) in ("MakeTuple", "make_list"):
                todo.append(iter(self.inputs[value]))
            else:
                found.append(value)
        return found

    def passes_on(self):
        """Return whether a rank only passes values on: all its outputs are constants, and it has a Send.

        A pipeline stage that isn't the last has a constant of MindSpore's as its output, which isn't one of the net's.
        """
        sends = any(collective.op == "Send" for collective in self.collectives)
        return sends and all(self.op.get(value) == "Constant" for value in self.outputs)

    def full_name(self, value):
        """Return the name that mindspore_lite gives to this output of a whole model."""
        return label(self.nodes[value]) if value in self.nodes else short_name(value)


def primitive_name(node):
    """Return the name of the primitive, or of the function, that the node refers to."""
    return node.op_type[len("REF::") :] if node.op_type.startswith("REF::") else node.op_type


def attribute(message, name):
    """Return the attribute `name` of a node or a primitive, None if it has none."""
    return next((found for found in message.attribute if found.name == name), None)


def label(node):
    """Return a node's name as it is in MindSpore's logs."""
    return node.domain or node.name


def check_stateless(net):
    """Raise MindIRError, naming the node, if one writes to a parameter, like an Assign that keeps a cache there."""
    for value, op in net.op.items():
        if op.startswith(SIDE_EFFECT) and net.inputs[value][0] in net.parameters:
            advice = "export what it keeps, such as a cache, as an input and an output (models/decoder_layers.py does)"
            where = f"{net.path}: node {label(net.nodes[value])}: {op[len(SIDE_EFFECT) :]}"
            raise MindIRError(f"{where} changes state: run it on Ascend, or {advice}")


def times_taken(net):
    """Return {value: how often nodes and outputs take it}, counting only nodes that an output or collective needs."""
    taken, needed = Counter(net.outputs), set()
    todo = net.outputs + [collective.output for collective in net.collectives]
    while todo:
        value = todo.pop()
        if value in net.nodes and value not in needed:
            needed.add(value)
            taken.update(net.inputs[value])
            todo += net.inputs[value]
    return taken
