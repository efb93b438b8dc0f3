"""Where a parameter's values lie, and whether all of them are there."""

import os

import numpy as np

from mindir.errors import MindIRError
from mindir.schema import DTYPES


def check(path, tensor):
    """Return how many bytes the parameter has; raise where its data isn't there in full."""
    if tensor.data_type not in DTYPES:
        raise MindIRError(f"{path}: parameter {tensor.name} is of the unknown data type {tensor.data_type}: damaged?")
    wanted = int(np.prod(tensor.dims, dtype=np.int64)) * np.dtype(DTYPES[tensor.data_type]).itemsize
    if tensor.compression_type:
        raise MindIRError(f"{path}: parameter {tensor.name} is compressed: export the model without compression")
    if tensor.HasField("external_data"):
        data, external = data_file(path, tensor), tensor.external_data
        size = os.path.getsize(data) if os.path.isfile(data) else -1
        if size < 0:
            raise MindIRError(f"{data}: no such file, but {path} keeps its parameters there: copy both")
        there = external.length if external.offset >= 0 and external.offset + external.length <= size else -1
        if there != wanted:
            raise MindIRError(
                f"{data}: parameter {tensor.name} has {wanted} bytes at {external.offset}, the file {size}: "
                "cut off or of another export: export or copy it again"
            )
    elif len(tensor.raw_data) != wanted:
        there = len(tensor.raw_data)
        raise MindIRError(f"{path}: parameter {tensor.name} has {there} bytes instead of {wanted}: damaged file")
    return wanted


def data_file(path, tensor):
    """Return the file with the values of a parameter of the model file `path`, where they lie beside it."""
    return os.path.join(os.path.dirname(path), tensor.external_data.location)


def values(path, tensor):
    """Return the bytes of a parameter of the model file `path`, mapped from the file beside it where it has one."""
    if not tensor.HasField("external_data"):
        return tensor.raw_data
    external = tensor.external_data
    shape = (external.length,)
    return np.memmap(data_file(path, tensor), np.uint8, "r", external.offset, shape) if external.length else b""


def short_name(name):
    """Return a parameter's name as mindspore_lite shows it: what follows the last ':' and MindSpore's own mark."""
    return name.rsplit(":", 1)[-1].lstrip("\u0444")
