"""Python values in the form that a MindIR file has them, in Constant nodes and in attributes of primitives.

Numbers of types are those of AttributeProto.AttributeType in MindSpore's mind_ir.proto.
"""

import numpy as np

from mindir.dtypes import DTYPES, describe
from mindir.parameters import widen
from mindir.schema import INT64, PROTO, TENSORS, TUPLE

INTEGERS = (3, 4, 5, 6, INT64, 12, 13, 14, 15)  # INT32, INT8, INT16, ... UINT64
FLOAT, DOUBLE, STRING, BOOL, LIST, NONE = 1, 2, 8, 9, 21, 25
UNKNOWN = object()  # no Python value: a monad, a function, a tensor of a type that NumPy doesn't have


class Type(str):
    """A dtype as a constant or an attribute: Type("float32")."""


def encode(name, value):
    """Return an Attribute message for a bool, an int, a float, a str, a Type, an array or a tuple of these."""
    made = PROTO["Attribute"]()
    if name:
        made.name = name
    if isinstance(value, (bool, np.bool_)):
        made.i, made.type = int(value), BOOL
    elif isinstance(value, (int, np.integer)):
        made.i, made.type = int(value), INT64
    elif isinstance(value, (float, np.floating)):
        made.f, made.type = float(value), FLOAT
    elif isinstance(value, Type):
        made.type = TENSORS
        describe(made.tensors.add(name="value0"), (value, ()))
    elif isinstance(value, str):
        made.s, made.type = value.encode(), STRING
    elif isinstance(value, np.ndarray):
        made.type = TENSORS
        tensor = made.tensors.add(name="value0", raw_data=value.tobytes())
        describe(tensor, (value.dtype.name, value.shape))
    else:
        made.type = TUPLE
        made.values.extend(_item(item) for item in value)
    return made


def _item(value):
    """Return the Attribute for an item of a tuple, which has its number in the repeated field."""
    made = encode("", value)
    if made.type == INT64:
        made.ClearField("i")
        made.ints.append(int(value))
    elif made.type == FLOAT:
        made.ClearField("f")
        made.floats.append(float(value))
    return made


def decode(attribute):
    """Return the Python value of an Attribute, an array for a tensor; UNKNOWN if there is no such value."""
    if attribute.type == BOOL:
        return bool(_one(attribute, "i", "ints"))
    if attribute.type in INTEGERS:
        return _one(attribute, "i", "ints")
    if attribute.type == FLOAT:
        return _one(attribute, "f", "floats")
    if attribute.type in (DOUBLE, 11):
        return _one(attribute, "d", "doubles")
    if attribute.type == STRING:
        return _one(attribute, "s", "strings").decode(errors="replace")
    if attribute.type in (TUPLE, LIST):
        items = tuple(decode(item) for item in attribute.values)
        return UNKNOWN if any(item is UNKNOWN for item in items) else items
    if attribute.type == TENSORS and len(attribute.tensors) == 1:
        return _array(attribute.tensors[0])
    return None if attribute.type == NONE else UNKNOWN


def _one(attribute, field, repeated):
    several = getattr(attribute, repeated)
    return several[0] if several and not attribute.HasField(field) else getattr(attribute, field)


def _array(tensor):
    dtype = DTYPES.get(tensor.data_type, "")
    shape = tuple(tensor.dims)
    if not dtype:
        return UNKNOWN
    if not tensor.raw_data and not tensor.HasField("raw_data"):
        return Type(dtype) if not shape else UNKNOWN
    array = widen(tensor.raw_data) if dtype == "bfloat16" else np.frombuffer(tensor.raw_data, dtype)
    return array.reshape(shape) if array.size == int(np.prod(shape, dtype=np.int64)) else UNKNOWN
