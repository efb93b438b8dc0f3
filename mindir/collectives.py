"""What a node exchanges with which ranks, as its primitive says, and whether CPU ranks can do it.

The attributes are those of MindSpore's own primitives (mindspore/ops/operations/comm_ops.py and _inner_ops.py) and
what its parallel modes add to them: `rank_list`, `group_rank_ids` (tuples of ranks) and `group_ranks` ("0-2", or
"WORLD_GROUP") say which ranks the group has, since its name is a hash of them.
"""

import re

from mindir.errors import MindIRError
from mindir.records import Collective

REDUCTIONS = ("sum", "max", "min", "prod")
REDUCING = ("AllReduce", "ReduceScatter")
COLLECTIVES = (*REDUCING, "AllGather", "Broadcast", "AlltoAll")
PEERS = {"Send": "dest_rank", "Receive": "src_rank"}  # have a single peer, and where its place in the group is
WORLD = ("hccl_world_group", "nccl_world_group")
MOST_RANKS, LARGEST_TAG = 1 << 20, 32767  # an MPI may have no larger tag


def read_group(path, op, attributes, node):
    """Return the Collective that a primitive with a group of ranks stands for, without values.

    `attributes` are the primitive's by name, `node` is the label of a node that uses it. Raises MindIRError if its
    numbers can't be right.
    """
    where = f"{path}: node {node}: {op}"

    def text(name):
        return attributes[name].s.decode(errors="replace") if name in attributes else ""

    def number(name):
        return attributes[name].i if name in attributes else 0

    members, count, group = _members(where, attributes, text("group_ranks")), number("rank_size"), text("group")
    if not 0 <= count <= MOST_RANKS:
        raise MindIRError(f"{where} of {count} ranks: damaged file")
    if members and count and len(members) != count:
        raise MindIRError(f"{where} of {count} ranks, {len(members)} by its group: damaged file")
    detail = ()
    if op in PEERS:
        detail = (number(PEERS[op]), number("sr_tag"))
    elif op == "Broadcast":
        detail = (number("root_rank"),)
    elif op == "AlltoAll":
        detail = tuple(number(name) for name in ("split_count", "split_dim", "concat_dim"))
    world, count = group in WORLD or text("group_ranks") == "WORLD_GROUP", count or len(members)
    members = () if world else members
    return Collective(op, text("op"), count, group, "", (), node, "", "", members, detail, world)


def _members(where, attributes, text):
    """Return the ranks of a node's group in order, () if it doesn't name them."""
    lists = [
        [number for item in attributes[name].values for number in (item.ints or [item.i])]
        for name in ("rank_list", "group_rank_ids")
        if name in attributes
    ]
    if re.fullmatch(r"\d{1,9}(-\d{1,9})*", text, re.ASCII):
        lists.append([int(number) for number in text.split("-")])
    found = {tuple(ranks) for ranks in lists if ranks}
    if len(found) > 1:
        one, other = sorted(found)[:2]
        raise MindIRError(f"{where}: over the ranks {_text(one)} and {_text(other)} at once: damaged file")
    ranks = found.pop() if found else ()
    if len(set(ranks)) != len(ranks) or any(not 0 <= rank < MOST_RANKS for rank in ranks):
        raise MindIRError(f"{where}: over the ranks {_text(ranks)}: damaged file")
    return ranks


def _text(ranks):
    return ", ".join(map(str, ranks[:16])) + (", ..." if len(ranks) > 16 else "")


def check_collective(path, collective):
    """Raise MindIRError unless CPU ranks can do this Collective."""
    where, op, shape = f"{path}: node {collective.node}: {collective.op}", collective.op, collective.shape
    if op not in COLLECTIVES and op not in PEERS:
        raise MindIRError(f"{where} isn't one of {', '.join((*COLLECTIVES, *PEERS))}, which CPU ranks have")
    if not collective.members and not collective.world:
        advice = "export it with MindSpore's parallel modes or over all ranks"
        raise MindIRError(f"{where} over the group {collective.group!r}, whose ranks the file doesn't say: {advice}")
    if op in REDUCING and collective.reduction not in REDUCTIONS:
        raise MindIRError(f"{where} with {collective.reduction!r} isn't one of {', '.join(REDUCTIONS)}")
    if collective.dtype == "tuple" or collective.dtype == "bool" and op in REDUCING:
        raise MindIRError(f"{where} of a {collective.dtype} isn't possible here")
    if op in ("AllGather", "ReduceScatter", "AlltoAll") and not shape:
        raise MindIRError(f"{where} of a single number isn't possible: export it with a dimension")
    if op == "AlltoAll":
        count, split, joined = collective.detail
        inside = all(-len(shape) <= axis < len(shape) for axis in (split, joined))
        if not inside or count < 1 or shape[split] > 0 and shape[split] % count:
            raise MindIRError(f"{where} of {shape} in {count} parts along {split}, joined along {joined}: damaged file")
    if op in PEERS and not 0 <= collective.detail[1] <= LARGEST_TAG:
        raise MindIRError(f"{where} with the tag {collective.detail[1]}: 0 to {LARGEST_TAG} are possible")
    if op == "Receive" and any(size < 0 for size in shape):
        raise MindIRError(f"{where} of the open shape {shape}: export it with a fixed one")
