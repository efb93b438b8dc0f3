"""Is there a shard for every rank, and are they one set? This is checked before anything is built."""

import os

import mindir
import ranks
from suite import near, reading


def find_shard(model_path, rank, size):
    """Return the path of the rank's shard; raise Stop (status 2) unless there are as many shards as ranks."""
    try:
        return ranks.shard_path(model_path, rank, size)
    except ranks.Stop as error:
        check_count(model_path, size)
        if any(ranks.find(ranks.insert(model_path, number)) for number in range(size)):
            raise
        raise ranks.Stop(error.status, f"{error}{near.hint(model_path)}") from None


def check_count(model_path, size):
    """Raise Stop (status 2) if the first shard says that it belongs to another group size, or if one is missing."""
    names = (ranks.insert(model_path, number) for number in range(size))
    path = next(filter(None, map(ranks.find, names)), "")
    collectives = mindir.load(path).collectives if path else []
    made_for = {collective.ranks for collective in collectives if collective.world} - {0}
    if len(made_for) != 1:
        return
    count = made_for.pop()
    missing = [name for name in (ranks.insert(model_path, number) for number in range(count)) if not ranks.find(name)]
    beyond = ranks.insert(model_path, count)
    if missing and missing[0] == ranks.insert(model_path, 0) and ranks.find(beyond):
        message = f"{missing[0]} isn't there and {beyond} is: {near.NUMBERED}"
    elif missing:
        message = f"{missing[0]} isn't there: copy it beside the others or export it again"
    elif count != size:
        message = f"{size} rank{'s were' if size > 1 else ' was'} started: start {count}"
    else:
        return
    raise ranks.Stop(ranks.REFUSED, f"{path} says it's one of {count} shards, but {message}")


def check_set(comm, model_path, path, backend):
    """Make sure that the shards of all ranks are one set; return their summaries in rank order; raises MindIRError.

    All ranks call this together.
    """
    summaries = dict(comm.allgather((comm.rank, reading.load(path, backend).summary())))
    for rank in range(comm.size):
        if rank not in summaries:  # on Ascend: a rank on another server, or started by hand
            summaries[rank] = reading.load(ranks.insert(model_path, rank), backend).summary()
    everyone = [summaries[rank] for rank in range(comm.size)]
    mindir.check_set(everyone)
    return everyone


def check_joined(shard, config_file):
    """Raise Stop (status 2) if ranks on Ascend exchange values without a rank table, through which GE finds them."""
    from ascend import config  # the other back ends don't pay for this import

    needs = next((collective for collective in shard.collectives if collective.ranks != 1), None)
    if needs is None or config_file and config.rank_table_file(config_file):
        return
    what = f"{shard.path}: node {needs.node}: {needs.op} needs a rank table"
    if config_file:
        message = f"{what}, and {config_file} names none: write rank_table_file=... into [ascend_context]"
    else:
        starter = f", which msrun (MS_WORKER_NUM={os.environ.get('MS_WORKER_NUM')}) doesn't provide"
        message = f"{what}{starter * ('MS_ROLE' in os.environ)}: give --config_file, which names one"
    raise ranks.Stop(ranks.REFUSED, message)
