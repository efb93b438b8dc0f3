"""Types of tensors: their numbers in a file, their names, their sizes.

The numbers are those of TensorProto.DataType in MindSpore's mind_ir.proto, 2.0 to 2.10; the names are MindSpore's own,
which are NumPy's too if NumPy has the type.
"""

from mindir.errors import MindIRError

DTYPES = {
    1: "float32", 2: "uint8", 3: "int8", 4: "uint16", 5: "int16", 6: "int32", 7: "int64", 8: "string", 9: "bool",
    10: "float16", 11: "float64", 12: "uint32", 13: "uint64", 14: "complex64", 15: "complex128", 16: "bfloat16",
    17: "float64", 18: "qint4x2",
}  # fmt: skip
NUMBERS = {dtype: number for number, dtype in sorted(DTYPES.items(), reverse=True)}
ITEMSIZE = {  # bytes; a string has no size of its own, and an element of a qint4x2 tensor is a byte with two numbers
    "uint8": 1, "int8": 1, "bool": 1, "qint4x2": 1, "uint16": 2, "int16": 2, "float16": 2, "bfloat16": 2,
    "float32": 4, "int32": 4, "uint32": 4, "float64": 8, "int64": 8, "uint64": 8, "complex64": 8, "complex128": 16,
}  # fmt: skip
NOT_IN_LITE_2 = ("bfloat16", "complex64", "complex128", "qint4x2", "string")
MOST_DIMENSIONS = 32  # NumPy's limit; MindSpore's own is lower
LARGEST = 2**63 - 1  # bytes


def dtype_and_shape(path, what, name, tensor):
    """Return the dtype and the shape of a Tensor message; raise MindIRError if no tensor can have them.

    `what` and `name` say whose tensor it is. A dimension of -1 is open, a single -2 is an open number of dimensions.
    """
    number, shape = tensor.data_type, tuple(tensor.dims)
    if number not in DTYPES:
        advice = "which no MindSpore up to 2.10 has: damaged, or newer?"
        raise MindIRError(f"{path}: {what} {name} is of the data type {number}, {advice}")
    if len(shape) > MOST_DIMENSIONS:
        raise MindIRError(f"{path}: {what} {name} has {len(shape)} dimensions: {MOST_DIMENSIONS} are possible")
    if shape and min(shape) < -1 and shape != (-2,):
        raise MindIRError(f"{path}: {what} {name} has the shape {shape}: damaged file")
    dtype = DTYPES[number]
    if nbytes(dtype, [abs(size) or 1 for size in shape]) > LARGEST:
        raise MindIRError(f"{path}: {what} {name} has the shape {shape}, more than 2^63 bytes: damaged file")
    return dtype, shape


def nbytes(dtype, shape):
    """Return how many bytes a tensor has, not counting strings; a Python int, so that it can't overflow."""
    total = ITEMSIZE.get(dtype, 0)
    for size in shape:
        total *= size
    return total


def describe(tensor, kind):
    """Give a new Tensor message this (dtype, shape)."""
    dtype, shape = kind
    tensor.data_type = next(number for number, name in DTYPES.items() if name == dtype)
    tensor.dims.extend(shape)
