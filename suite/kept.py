"""Files that are kept between starts: the name stands for all that a file depends on, a SHA-256 for its content."""

import functools
import hashlib
import os
import shutil

import ranks
from suite import files


def make_folder(cache):
    """Make the folder of --engine_cache; raise Stop (status 2) if it can't be made or written to."""
    try:
        os.makedirs(cache, exist_ok=True)
    except OSError as error:
        raise ranks.Stop(ranks.REFUSED, f"--engine_cache {cache}: can't be created: {error.strerror}") from None
    files.check_writable(os.path.join(cache, "engine"))


def add_file(digest, path):
    """Add the file's content to one of hashlib's digests, and return the digest."""
    with open(path, "rb") as file:
        for block in iter(lambda: file.read(1 << 20), b""):
            digest.update(block)
    return digest


def _sums(place):
    """Return the name of the file that lists what is kept at `place`, in the format of sha256sum."""
    return f"{place}.sha256"


def is_whole(place):
    """Return whether all files that were kept at `place`, a path without an ending, are there unchanged."""
    try:
        with open(_sums(place)) as file:
            listed = [line.split() for line in file]
        folder = os.path.dirname(place)
        return bool(listed) and all(
            add_file(hashlib.sha256(), os.path.join(folder, name)).hexdigest() == wanted for wanted, name in listed
        )
    except (OSError, ValueError):
        return False


def keep_files(place, sources):
    """Copy the files, {path: ending}, to `place` with these endings; the file of sums is written last."""
    lines = []
    for path, ending in sources.items():
        with open(path, "rb") as source:
            files.write(place + ending, functools.partial(shutil.copyfileobj, source))
        lines.append(f"{add_file(hashlib.sha256(), path).hexdigest()}  {os.path.basename(place + ending)}\n")
    files.write(_sums(place), lambda file: file.write("".join(lines).encode()))
