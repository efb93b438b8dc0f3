"""A MindIR file as this machine's mindspore_lite takes it."""

import mindspore_lite as mslite

import mindir


def load(path, backend=""):
    """Return the mindir.Shard of the file, lowered where the file is newer than what this mindspore_lite reads.

    Ascend's engine is given the file as it is, whatever is in it: so is who asks for `backend` "ascend". Raises
    MindIRError where it is newer than what the engine reads.
    """
    if backend == "ascend":
        shard = mindir.load(path)
        mindir.check_readable(shard, mslite.__version__)
        return shard
    return mindir.load(path, mindir.readable_by(mslite.__version__))
