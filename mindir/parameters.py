"""Where a parameter's values are, and whether all of them are there."""

import os
import stat

import numpy as np

from mindir import foreign
from mindir.dtypes import DTYPES, dtype_and_shape, nbytes
from mindir.errors import MindIRError

STORED_AS = "stored as "  # begins a parameter's doc_string if its values have another dtype in the file


def short_name(name):
    """Return a parameter's name as mindspore_lite shows it: what comes after the last ':' and MindSpore's own mark."""
    return name.rsplit(":", 1)[-1].lstrip("\u0444")


def check_parameter(path, tensor):
    """Return how many bytes the parameter has; raise MindIRError if its data isn't complete."""
    dtype, shape = dtype_and_shape(path, "parameter", tensor.name, tensor)
    if any(size < 0 for size in shape):
        raise MindIRError(f"{path}: parameter {tensor.name} has the open shape {shape}: damaged file")
    external = tensor.external_data if tensor.HasField("external_data") else None
    there = external.length if external else len(tensor.raw_data)
    # the shape doesn't tell the size of strings and of compressed values
    wanted = there if dtype == "string" or tensor.compression_type else nbytes(dtype, shape)
    if external:
        data = data_file(path, tensor)
        size = _size(path, data)
        if there != wanted or external.offset < 0 or not 0 <= external.length <= size - external.offset:
            with open(data, "rb") as file:
                kind = foreign.kind(file.read(foreign.FIRST))
            if "LFS" in kind or "Xet" in kind:
                raise MindIRError(f"{data}: is {kind}")
            found = f"{there} bytes at {external.offset} by {os.path.basename(path)}, of a file of {size}"
            advice = "cut off or of another export: export or copy it again"
            raise MindIRError(f"{data}: parameter {tensor.name} needs {wanted} bytes, has {found}: {advice}")
    elif there != wanted:
        raise MindIRError(f"{path}: parameter {tensor.name} has {there} bytes instead of {wanted}: damaged file")
    return wanted


def data_file(path, tensor):
    """Return the file with the values of a parameter of the model file `path`, in the model's folder or below it.

    A path in a MindIR that leads out of there is a MindIRError. A link in the folder may lead out: whoever could put it
    there could have put anything there, and some model hubs have folders with nothing but links to one store.
    """
    return os.path.join(os.path.dirname(path), *location(path, tensor))


def location(path, tensor):
    """Return the path to a parameter's values from the model's folder, as names; raise MindIRError if it leads out."""
    place = tensor.external_data.location
    names = [name for name in place.split("/") if name not in ("", ".")]
    if not names or place.startswith("/") or ".." in names or "\0" in place:
        raise MindIRError(
            f"{path}: parameter {tensor.name} has its values in {place!r}: a model's values are in its own folder or "
            "below it: don't trust this file"
        )
    return names


def _size(path, data):
    """Return the size of a data file in bytes; raise MindIRError unless it is a plain file."""
    try:
        status = os.stat(data)
    except OSError as error:
        reason = f"no such file, but {path} keeps its parameters there: copy both"
        raise MindIRError(f"{data}: {reason if isinstance(error, FileNotFoundError) else error.strerror}") from None
    except ValueError as error:  # a name that no path can have
        raise MindIRError(f"{path}: its data file {data!r}: {error}") from None
    if not stat.S_ISREG(status.st_mode):
        raise MindIRError(f"{data}: not a regular file, but {path} keeps its parameters there: copy both")
    return status.st_size


def values(path, tensor):
    """Return the bytes of a parameter of the model file `path`, mapped from the file beside it if there is one.

    They are converted if the rewritten model has another dtype for them than the file.
    """
    content = _stored(path, tensor)
    if not tensor.doc_string.startswith(STORED_AS):
        return content
    dtype = tensor.doc_string[len(STORED_AS) :]
    array = widen(content) if dtype == "bfloat16" else np.frombuffer(content, dtype)
    with np.errstate(over="ignore"):
        return array.astype(DTYPES[tensor.data_type]).tobytes()


def widen(content):
    """Return the float32 array for bytes that hold bfloat16, each the upper half of a float32."""
    wide = np.zeros((len(content) // 2, 2), "<u2")
    wide[:, 1] = np.frombuffer(content, "<u2")
    return wide.reshape(-1).view("<f4")


def narrow(array):
    """Return the array, still float32, rounded to the nearest values that bfloat16 can hold, ties to even."""
    bits = np.ascontiguousarray(array, np.float32).view(np.uint32)
    rounded = (bits + (0x7FFF + ((bits >> 16) & 1))) & np.uint32(0xFFFF0000)
    return np.where(np.isnan(array), np.float32(np.nan), rounded.astype(np.uint32).view(np.float32))


def _stored(path, tensor):
    if not tensor.HasField("external_data"):
        return tensor.raw_data
    data, external = data_file(path, tensor), tensor.external_data
    try:
        return np.memmap(data, np.uint8, "r", external.offset, (external.length,)) if external.length else b""
    except (OSError, ValueError) as error:  # the file has changed since it was checked
        reason = getattr(error, "strerror", None) or error
        raise MindIRError(f"{data}: parameter {tensor.name} can't be read: {reason}") from None
