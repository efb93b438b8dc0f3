"""Make mindspore_lite's Tensors from NumPy arrays, in every version of it."""

import ctypes

import mindspore_lite as mslite
import numpy as np

import mindir
import ranks

PLACES = 16  # of a Tensor's data that are remembered: seven have been seen
SMALL = 1 << 18  # bytes up to which they are: of a caller's Tensor, the array keeps the data in memory
_POINTER = ctypes.pythonapi.PyCapsule_GetPointer
_POINTER.restype, _POINTER.argtypes = ctypes.c_void_p, (ctypes.py_object, ctypes.c_char_p)


def new_tensor(array, name=""):
    """Return a Tensor that holds the C-contiguous `array` without copying it."""
    tensor = mslite.Tensor()
    tensor.name, tensor.dtype, tensor.shape = name, mslite.DataType[array.dtype.name.upper()], list(array.shape)
    tensor.set_data_from_numpy(array.view(array.dtype.name))  # NumPy has two 64-bit integer types, and one is refused
    return tensor


def as_tensor(value, name=""):
    """Return the Tensor, or a new one that holds the array, which is copied only if its bytes aren't in C's order."""
    if not isinstance(value, np.ndarray):
        return value
    return new_tensor(value.astype(value.dtype.name, order="C", copy=False), name)


class Views:
    """Makes arrays of a Tensor that comes in each predict: one for each of the places in which its data lies in turn.

    mindspore_lite 2.0.0 takes 4 us to make one, in which two ranks add up 32 KiB.
    """

    def __init__(self):
        self.arrays = {}  # by address and shape

    def of(self, tensor):
        place = _address(tensor), *tensor.shape
        array = self.arrays.get(place)
        if array is None:
            array = tensor.get_data_to_numpy()
            if len(self.arrays) == PLACES:
                self.arrays.clear()
            if array.nbytes <= SMALL and array.ctypes.data == place[0]:  # or it is a copy, made anew each time
                self.arrays[place] = array
        return array


def _address(tensor):
    """Return where the Tensor's data is; None where this version of mindspore_lite doesn't say so."""
    try:
        return _POINTER(tensor._tensor.get_data(), None)
    except AttributeError:
        return None


def as_dtype(tensor, dtype):
    """Return the tensor in this dtype: the CPU's mindspore_lite takes float16 as float32 and int64 as int32."""
    if ranks.dtype(tensor) == dtype:
        return tensor
    array = tensor.get_data_to_numpy()
    if dtype == "bfloat16":
        return new_tensor(mindir.narrow(array), tensor.name)
    converted = array.astype(dtype)
    if array.dtype.kind == "i" and (converted != array).any():
        message = f"{tensor.name} has values that don't fit {dtype}, which mindspore_lite's CPU computes in"
        raise ranks.Stop(ranks.FAILED, message)
    return new_tensor(converted, tensor.name)


def as_bytes(array):
    """Return the C-contiguous array as bytes in the same memory: MPI has no float16."""
    return array.reshape(-1).view(np.uint8)
