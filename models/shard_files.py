"""The files of an export: X.mindir, X0.mindir, X1.mindir, ... replace an earlier set together or not at all."""

import contextlib
import os
import shutil
import sys
import tempfile

sys.path.append(os.path.join(os.path.dirname(os.path.abspath(__file__)), os.pardir))
from ranks import FAILED, REFUSED, Stop, find, insert


@contextlib.contextmanager
def new_set(path, ranks):
    """Yield a folder to export X.mindir and `ranks` shards to; when the block ends they are moved to `path`, X.mindir.

    They may have either form: over 1 GB, MindSpore writes X_graph.mindir and the folder X_variables. Anything else in
    the folder is removed with it, and so are shards of an earlier set for more ranks. Raises Stop (status 2) for a path
    that can't be written.
    """
    folder, name = os.path.split(os.path.abspath(path))
    if not name.endswith(".mindir") or not os.path.isdir(folder) or set(folder + name) & set(" \t{}"):
        wanted = "give X.mindir in an existing folder, without braces or spaces, which MindSpore can't export to"
        raise Stop(REFUSED, f"{path}: {wanted}")
    if not os.access(folder, os.W_OK):
        raise Stop(REFUSED, f"{path}: {folder} can't be written to: give another --output")
    names = [*(insert(name, rank) for rank in range(ranks)), name]
    with tempfile.TemporaryDirectory(dir=folder) as temporary:
        yield temporary
        missing = [file for file in names if not find(os.path.join(temporary, file))]
        if missing:
            raise Stop(FAILED, f"{missing[0]}: MindSpore finished its export without writing it")
        rank = 0
        while remove(os.path.join(folder, insert(name, rank))):  # a shard left over would make the set a mixture
            if rank >= ranks:
                print(f"{insert(path, rank)}  removed: made for more ranks")
            rank += 1
        remove(os.path.join(folder, name))
        for made in (form for name in names for form in forms(name)):
            if os.path.exists(os.path.join(temporary, made)):
                readable(os.path.join(temporary, made))
                os.replace(os.path.join(temporary, made), os.path.join(folder, made))


def forms(path):
    """Return the files and folders that the model X.mindir may consist of."""
    stem = path[: -len(".mindir")]
    return path, f"{stem}_graph.mindir", f"{stem}_variables"


def readable(path):
    """Let others read a file, or a folder and its files: MindSpore writes for its owner alone."""
    os.chmod(path, 0o755 if os.path.isdir(path) else 0o644)
    for file in os.listdir(path) if os.path.isdir(path) else ():
        os.chmod(os.path.join(path, file), 0o644)


def remove(path):
    """Remove the model X.mindir in either form; return whether it was there."""
    there = bool(find(path))
    *files, folder = forms(path)
    for file in filter(os.path.exists, files):
        os.remove(file)
    shutil.rmtree(folder, ignore_errors=True)
    return there
