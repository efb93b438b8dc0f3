"""The values and nodes of a graph that is being rewritten: what is known about a value, and how to make new nodes."""

from typing import Dict, List

import numpy as np

from mindir.constants import UNKNOWN, Type, decode, encode
from mindir.dtypes import describe, dtype_and_shape
from mindir.errors import MindIRError
from mindir.graph import label
from mindir.schema import MONADS, TENSORS, TUPLE
from mindir.shapes import product

MOST_VALUES = 1 << 28  # of a constant that is made here


class Nodes:
    """The graph of `model`, from the file `path`. In a rule, `op`, `args` and `out` are those of its node.

    `out` is the kind of the node's result, (dtype, shape), or a list of kinds for a tuple; None if the file has none.
    """

    def __init__(self, path, model):
        self.path, self.model, self.graph = path, model, model.graph
        self.primitives = {primitive.name: primitive for primitive in model.primitives}
        self.kind: Dict[str, tuple] = {}  # value: (dtype, shape)
        self.tuples: Dict[str, List[tuple]] = {}  # value: kinds of the tuple's items
        self.items: Dict[str, List[str]] = {}  # value: the values that the tuple was made of
        self.alias: Dict[str, str] = {}  # value: the one that replaces it
        self.constants: Dict[str, object] = {}  # value: the Attribute that holds it
        self.impure = set()  # values that depend on something that changes state
        self.monads = set()  # values that only stand for an order
        self.op_of: Dict[str, str] = {}  # value: the primitive that makes it
        self.exchanged = set()  # values of collectives, which every rank takes part in, whether it needs them or not
        self.sequence: List[object] = []  # the nodes in their new order
        self._attributes = {}  # of a primitive, by its name
        self._own, self._numbers = {}, {}  # primitives and constants made here, key: name
        self._names = {name for node in self.graph.node for name in node.output}
        for value in self.graph.input:
            if len(value.tensor) == 1:
                self.kind[value.name] = dtype_and_shape(path, "input", value.name, value.tensor[0])
        for tensor in self.graph.parameter:
            self.kind[tensor.name] = dtype_and_shape(path, "parameter", tensor.name, tensor)
        self.data = set(self.kind)  # inputs and parameters
        self.node, self.op, self.args, self.out, self.part, self.done = None, "", [], None, 0, False

    # What values are

    def dtype(self, value):
        return self._kind(value)[0]

    def shape(self, value):
        return self._kind(value)[1]

    def _kind(self, value):
        if value not in self.kind:
            self.refuse(f"takes {value}, whose dtype and shape the file doesn't state")
        return self.kind[value]

    def fixed(self, value):
        """Return the shape, which must have no open dimension."""
        shape = self.shape(value)
        if any(dimension < 0 for dimension in shape):
            self.refuse(f"of the open shape {shape}, where a fixed one is needed", "export it with a fixed shape")
        return shape

    def known(self, value):
        """Return the Python value of a Constant, UNKNOWN for a value that is computed."""
        return decode(self.constants[value]) if value in self.constants else UNKNOWN

    def number(self, value):
        """Return the Python value of a Constant, or refuse the node."""
        found = self.known(value)
        if found is UNKNOWN:
            self.refuse(f"has an argument that is computed while the model runs ({value})", "give it as a constant")
        return found

    def numbers(self, *values):
        return [self.number(value) for value in values]

    def ints(self, value):
        """Return the whole numbers in a Constant, a number, a tuple or a tensor, as a tuple."""
        found = self.number(value)
        return tuple(int(number) for number in np.asarray(found).reshape(-1))

    def axes(self, value, rank):
        """Return the axes that a Constant names, each from 0 to rank - 1; all of them for () and None."""
        found = () if self.known(value) is None else self.ints(value)
        return tuple(sorted({axis % max(rank, 1) for axis in found})) if found else tuple(range(rank))

    def attributes(self):
        """Return the node's primitive's attributes, {name: Python value}, without the names of inputs and outputs."""
        name = self.node.op_type[5:]
        if name not in self._attributes:  # decoded once, however many nodes refer to it
            found = self.primitives[name].attribute
            given = [attribute for attribute in found if not attribute.name.endswith("put_names")]
            self._attributes[name] = {attribute.name: decode(attribute) for attribute in given}
        return dict(self._attributes[name])

    # New nodes

    def make(self, op, *inputs, kind=None, **attributes):
        """Add a node before the one that is being rewritten; return its value.

        An input is a value's name or a Python value, which becomes a Constant. The kind is (dtype, shape) or a list
        of them; without one, the first input's dtype and the shape that all inputs broadcast to.
        """
        self.part += 1
        node = self.graph.node.add(name=self._unique(f"{self.node.output[0]}~{self.part}"))
        node.output.append(node.name)
        node.domain = f"{label(self.node)}-{op}{self.part}"
        names = [value if type(value) is str else self.constant(value) for value in inputs]
        if kind is None:
            kind = (self.dtype(names[0]), self.broadcast(*names))
        self._fill(node, op, names, kind, attributes)
        return node.name

    def result(self, op, *inputs, kind=None, **attributes):
        """Rewrite the node itself, under its name; the kind is the node's own."""
        names = [value if type(value) is str else self.constant(value) for value in inputs]
        if kind is None and self.out is None:
            kind = (self.dtype(names[0]), self.broadcast(*names))
        self._fill(self.node, op, names, kind, attributes)
        self.done = True

    def set_result(self, value):
        """Let the value replace the node's result."""
        value = value if type(value) is str else self.constant(value)
        self.alias[self.node.output[0]] = value
        self.done = True

    def set_results(self, *values):
        """Make the node's result a tuple of the values."""
        self.result("MakeTuple", *values, kind=[self._kind(value) for value in values])

    def set_first_result(self, value):
        """Let the value be the first item of the node's result, a tuple; a node that takes another item is refused."""
        self.items[self.node.output[0]] = [value] + [None] * (len(self.out) - 1)
        self.done = True

    def _fill(self, node, op, names, kind, attributes):
        node.op_type = f"REF::{self._primitive(op, attributes)}"
        node.input[:] = names
        if kind is not None:
            shape = next((attribute for attribute in node.attribute if attribute.name == "shape"), None)
            shape = node.attribute.add(name="shape") if shape is None else shape
            shape.Clear()
            shape.name = "shape"
            if isinstance(kind, list):
                shape.type, shape.seq_info.is_dyn_len = TUPLE, False
                for item in kind:
                    describe(shape.values.add(type=TENSORS).tensors.add(), item)
            else:
                shape.type = TENSORS
                describe(shape.tensors.add(), kind)
        if op == "MakeTuple":
            self.items[node.output[0]] = names
        self.op_of[node.output[0]] = op
        self._note(node)
        self.sequence.append(node)

    def _primitive(self, op, attributes):
        listed = sorted(attributes.items())
        key = (op, tuple((name, encode("", value).SerializeToString()) for name, value in listed))
        if key not in self._own:
            name, count = f"{op}:rewritten", 0
            while name in self.primitives:
                count += 1
                name = f"{op}:rewritten{count}"
            made = self.model.primitives.add(name=name, op_type=op, instance_name=op.lower())
            made.attribute.extend(encode(name, value) for name, value in listed)
            self._own[key], self.primitives[name] = name, made
        return self._own[key]

    def constant(self, value):
        """Add a Constant; return its name. Small ones are shared if they are equal."""
        made = encode("value", value)
        key = made.SerializeToString() if not isinstance(value, np.ndarray) or value.size < 64 else None
        if key is None or key not in self._numbers:
            name = self._unique(f"Constant~{len(self._numbers)}")
            node = self.graph.node.add(op_type="Constant", name=name)
            node.output.append(node.name)
            node.attribute.add().CopyFrom(made)
            self.note_constant(node)
            self.sequence.append(node)
            self._numbers[key or node.name] = node.name
            key = key or node.name
        return self._numbers[key]

    def _unique(self, name):
        found, count = name, 0
        while found in self._names:
            count += 1
            found = f"{name}.{count}"
        self._names.add(found)
        return found

    # Small steps that many rules need

    def check_size(self, shape):
        """Refuse the node if a constant of this shape is larger than any net's: a damaged file may ask for one."""
        if product(shape) > MOST_VALUES:
            self.refuse(f"makes a constant of the shape {tuple(shape)}", "make it a Parameter")

    def broadcast(self, *values):
        """Return the shape that the values broadcast to."""
        shapes = [self.shape(value) for value in values if value in self.kind]
        rank = max(map(len, shapes), default=0)
        columns = zip(*((1,) * (rank - len(shape)) + shape for shape in shapes))
        return tuple(max(sizes) if max(sizes) > 1 or -1 not in sizes else -1 for sizes in map(set, columns))

    def like(self, value, number):
        """Return a 0-d array of the number, in the dtype of a value."""
        return np.array(number, self.numpy_dtype(self.dtype(value)))

    @staticmethod
    def numpy_dtype(dtype):
        """Return the dtype of a constant that is used with values of this dtype."""
        return "float32" if dtype == "bfloat16" else dtype

    def cast(self, value, dtype):
        """Return the value in this dtype."""
        if self.dtype(value) == dtype:
            return value
        return self.make("Cast", value, Type(dtype), kind=(dtype, self.shape(value)))

    def reshape(self, value, shape, given=None):
        """Return the value in the shape; `given` is the shape that Reshape gets instead, with at most one -1."""
        shape = tuple(shape)
        if self.shape(value) == shape and -1 not in shape:
            return value
        return self.make("Reshape", value, self.target(value, given or shape), kind=(self.dtype(value), shape))

    def result_reshaped(self, value):
        """Make the node's result the value in the result's shape."""
        self.result("Reshape", value, self.target(value, self.out[1]))

    def target(self, value, shape):
        """Return the Python value of the Constant that makes Reshape give the value this shape."""
        if sum(dimension < 0 for dimension in shape) > 1:
            advice = "export it with at most one open dimension"
            self.refuse(f"of the open shape {shape}: more than one open dimension can't be worked out", advice)
        return tuple(shape)

    def expand(self, value, shape):
        """Return the value broadcast to the shape."""
        shape, dtype = tuple(shape), self.dtype(value)
        if self.shape(value) == shape:
            return value
        if any(dimension < 0 for dimension in shape):
            self.refuse(f"broadcasts to the open shape {shape}", "export it with a fixed shape")
        return self.make("BroadcastTo", value, kind=(dtype, shape), shape=shape)

    def refuse(self, why, advice="export the net without it"):
        raise MindIRError(f"{self.path}: node {label(self.node)}: {self.op} {why}: {advice}")

    # What the file says about values

    def note_constant(self, node):
        """Note what a Constant node holds."""
        made = next((attribute for attribute in node.attribute if attribute.name == "value"), None)
        if made is not None and made.type in MONADS:
            self.monads.add(node.output[0])
        elif made is not None:
            self.constants[node.output[0]] = made
            if made.type == TENSORS and len(made.tensors) == 1:
                self.kind[node.output[0]] = self._described(node, made.tensors[0])

    def _note(self, node):
        """Note the kind of a node's result."""
        found = next((attribute for attribute in node.attribute if attribute.name == "shape"), None)
        if found is None:
            return
        tensors = [item.tensors[0] for item in found.values if len(item.tensors) == 1]
        if len(found.tensors) == 1 and found.tensors[0].data_type:
            self.kind[node.output[0]] = self._described(node, found.tensors[0])
        elif found.values and len(tensors) == len(found.values):
            self.tuples[node.output[0]] = [self._described(node, tensor) for tensor in tensors]

    def _described(self, node, tensor):
        return dtype_and_shape(self.path, "node", label(node), tensor)
