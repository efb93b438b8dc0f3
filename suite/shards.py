"""Is there a shard for every rank, and are they one set? This is checked before anything is built."""

import re

import mindir
import ranks


def find_shard(model_path, rank, size):
    """Return the path of the rank's shard; raise Stop (status 2) where there aren't as many as ranks."""
    try:
        return ranks.shard_path(model_path, rank, size)
    except ranks.Stop as error:
        check_count(model_path, size)
        if any(ranks.find(ranks.insert(model_path, number)) for number in range(size)):
            raise
        if ranks.find(model_path) and re.search(r"\d(_graph)?\.mindir$", model_path):
            advice = f"give --model_path without a rank's number, not {model_path}"
        else:
            advice = f"export one shard per rank, or correct --model_path ({model_path})"
        raise ranks.Stop(error.status, f"{ranks.insert(model_path, 0)}: no such file: {advice}") from None


def check_count(model_path, size):
    """Raise Stop (status 2) where the first shard that is there says that it isn't one of `size`, or one is missing."""
    names = (ranks.insert(model_path, number) for number in range(size))
    path = next(filter(None, map(ranks.find, names)), "")
    made_for = {collective.ranks for collective in mindir.load(path).collectives} - {0} if path else set()
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


def check_set(comm, model_path, path):
    """Make sure that the shards of all ranks are one set; raises MindIRError. All ranks call this together."""
    summaries = dict(comm.allgather((comm.rank, mindir.load(path).summary())))
    for rank in range(comm.size):
        if rank not in summaries:  # on Ascend, a rank of another server, or started by hand
            summaries[rank] = mindir.load(ranks.insert(model_path, rank)).summary()
    mindir.check_set([summaries[rank] for rank in range(comm.size)])
