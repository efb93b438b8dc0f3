"""Whether files belong together: the shards of a set, two models that share their weights."""

import numpy as np

from mindir.errors import MindIRError
from mindir.parameters import short_name, values
from mindir.schema import DTYPES

REDUCTIONS = ("sum", "max", "min", "prod")
COLLECTIVES = ("AllReduce", "AllGather", "ReduceScatter")
WORLD = ("hccl_world_group", "nccl_world_group")


def check_set(summaries):
    """Raise MindIRError unless the shards, in rank order, can run together: nobody would wait for ever.

    All must have been made for as many ranks as there are shards, with the same inputs and the same collectives in
    the same order. (Two different models may agree in all of that: only the check of the result tells them apart.)
    """
    ranks, first = len(summaries), summaries[0]
    for each in summaries:
        for collective in each.collectives:
            check_collective(each.path, collective)
    for rank, each in enumerate(summaries):
        made_for = {collective.ranks for collective in each.collectives} - {0, ranks}
        if made_for:
            wanted = made_for.pop()
            advice = "find the missing shard or export it again" if wanted > ranks else f"start {wanted}"
            raise MindIRError(f"rank {rank}: {each.path}: made for {wanted} ranks, started with {ranks}: {advice}")
    for rank, each in enumerate(summaries):
        where, other = f"rank {rank}: {each.path}", first.path
        advice = "shards of different models: export them together"
        if each.inputs != first.inputs:
            raise MindIRError(f"{where}: inputs {_list(each.inputs)}, but {other} has {_list(first.inputs)}: {advice}")
        mine, theirs = ([value._replace(name="") for value in shard.outputs] for shard in (each, first))
        if [value.dtype for value in mine] != [value.dtype for value in theirs]:
            raise MindIRError(f"{where}: outputs {_list(mine)}, but {other} has {_list(theirs)}: {advice}")
        mine, theirs = ([collective.signature() for collective in shard.collectives] for shard in (each, first))
        if len(mine) != len(theirs):
            raise MindIRError(f"{where}: {len(mine)} collectives, but {other} has {len(theirs)}: {advice}")
        for index, (one, another) in enumerate(zip(mine, theirs)):
            if one != another:
                node = each.collectives[index].node
                raise MindIRError(f"{where}: collective {index + 1} ({node}) is {one}, in {other} {another}: {advice}")


def check_shared(one, other):
    """Raise MindIRError unless two models have the same weights: names, dtypes, shapes and values.

    A device that shares them by name takes those of the model built first, whatever the other file has.
    """
    mine, theirs = ({short_name(each.name): each for each in shard.model.graph.parameter} for shard in (one, other))
    for name in sorted({*mine, *theirs}):
        if name not in mine or name not in theirs:
            here, there = (one, other) if name in mine else (other, one)
            advice = "export both from the same network"
            raise MindIRError(f"{there.path}: has no weight {name}, which {here.path} has: {advice}")
        first, second = mine[name], theirs[name]
        kinds = [f"{DTYPES[each.data_type]} {list(each.dims)}" for each in (first, second)]
        if kinds[0] != kinds[1]:
            raise MindIRError(f"{other.path}: weight {name} is {kinds[1]}, in {one.path} {kinds[0]}: export both again")
        data = [np.frombuffer(values(shard.path, each), np.uint8) for shard, each in ((one, first), (other, second))]
        if not np.array_equal(*data):
            share = np.count_nonzero(data[0] != data[1]) / data[0].size
            raise MindIRError(
                f"{other.path}: weight {name} has other values than in {one.path} ({share:.0%} of its bytes): "
                "export both from the same checkpoint"
            )


def _list(values):
    return ", ".join(str(value) for value in values)


def check_collective(path, each):
    """Raise MindIRError unless this Collective is one that all back ends have, over all ranks."""
    where = f"{path}: node {each.node}: {each.op}"
    if each.op not in COLLECTIVES:
        raise MindIRError(f"{where} isn't one of {', '.join(COLLECTIVES)}, which every back end has")
    if each.group not in WORLD:
        raise MindIRError(f"{where} over the group {each.group!r}: only {WORLD[0]}, all ranks, is possible here")
    if each.op != "AllGather" and each.reduction not in REDUCTIONS:
        raise MindIRError(f"{where} with {each.reduction!r} isn't one of {', '.join(REDUCTIONS)}")
    if each.dtype == "tuple" or each.dtype == "bool" and each.reduction:
        raise MindIRError(f"{where} of a {each.dtype} isn't possible here")
