"""The Rewriter of a graph for mindspore_lite 2.0.0's CPU: constants and shapes in the form that it takes."""

from collections import Counter

import numpy as np

from mindir.constants import UNKNOWN, decode, encode
from mindir.dtypes import DTYPES, NUMBERS
from mindir.errors import MindIRError
from mindir.parameters import STORED_AS, values
from mindir.rewriting import Rewriter
from mindir.schema import TENSORS

COMPUTED_AS = {"float16": "float32", "bfloat16": "float32", "float64": "float32", "int64": "int32"}
BEYOND = "has values beyond int32, in which mindspore_lite 2.0 computes int64"
OF_TENSORS = (
    "Add", "Sub", "Mul", "Div", "RealDiv", "FloorDiv", "FloorMod", "Mod", "Pow", "Maximum", "Minimum",
    "SquaredDifference", "Equal", "NotEqual", "Less", "LessEqual", "Greater", "GreaterEqual",
)  # fmt: skip
POSITIVE = ("Abs", "Exp", "ReLU", "ReLU6", "Sigmoid", "Softmax", "Sqrt", "Square")
POSITIVE_OF_ALL = ("Add", "Div", "Maximum", "Mul", "RealDiv")  # primitives whose result is positive if their inputs are
POSITIVE_OF_FIRST = (
    "AllGather", "AllReduce", "BroadcastTo", "ExpandDims", "ReduceMax", "ReduceMean", "ReduceMin", "ReduceScatter",
    "ReduceSum", "Reshape", "Squeeze", "Transpose",
)  # fmt: skip


