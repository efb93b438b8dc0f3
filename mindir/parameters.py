"""Where a parameter's values lie, and whether all of them are there."""

import os
import stat

import numpy as np

from mindir.dtypes import dtype_and_shape, nbytes
from mindir.errors import MindIRError


def short_name(name):
    """Return a parameter's name as mindspore_lite shows it: what follows the last ':' and MindSpore's own mark."""
    return name.rsplit(":", 1)[-1].lstrip("\u0444")


def check_parameter(path, tensor):
    """Return how many bytes the parameter has; raise MindIRError where its data isn't there in full."""
    dtype, shape = dtype_and_shape(path, "parameter", tensor.name, tensor)
    if any(size < 0 for size in shape):
        raise MindIRError(f"{path}: parameter {tensor.name} has the open shape {shape}: damaged file")
    external = tensor.external_data if tensor.HasField("external_data") else None
    there = external.length if external else len(tensor.raw_data)
    # strings have no size of their own, compressed values have one that the shape doesn't tell
    wanted = there if dtype == "string" or tensor.compression_type else nbytes(dtype, shape)
    if external:
        data = data_file(path, tensor)
        size = _size(path, data)
        if there != wanted or external.offset < 0 or not 0 <= external.length <= size - external.offset:
            said = f"{there} bytes at {external.offset} by {os.path.basename(path)}, of a file of {size}"
            advice = "cut off or of another export: export or copy it again"
            raise MindIRError(f"{data}: parameter {tensor.name} needs {wanted} bytes, has {said}: {advice}")
    elif there != wanted:
        raise MindIRError(f"{path}: parameter {tensor.name} has {there} bytes instead of {wanted}: damaged file")
    return wanted


def data_file(path, tensor):
    """Return the file with the values of a parameter of the model file `path`: in the model's folder, or below it.

    What a MindIR says may not lead out of there: MindIRError. A link that lies in the folder may: whoever could put it
    there could have put anything else, and the folders of some model hubs hold links to one store and nothing else.
    """
    return os.path.join(os.path.dirname(path), *location(path, tensor))


def location(path, tensor):
    """Return the way to a parameter's values from the model's folder, as names; raise MindIRError if it leads out."""
    said = tensor.external_data.location
    names = [name for name in said.split("/") if name not in ("", ".")]
    if not names or said.startswith("/") or ".." in names or "\0" in said:
        raise MindIRError(
            f"{path}: parameter {tensor.name} has its values in {said!r}: a model's values lie in its own folder, or "
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
        raise MindIRError(f"{data}: no plain file, but {path} keeps its parameters there: copy both")
    return status.st_size


def values(path, tensor):
    """Return the bytes of a parameter of the model file `path`, mapped from the file beside it where it has one."""
    if not tensor.HasField("external_data"):
        return tensor.raw_data
    data, external = data_file(path, tensor), tensor.external_data
    try:
        return np.memmap(data, np.uint8, "r", external.offset, (external.length,)) if external.length else b""
    except (OSError, ValueError) as error:  # another file than when it was checked
        reason = getattr(error, "strerror", None) or error
        raise MindIRError(f"{data}: parameter {tensor.name} can't be read: {reason}") from None
