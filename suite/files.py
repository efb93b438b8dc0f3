"""Read and write files of arrays and reports: what is read is checked; what is written is complete or isn't there."""

import contextlib
import errno
import io
import json
import os
import re
import secrets
import stat
import sys
import zipfile

import numpy as np

import mindir
import ranks

ARRAYS = (b"\x93NUMPY", b"PK\x03\x04")  # how .npy and .npz begin
HOW = (  # what a file is (mindir.foreign): how to get its values into a .npy
    ("numbers as text", "np.save('x.npy', np.loadtxt({0!r}, np.float32, delimiter={1!r}))"),
    ("raw bytes", "np.save('x.npy', np.fromfile({0!r}, np.float32).reshape(SHAPE))"),
    ("picture", "decode it, and np.save() the array that the model takes"),
    ("pickled", "load it with what wrote it, and np.save() its array"),
    ("", "write it with np.save() or np.savez()"),
)
OPEN = re.compile(r"/dev/(?:(stdout|stderr)|fd/(\d+))")  # names of files that this process has open


def load_arrays(file):
    """Return {name: array} of an .npz file, {None: array} of an .npy file, {} for no file; or raise Stop (status 2)."""
    if not file:
        return {}
    _check_form(file)
    try:
        data = np.load(file, allow_pickle=False)
        arrays = {None: data} if isinstance(data, np.ndarray) else dict(data)
        if not arrays or not all(isinstance(array, np.ndarray) for array in arrays.values()):
            other = next((name for name, array in arrays.items() if not isinstance(array, np.ndarray)), "nothing")
            raise ValueError(f"a zip archive with {other} in it: {HOW[-1][1]}")
    except Exception as error:  # NumPy lets through whatever zipfile, ast and tokenize raise for a damaged file
        if isinstance(error, zipfile.BadZipFile):
            error = f"{error}: cut off or damaged: write it again"
        if "allow_pickle" in str(error):
            error = f"it holds Python's objects, not numbers: {HOW[-1][1]}, with a dtype such as np.float32"
        raise ranks.Stop(ranks.REFUSED, f"{file}: can't be read as .npy or .npz: {error}") from None
    for name, array in arrays.items():
        if array.dtype.kind == "f" and np.isnan(array).any():
            count = np.count_nonzero(np.isnan(array))
            message = f"{file}: {name or 'the array'} has {count} NaN among {array.size} values"
            raise ranks.Stop(ranks.REFUSED, message)
    return arrays


def _check_form(file):
    """Raise Stop (status 2) if the first bytes show that a file of arrays is something else."""
    if os.path.exists(file) and not os.path.isfile(file):  # a pipe would be waited for
        raise ranks.Stop(ranks.REFUSED, f"{file}: can't be read: it isn't a file: {HOW[-1][1]}")
    try:
        with open(file, "rb") as opened:
            first = opened.read(mindir.foreign.FIRST)
    except OSError as error:
        raise ranks.Stop(ranks.REFUSED, f"{file}: can't be read: {error.strerror}") from None
    if first.startswith(ARRAYS):
        return
    kind = mindir.foreign.kind(first) or f"{os.path.getsize(file)} raw bytes, as tofile() writes them"
    delimiter = next((mark for mark in ",;\t" if mark.encode() in first), None)
    how = next(advice for part, advice in HOW if part in kind).format(file, delimiter)
    raise ranks.Stop(ranks.REFUSED, f"{file}: isn't .npy or .npz, but {kind}{'' if ': ' in kind else f': {how}'}")


def check_readable(file):
    """Raise Stop (status 2) unless the file can be read; "" stands for no file."""
    try:
        if file:
            open(file, "rb").close()
    except OSError as error:
        raise ranks.Stop(ranks.REFUSED, f"{file}: can't be read: {error.strerror}") from None


def check_writable(file):
    """Raise Stop (status 2) unless the file can be written once the work is done; "" stands for no file."""
    try:
        if file and _is_special(file):
            if not os.access(file, os.W_OK):
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        elif file:
            opened, temporary = _new_for(os.path.realpath(file))
            opened.close()
            with contextlib.suppress(FileNotFoundError):
                os.remove(temporary)
    except OSError as error:
        raise ranks.Stop(ranks.REFUSED, f"{file}: can't be written: {error.strerror}") from None


def write(file, save):
    """Write `file` as a whole or not at all: save(open binary file) writes a new one first, which then replaces it.

    An existing file keeps its mode. A device, a pipe or /dev/stdout is written to, not replaced. Raises Stop (status 1)
    if that fails.
    """
    try:
        if _is_special(file):
            with _open_special(file) as opened:
                save(opened)
            return
        target = os.path.realpath(file)
        opened, temporary = _new_for(target)
        try:
            with opened:
                save(opened)
                opened.flush()
                with contextlib.suppress(FileNotFoundError):
                    os.fchmod(opened.fileno(), stat.S_IMODE(os.stat(target).st_mode))
                if not os.fstat(opened.fileno()).st_nlink:  # with src_dir_fd, os.link() follows /proc's link
                    os.link(f"/proc/self/fd/{opened.fileno()}", temporary, src_dir_fd=opened.fileno())
            os.replace(temporary, target)
        except BaseException:
            with contextlib.suppress(FileNotFoundError):
                os.remove(temporary)
            raise
    except OSError as error:
        raise ranks.Stop(ranks.FAILED, f"{file}: can't be written: {error.strerror or error}") from None


def _is_special(file):
    """Return whether the file has to be written to, not replaced: a device, a pipe, or a name of an open file."""
    ordinary = os.path.isfile(file) or os.path.isdir(file) or not os.path.exists(file)
    return not ordinary or bool(OPEN.fullmatch(file))


def _open_special(file):
    """Open the file; if the path names one that is open already, return that, so that neither overwrites the other."""
    name = OPEN.fullmatch(file)
    if not name:
        return open(file, "wb")
    sys.stdout.flush()
    return os.fdopen(os.dup({"stdout": 1, "stderr": 2}.get(name.group(1)) or int(name.group(2))), "wb")


def _new_for(target):
    """Return (open binary file in the folder of `target`, the path that it has or gets before it becomes `target`).

    If the file system allows that, it has no name yet, so that nothing is left of it if this process is killed.
    """
    if os.path.isdir(target):
        raise IsADirectoryError(errno.EISDIR, "is a directory")
    path = f"{target}.{secrets.token_hex(8)}.tmp"
    try:
        file = os.open(os.path.dirname(target), os.O_WRONLY | os.O_TMPFILE | os.O_CLOEXEC, 0o666)
    except OSError:  # on NFS, for example; if the folder can't be written to, this says so
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o666)
    return os.fdopen(file, "wb"), path


def save_outputs(file, outputs):
    """Write the outputs, [(name, array)], to an .npz file; a name that is used again gets its index appended."""
    arrays, whole = {}, io.BytesIO()
    for index, (name, array) in enumerate(outputs):
        arrays[f"{name}.{index}" if name in (*arrays, "file") else name] = array
    np.savez(whole, **arrays)  # in memory first, as it goes back to the beginning, which a pipe can't
    write(file, lambda opened: opened.write(whole.getbuffer()))


def save_json(file, report):
    """Write the report to a .json file."""
    write(file, lambda opened: opened.write(json.dumps(report, indent=1, allow_nan=False).encode() + b"\n"))
