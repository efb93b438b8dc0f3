"""A MindIR file as this machine's mindspore_lite takes it."""

import mindspore_lite as mslite

import mindir


def load(path, backend=""):
    """Return the mindir.Shard of the file, lowered where the file is newer than what this mindspore_lite reads.

    Ascend's engine is given the file as it is, whatever is in it: so is who asks for `backend` "ascend".
    """
    if backend == "ascend":
        return mindir.load(path)
    return mindir.load(path, mindir.readable_by(mslite.__version__))
