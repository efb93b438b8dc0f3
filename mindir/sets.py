"""Whether files belong together: the shards of a set, or two models that share their weights."""

import numpy as np

from mindir.collectives import PEERS
from mindir.dtypes import DTYPES
from mindir.errors import MindIRError
from mindir.groups import ADVICE, check_groups
from mindir.parameters import short_name, values


def check_set(summaries):
    """Raise MindIRError unless the shards, in rank order, can run together without waiting for each other for ever.

    All must have been made for as many ranks as there are shards, with the same inputs and outputs, and with
    collectives that can all be completed (check_groups). Stages of a pipeline may lack inputs that others take, and
    have no outputs. (Two different models may agree in all of this: only the check of the result tells them apart.)
    """
    pipeline = any(collective.op in PEERS for shard in summaries for collective in shard.collectives)
    inputs, giver = {}, next((shard for shard in summaries if not shard.passes_on), None)
    if giver is None:
        raise MindIRError(
            f"{summaries[0].path}: no rank's shard gives an output of the net's: is the last one missing?"
        )
    for rank, shard in enumerate(summaries):
        where, first = f"rank {rank}: {shard.path}", summaries[0]
        if shard.inputs != first.inputs and not pipeline:
            here, there = _list(shard.inputs), _list(first.inputs)
            raise MindIRError(f"{where}: inputs {here}, but {first.path} has {there}: {ADVICE}")
        for value in shard.inputs if pipeline else ():
            path, other = inputs.setdefault(value.name, (shard.path, value))
            if other != value:
                raise MindIRError(f"{where}: input {value}, but {path} has {other}: {ADVICE}")
        if shard.passes_on:
            continue
        mine, theirs = ([value._replace(name="") for value in one.outputs] for one in (shard, giver))
        if [value.dtype for value in mine] != [value.dtype for value in theirs]:
            raise MindIRError(f"{where}: outputs {_list(mine)}, but {giver.path} has {_list(theirs)}: {ADVICE}")
    check_groups(summaries)


def check_shared(one, other):
    """Raise MindIRError unless two models have weights in common, by name, of the same dtypes, shapes and values.

    A device that shares them by name uses those of the model built first, whatever the other file has. Weights that
    only one of the two has, such as the head of a net that writes, aren't shared.
    """
    mine, theirs = (
        {short_name(tensor.name): tensor for tensor in shard.model.graph.parameter} for shard in (one, other)
    )
    common = sorted({*mine} & {*theirs})
    if not common:
        advice = "export both from the same network"
        raise MindIRError(f"{other.path}: none of its {len(theirs)} weights has a name that {one.path} has: {advice}")
    for name in common:
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
