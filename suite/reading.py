"""Load a MindIR file in a form that this machine's mindspore_lite can read."""

import mindspore_lite as mslite

import mindir


def load(path, backend=""):
    """Return the mindir.Shard of the file, lowered if the file is newer than what this mindspore_lite reads.

    Ascend's engine gets the file as it is, whatever is in it; so does the caller who gives `backend` "ascend". Raises
    MindIRError if it is newer than what the engine reads.
    """
    if backend == "ascend":
        shard = mindir.load(path)
        mindir.check_readable(shard, mslite.__version__)
        return shard
    return mindir.load(path, mindir.readable_by(mslite.__version__))