class EngineRewriter(Rewriter):
    """A Rewriter that gives all values the dtypes in which the engine computes.

    A parameter keeps its bytes: `parameters.values` converts them when they are written for the engine. Constants are
    converted once nothing can be refused any more.
    """

    def __init__(self, path, model):
        self.in_file = {}  # value: its dtype in the file, if the engine computes it in another
        super().__init__(path, model)
        self.positive = set()  # values that must be at least 0, or NaN
        self.first_shape = {}  # value: what it was before one or more changes of shape
        self.shapes_of, self.dimension = {}, {}  # value: of which value it is the shape, and which dimension of it
        for tensor in model.graph.parameter:
            if DTYPES.get(tensor.data_type) == "int64":
                numbers = np.frombuffer(values(path, tensor), np.int64)
                if numbers.size and not -(2**31) <= numbers.min() <= numbers.max() < 2**31:
                    raise MindIRError(f"{path}: parameter {tensor.name} {BEYOND}: use smaller ones")
        for value, kind in self.kind.items():  # inputs and parameters
            self.kind[value] = self._computed(value, kind)

    def _computed(self, value, kind):
        """Return the kind in which the engine computes a value; remember the file's if it is different."""
        dtype, shape = kind
        if dtype in COMPUTED_AS:
            self.in_file[value] = dtype
        return COMPUTED_AS.get(dtype, dtype), shape

    def _described(self, node, tensor):
        described = super()._described(node, tensor)
        kind = self._computed(node.output[0], described)
        if kind != described and not tensor.raw_data:
            tensor.data_type = NUMBERS[kind[0]]
        return kind

    def known(self, value):
        found, dtype = super().known(value), self.in_file.get(value)
        if not dtype or not isinstance(found, np.ndarray):
            return found
        with np.errstate(over="ignore"):
            return found.astype(COMPUTED_AS[dtype], copy=False)

    @staticmethod
    def numpy_dtype(dtype):
        return COMPUTED_AS.get(dtype, dtype)

    def note_constant(self, node):
        """Refuse whole numbers that don't fit the dtype in which the engine computes."""
        value = next((attribute for attribute in node.attribute if attribute.name == "value"), None)
        tensor = value.tensors[0] if value is not None and value.type == TENSORS and len(value.tensors) == 1 else None
        dtype = DTYPES.get(tensor.data_type, "") if tensor is not None else ""
        if dtype in COMPUTED_AS and not tensor.raw_data:
            self.remember_node(node)
        elif dtype in COMPUTED_AS:
            array = decode(value)
            if array is UNKNOWN:
                self.refuse("has more or fewer values than its shape says", "export it again")
            if dtype == "int64" and (array.astype(np.int32) != array).any():
                self.op = "Constant"
                self.refuse(BEYOND, "use smaller ones")
        super().note_constant(node)

    def _settle(self, kept):
        """Give inputs, parameters and Constants the dtypes in which the engine computes."""
        for tensor in self.graph.parameter:
            if DTYPES[tensor.data_type] in COMPUTED_AS:
                tensor.doc_string = STORED_AS + DTYPES[tensor.data_type]
        inputs = [tensor for value in self.graph.input for tensor in value.tensor]
        for tensor in (*inputs, *self.graph.parameter):
            dtype = DTYPES[tensor.data_type]
            tensor.data_type = NUMBERS[COMPUTED_AS.get(dtype, dtype)]
        for value in (node.output[0] for node in kept if node.op_type == "Constant"):
            array = self.known(value) if value in self.in_file else None
            if isinstance(array, np.ndarray):
                self.constants[value].CopyFrom(encode("value", array))

    def _step(self, node, primitive, rule_of):
        if self.op in OF_TENSORS:
            self._of_one_dtype(node)
        is_positive = self._is_positive()
        if self.op == "make_list":  # which the engine doesn't know
            self.op = "MakeTuple"
            self._fill(node, self.op, list(node.input), None, {})
            return
        super()._step(node, primitive, rule_of)
        if is_positive:
            self.positive.add(self.alias.get(node.output[0], node.output[0]))

    def _is_positive(self):
        """Return whether the node's result must be at least 0, or NaN."""
        if self.op in POSITIVE or self.op == "Mul" and self.args[0] == self.args[-1]:
            return True
        if self.op in POSITIVE_OF_FIRST:
            return bool(self.args) and self.args[0] in self.positive
        if self.op not in POSITIVE_OF_ALL:
            return False
        known = [value in self.positive or self.known(value) for value in self.args]
        return all(found is True or isinstance(found, np.ndarray) and found.size == 1 and found >= 0 for found in known)

    def _of_one_dtype(self, node):
        """Give both arguments the result's dtype: the engine can't mix dtypes, and a plain number has its own type."""
        known = [self.known(value) for value in self.args]
        plain = [isinstance(found, (bool, int, float)) for found in known]
        dtypes = [
            type(found).__name__ if is_plain else self.dtype(value)
            for value, found, is_plain in zip(self.args, known, plain)
        ]
        if len(set(dtypes)) == 1 and not any(plain):
            return
        dtype = self.numpy_dtype(self.out[0])
        if dtype == "bool":  # a comparison's
            dtype = "float32" if any(name.startswith("float") for name in dtypes) else "int32"
        for place, number in enumerate(known):
            constant = number is not UNKNOWN and np.ndim(number) == 0
            made = self.constant(np.array(number, dtype)) if constant else self.cast_in_engine(self.args[place], dtype)
            self.args[place] = node.input[place] = made

    def cast_in_engine(self, value, dtype):
        """Return the value in a dtype in which the engine computes, through dtypes from which it can cast."""
        if self.dtype(value) in ("bool", "uint8") and dtype == "int32":
            value = self.cast(value, "float32") if self.dtype(value) == "uint8" else value
        return self.cast(value, dtype)

    def cast(self, value, dtype):
        if self.numpy_dtype(self.dtype(value)) == self.numpy_dtype(dtype):
            return value
        return super().cast(value, self.numpy_dtype(dtype))

    def reshape(self, value, shape, given=None):
        if tuple(shape) == () and self.shape(value) != ():  # which a Reshape can't
            return self.make("Squeeze", super().reshape(value, (1,)), kind=(self.dtype(value), ()), axis=(0,))
        return super().reshape(value, shape, given)

    def result_reshaped(self, value):
        if self.out[1] == () and self.shape(value) != ():
            self.result("Squeeze", super().reshape(value, (1,)), axis=(0,))
        else:
            super().result_reshaped(value)

    def target(self, value, shape):
        """With open dimensions a tensor, as a tuple crashes the engine; in it, 0 means the value's own dimension."""
        if min(shape, default=1) >= 0:
            return tuple(shape)
        given, own = list(shape), self.shape(value)
        for place, size in enumerate(given):
            if given.count(-1) < 2 or size != -1 or own[: place + 1] != tuple(shape[: place + 1]):
                break
            given[place] = 0
        return np.array(super().target(value, given), np.int32)

    def _merged(self):
        """Merge equal nodes: the engine would merge them itself, and then lack outputs."""
        merged, seen, kept = {}, {}, []
        attributes = {
            name: (primitive.op_type, tuple(sorted(attribute.SerializeToString() for attribute in primitive.attribute)))
            for name, primitive in self.primitives.items()
        }
        for node in self.sequence:
            value, primitive = node.output[0], attributes.get(node.op_type[len("REF::") :])
            inputs = [merged.get(name, name) for name in node.input]
            if inputs != list(node.input):
                node.input[:] = inputs
            small = primitive is None and node.ByteSize() < 4096
            if primitive is None and not small or value in self.impure or value in self.exchanged:
                kept.append(node)
                continue
            key = (primitive, tuple(inputs)) if primitive else tuple(e.SerializeToString() for e in node.attribute)
            if key in seen:
                merged[value] = seen[key]
            else:
                seen[key] = value
                kept.append(node)
        self._part_from_products(kept, [merged.get(value, value) for value in self._outputs()])
        return merged

    def _part_from_products(self, nodes, outputs):
        """Make `nodes` the sequence, with a Reshape before each ReLU of a product that other nodes also use.

        The engine fuses a ReLU with the product before it, even if others use that product.
        """
        taken = Counter(value for node in nodes for value in node.input)
        taken.update(outputs)
        self.sequence, self._numbers = [], {}  # not a Constant, which may come later
        for self.node in nodes:
            value = self.node.output[0]
            x = next(iter(self.node.input), None) if self.op_of.get(value) in ("ReLU", "ReLU6") else None
            if x in self.kind and taken[x] > 1:
                self.node.input[0] = self.make("Reshape", x, self.target(x, self.shape(x)), kind=self.kind[x])
            self.sequence.append(self.node)
