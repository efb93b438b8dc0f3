"""Is there a shard for every rank, and are they one set? This is checked before anything is built."""

import glob
import os
import re

import mindir
import ranks
from suite import reading


def find_shard(model_path, rank, size):
    """Return the path of the rank's shard; raise Stop (status 2) where there aren't as many as ranks."""
    try:
        return ranks.shard_path(model_path, rank, size)
    except ranks.Stop as error:
        check_count(model_path, size)
        if any(ranks.find(ranks.insert(model_path, number)) for number in range(size)):
            raise
        raise ranks.Stop(error.status, f"{error}{_hint(model_path)}") from None


def check_count(model_path, size):
    """Raise Stop (status 2) where the first shard that is there says that it isn't one of `size`, or one is missing."""
    names = (ranks.insert(model_path, number) for number in range(size))
    path = next(filter(None, map(ranks.find, names)), "")
    collectives = mindir.load(path).collectives if path else []
    made_for = {collective.ranks for collective in collectives if collective.world} - {0}
    if len(made_for) != 1:
        return
    count = made_for.pop()
    missing = [name for name in (ranks.insert(model_path, number) for number in range(count)) if not ranks.find(name)]
    if missing:
        message = f"{missing[0]} isn't there: copy it beside the others or export it again"
    elif count != size:
        message = f"{size} rank{'s were' if size > 1 else ' was'} started: start {count}"
    else:
        return
    raise ranks.Stop(ranks.REFUSED, f"{path} says it's one of {count} shards, {message}")


def _hint(model_path):
    """Return what may be wrong with a path that no shard is found by."""
    pattern = _pattern_near(model_path)
    if ranks.find(model_path) and re.search(r"\d(_graph)?\.mindir$", model_path):
        return f": give --model_path without a rank's number, not {model_path}" + (f", or {pattern}" if pattern else "")
    if pattern:
        return f": write --model_path={pattern}"
    return f": export one shard per rank, or correct --model_path ({model_path})"


def _pattern_near(model_path):
    """Return a path with {rank} in it that shards of ranks 0 and 1 near `model_path` are found by; "" for none.

    Exporters write rank_0/net.mindir, rank_0_graph.mindir and the like.
    """
    folder, name = os.path.split(model_path)
    here = glob.escape(folder)
    near = [
        model_path,
        *sorted(glob.glob(os.path.join(here, "*", name))),
        *sorted(glob.glob(os.path.join(here, "*0*"))),
    ]
    for path in near[:1000]:
        for zero in reversed(list(re.finditer(r"(?<!\d)0(?!\d)", path))):  # a file's number before its folder's
            pattern = f"{path[: zero.start()]}{{rank}}{path[zero.end() :]}"
            if path.endswith(".mindir") and all(ranks.find(ranks.insert(pattern, rank)) for rank in (0, 1)):
                return pattern
    return ""


def check_set(comm, model_path, path):
    """Make sure that the shards of all ranks are one set; return their summaries in rank order; raises MindIRError.

    All ranks call this together.
    """
    summaries = dict(comm.allgather((comm.rank, reading.load(path).summary())))
    for rank in range(comm.size):
        if rank not in summaries:  # on Ascend, a rank of another server, or started by hand
            summaries[rank] = reading.load(ranks.insert(model_path, rank)).summary()
    everyone = [summaries[rank] for rank in range(comm.size)]
    mindir.check_set(everyone)
    return everyone
