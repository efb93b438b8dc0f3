"""Arrays and reports in and out of files: what is read is checked; what is written is complete or not there at all."""

import contextlib
import errno
import io
import json
import os
import re
import secrets
import stat
import sys

import numpy as np

import ranks

OPEN = re.compile(r"/dev/(?:(stdout|stderr)|fd/(\d+))")  # names of files that this process has open


def load_arrays(file):
    """Return {name: array} of an .npz file, {None: array} of an .npy file, {} for no file; or raise Stop (status 2)."""
    if not file:
        return {}
    try:
        data = np.load(file, allow_pickle=False)
        arrays = {None: data} if isinstance(data, np.ndarray) else dict(data)
        if not arrays or not all(isinstance(array, np.ndarray) for array in arrays.values()):
            raise ValueError("it has no arrays in it, or something else as well")
    except Exception as error:  # NumPy lets through whatever zipfile, ast and tokenize raise for a damaged file
        raise ranks.Stop(ranks.REFUSED, f"{file}: can't be read as .npy or .npz: {error}") from None
    for name, array in arrays.items():
        if array.dtype.kind == "f" and np.isnan(array).any():
            count = np.count_nonzero(np.isnan(array))
            message = f"{file}: {name or 'the array'} has {count} NaN among {array.size} values"
            raise ranks.Stop(ranks.REFUSED, message)
    return arrays


def check_readable(file):
    """Raise Stop (status 2) unless the file is there to be read; "" stands for no file."""
    try:
        if file:
            open(file, "rb").close()
    except OSError as error:
        raise ranks.Stop(ranks.REFUSED, f"{file}: can't be read: {error.strerror}") from None


def check_writable(file):
    """Raise Stop (status 2) unless the file can be written when the work is done; "" stands for no file."""
    try:
        if file and _is_special(file):
            if not os.access(file, os.W_OK):
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        elif file:
            opened, temporary = _new_beside(os.path.realpath(file))
            opened.close()
            os.remove(temporary)
    except OSError as error:
        raise ranks.Stop(ranks.REFUSED, f"{file}: can't be written: {error.strerror}") from None


def write(file, save):
    """Write `file` as a whole or not at all: save(open binary file) writes another one first, which takes its place.

    A file that is there keeps its mode. A device, a pipe or /dev/stdout is written to, not replaced. Raises Stop
    (status 1).
    """
    try:
        if _is_special(file):
            with _open_special(file) as opened:
                save(opened)
            return
        target = os.path.realpath(file)
        opened, temporary = _new_beside(target)
        try:
            with opened:
                save(opened)
                with contextlib.suppress(FileNotFoundError):
                    os.fchmod(opened.fileno(), stat.S_IMODE(os.stat(target).st_mode))
            os.replace(temporary, target)
        except BaseException:
            os.remove(temporary)
            raise
    except OSError as error:
        raise ranks.Stop(ranks.FAILED, f"{file}: can't be written: {error.strerror or error}") from None


def _is_special(file):
    """Return whether the file is there to be written to: a device, a pipe, or a name of an open file."""
    ordinary = os.path.isfile(file) or os.path.isdir(file) or not os.path.exists(file)
    return not ordinary or bool(OPEN.fullmatch(file))


def _open_special(file):
    """Return the file opened; the open file itself where the path names one, so that both write one after the other."""
    name = OPEN.fullmatch(file)
    if not name:
        return open(file, "wb")
    sys.stdout.flush()
    return os.fdopen(os.dup({"stdout": 1, "stderr": 2}.get(name.group(1)) or int(name.group(2))), "wb")


def _new_beside(target):
    """Return (open binary file, its path) in the folder of `target`: one that can't have been there before."""
    if os.path.isdir(target):
        raise IsADirectoryError(errno.EISDIR, "is a directory")
    path = f"{target}.{secrets.token_hex(8)}.tmp"
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    return os.fdopen(os.open(path, flags, 0o666), "wb"), path


def save_outputs(file, outputs):
    """Write the outputs, [(name, array)], to an .npz file; a name that comes again gets its place behind it."""
    arrays, whole = {}, io.BytesIO()
    for index, (name, array) in enumerate(outputs):
        arrays[f"{name}.{index}" if name in (*arrays, "file") else name] = array
    np.savez(whole, **arrays)  # here first, for it goes back to its beginning, and a pipe can't
    write(file, lambda opened: opened.write(whole.getbuffer()))


def save_json(file, report):
    """Write the report to a .json file."""
    write(file, lambda opened: opened.write(json.dumps(report, indent=1, allow_nan=False).encode() + b"\n"))
