"""mindspore_lite's Model on an NVIDIA GPU, whose inputs and outputs stay in the same memory from predict to predict.

mindspore_lite 2.0.0 fills new memory with zeros for the outputs of every predict, before they are copied there: of a
large one's time that is more than half. Its C++ side also takes memory that is there, though it doesn't say so in
Python. So Model calls that: ModelImpl::Predict(), which takes inputs and outputs from the model's own tensors.
"""

import ctypes
import os

import mindspore_lite as mslite
import numpy as np

import ranks
from suite import memory

VERSION = "2.0.0"  # the one with these names; others fill no memory, or have predict(inputs, outputs)
LIBRARY = os.path.join(os.path.dirname(mslite.__file__), "lib", "libmindspore-extendrt_python.so")
PREDICT = "_ZN9mindspore9ModelImpl7PredictEv"  # Status ModelImpl::Predict()
CODE = "_ZNK9mindspore6Status10StatusCodeEv"  # StatusCode Status::StatusCode() const
RELEASE = "_ZNSt16_Sp_counted_baseILN9__gnu_cxx12_Lock_policyE2EE10_M_releaseEv"  # of the Status's shared pointer
VALUE = 16  # bytes of a Python object before the address of the C++ object that it stands for


class Input(mslite.Tensor):
    """One of the Model's own inputs: it takes an array's memory, and what is changed there the next predict sees."""

    def set_data_from_numpy(self, numpy_obj):
        kind = numpy_obj.dtype.name, numpy_obj.nbytes
        if kind != (ranks.dtype(self), self.data_size) or not numpy_obj.flags.c_contiguous:
            raise RuntimeError(f"{self.name} takes {ranks.dtype(self)}, {self.data_size} bytes in a row, given {kind}")
        place(self._tensor, numpy_obj)
        self.array = numpy_obj  # kept, as the tensor has its address alone


class Output(mslite.Tensor):
    """One of the Model's own outputs, in an array's memory, which stays as long as anybody has either."""

    def __init__(self, tensor, array):
        super().__init__(tensor)
        self.array = array
        place(tensor, array)

    def get_data_to_numpy(self):
        found = super().get_data_to_numpy()  # of an address: it doesn't hold the array
        return self.array if found.ctypes.data == self.array.ctypes.data else found


class Model(mslite.Model):
    """As mslite.Model, but every predict writes to the same memory: copy what has to stay."""

    def __init__(self):
        super().__init__()
        self.inputs, self.outputs = [], []  # Tensors; outputs once they have their memory
        self.arrays = {}  # that memory, by place and shape
        if mslite.__version__ == VERSION:
            library = ctypes.CDLL(LIBRARY)
            self._predict, self._code, self._release = (library[name] for name in (PREDICT, CODE, RELEASE))
            self._predict.restype = self._release.restype = None

    def get_inputs(self):
        if mslite.__version__ != VERSION:
            return super().get_inputs()
        self.inputs = self.inputs or [Input(tensor._tensor) for tensor in super().get_inputs()]
        return list(self.inputs)

    def resize(self, inputs, dims):
        self.inputs, self.outputs = [], []
        super().resize(inputs, dims)

    def predict(self, inputs):
        pairs = zip(inputs, self.inputs)
        if len(inputs) != len(self.inputs) or not all(one is own and hasattr(own, "array") for one, own in pairs):
            self.outputs = []  # which forget their memory then
            return super().predict(inputs)
        if not self.outputs:
            found = super().predict(inputs)
            self._place_outputs(found)
            return found
        status = (ctypes.c_void_p * 2)()  # two addresses, what it says and its count of users
        implementation = address(address(id(self._model) + VALUE))
        self._predict(status, ctypes.c_void_p(implementation))
        code = self._code(status)
        if status[1]:
            self._release(ctypes.c_void_p(status[1]))
        if code:
            raise RuntimeError(f"predict failed with the code {code & 0xFFFFFFFF:#x}")
        return self.outputs

    def _place_outputs(self, found):
        """Give the model's own outputs memory for what the Tensors `found` show, with locked pages."""
        outputs = [mslite.Tensor(bound) for bound in self._model.get_outputs()]
        if [output.name for output in outputs] != [output.name for output in found]:
            return
        for index, shown in enumerate(found):
            shape, dtype = tuple(shown.shape), ranks.dtype(shown)
            array = self.arrays.setdefault((index, shape), np.empty(shape, dtype))
            memory.lock_pages([array])
            outputs[index] = Output(outputs[index]._tensor, array)
        self.outputs = outputs


def address(of):
    """Return the address that lies in memory at the address `of`."""
    return ctypes.c_void_p.from_address(of).value


def place(tensor, array):
    """Have mindspore_lite's own tensor, as its Python side binds it, read and write where the array is."""
    new = ctypes.pythonapi.PyCapsule_New
    new.restype, new.argtypes = ctypes.py_object, (ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p)
    tensor.set_data(new(array.ctypes.data, None, None), False)
