"""Whether files belong together: the shards of a set, two models that share their weights."""

import numpy as np

from mindir.dtypes import DTYPES
from mindir.errors import MindIRError
from mindir.parameters import short_name, values

REDUCTIONS = ("sum", "max", "min", "prod")
COLLECTIVES = ("AllReduce", "AllGather", "ReduceScatter")
WORLD = ("hccl_world_group", "nccl_world_group")


def check_set(summaries):
    """Raise MindIRError unless the shards, in rank order, can run together: nobody would wait for ever.

    All must have been made for as many ranks as there are shards, with the same inputs and the same collectives in
    the same order. (Two different models may agree in all of that: only the check of the result tells them apart.)
    """
    ranks, first = len(summaries), summaries[0]
    for shard in summaries:
        for collective in shard.collectives:
            check_collective(shard.path, collective)
    for rank, shard in enumerate(summaries):
        made_for = {collective.ranks for collective in shard.collectives} - {0, ranks}
        if made_for:
            wanted = made_for.pop()
            advice = "find the missing shard or export it again" if wanted > ranks else f"start {wanted}"
            raise MindIRError(f"rank {rank}: {shard.path}: made for {wanted} ranks, started with {ranks}: {advice}")
    for rank, shard in enumerate(summaries):
        where, other = f"rank {rank}: {shard.path}", first.path
        advice = "shards of different models: export them together"
        if shard.inputs != first.inputs:
            raise MindIRError(f"{where}: inputs {_list(shard.inputs)}, but {other} has {_list(first.inputs)}: {advice}")
        mine, theirs = ([value._replace(name="") for value in one.outputs] for one in (shard, first))
        if [value.dtype for value in mine] != [value.dtype for value in theirs]:
            raise MindIRError(f"{where}: outputs {_list(mine)}, but {other} has {_list(theirs)}: {advice}")
        mine, theirs = ([collective.signature() for collective in one.collectives] for one in (shard, first))
        if len(mine) != len(theirs):
            raise MindIRError(f"{where}: {len(mine)} collectives, but {other} has {len(theirs)}: {advice}")
        for index, (here, there) in enumerate(zip(mine, theirs)):
            if here != there:
                node = shard.collectives[index].node
                raise MindIRError(f"{where}: collective {index + 1} ({node}) is {here}, in {other} {there}: {advice}")


def check_shared(one, other):
    """Raise MindIRError unless two models have the same weights: names, dtypes, shapes and values.

    A device that shares them by name takes those of the model built first, whatever the other file has.
    """
    mine, theirs = (
        {short_name(tensor.name): tensor for tensor in shard.model.graph.parameter} for shard in (one, other)
    )
    for name in sorted({*mine, *theirs}):
        if name not in mine or name not in theirs:
            here, there = (one, other) if name in mine else (other, one)
            advice = "export both from the same network"
            raise MindIRError(f"{there.path}: has no weight {name}, which {here.path} has: {advice}")
        first, second = mine[name], theirs[name]
        kinds = [f"{DTYPES[tensor.data_type]} {list(tensor.dims)}" for tensor in (first, second)]
        if kinds[0] != kinds[1]:
            raise MindIRError(f"{other.path}: weight {name} is {kinds[1]}, in {one.path} {kinds[0]}: export both again")
        data = [
            np.frombuffer(values(shard.path, tensor), np.uint8) for shard, tensor in ((one, first), (other, second))
        ]
        if not np.array_equal(*data):
            alike = data[0].size == data[1].size
            share = np.count_nonzero(data[0] != data[1]) / data[0].size if alike else 1
            raise MindIRError(
                f"{other.path}: weight {name} has other values than in {one.path} ({share:.0%} of its bytes): "
                "export both from the same checkpoint"
            )


def _list(values):
    return ", ".join(str(value) for value in values)


def check_collective(path, collective):
    """Raise MindIRError unless this Collective is one that all back ends have, over all ranks."""
    where = f"{path}: node {collective.node}: {collective.op}"
    if collective.op not in COLLECTIVES:
        raise MindIRError(f"{where} isn't one of {', '.join(COLLECTIVES)}, which every back end has")
    if collective.group not in WORLD:
        raise MindIRError(f"{where} over the group {collective.group!r}: only {WORLD[0]}, all ranks, is possible here")
    if collective.op != "AllGather" and collective.reduction not in REDUCTIONS:
        raise MindIRError(f"{where} with {collective.reduction!r} isn't one of {', '.join(REDUCTIONS)}")
    if collective.dtype == "tuple" or collective.dtype == "bool" and collective.reduction:
        raise MindIRError(f"{where} of a {collective.dtype} isn't possible here")
