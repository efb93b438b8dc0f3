"""A MindIR file as this machine's mindspore_lite takes it."""

import mindspore_lite as mslite

import mindir


def load(path):
    """Return the mindir.Shard of the file, lowered where the file is newer than what this mindspore_lite reads."""
    return mindir.load(path, mindir.readable_by(mslite.__version__))
