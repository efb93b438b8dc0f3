"""Do the ranks of every group exchange the same values in the same order, so that none waits for ever?

This is checked before anything is built, from the shards alone, in time in proportion to them.
"""

from collections import defaultdict, deque

from mindir.collectives import PEERS
from mindir.errors import MindIRError

ADVICE = "shards of different models: export them together"


def check_groups(summaries):
    """Raise MindIRError unless the shards' collectives, each rank's in its order, can all be completed.

    In every group each rank needs the same ones in the same order; each Send needs a Receive, and no ranks may wait
    for each other in a circle. A Send doesn't wait for its Receive here. A group whose ranks the file doesn't name,
    which only Ascend can run, is left out.
    """
    for rank, shard in enumerate(summaries):
        for collective in shard.collectives:
            _check_members(rank, len(summaries), shard.path, collective)
    summaries = [
        shard._replace(collectives=[one for one in shard.collectives if one.world or one.members])
        for shard in summaries
    ]
    known = [shard.collectives for shard in summaries]
    _check_sequences(summaries, known)
    _check_pairs(summaries, known)
    moments(summaries)


def _check_members(rank, count, path, collective):
    """Raise MindIRError unless this rank, of `count` ranks in all, can have the group."""
    where = f"rank {rank}: {path}: node {collective.node}: {collective.op}"
    size = count if collective.world else len(collective.members)
    if collective.world and collective.ranks not in (0, count):
        wanted = collective.ranks
        advice = "find the missing shard or export it again" if wanted > count else f"start {wanted}"
        raise MindIRError(f"rank {rank}: {path}: made for {wanted} ranks, started with {count}: {advice}")
    if collective.members and max(collective.members) >= count:
        wanted = max(collective.members) + 1
        advice = "find the missing shards or export them again"
        raise MindIRError(
            f"{where} among {collective.among()}: made for {wanted} ranks or more, {count} here: {advice}"
        )
    if collective.members and rank not in collective.members:
        raise MindIRError(f"{where} among {collective.among()}: not a shard of this rank: is it another rank's file?")
    places = collective.detail[:1] if collective.op in (*PEERS, "Broadcast") else ()
    if any(not 0 <= place < size for place in places):
        raise MindIRError(f"{where}: place {places[0]} in a group of {size} ranks: damaged file")
    if collective.op in PEERS and size and collective.peer(count) == rank:
        raise MindIRError(f"{where}: with itself: damaged file")
    if collective.op == "AlltoAll" and collective.detail[0] != size:
        raise MindIRError(f"{where} in {collective.detail[0]} parts among {size} ranks: damaged file")


def _check_sequences(summaries, known):
    """Raise MindIRError unless all ranks of a group have the same collectives in the same order."""
    found = defaultdict(dict)  # group: {rank: its collectives}
    for rank, collectives in enumerate(known):
        for collective in collectives:
            if collective.op not in PEERS:
                found[collective.members].setdefault(rank, []).append(collective)
    for members, by_rank in found.items():
        first = min(by_rank)
        for rank in members or range(len(summaries)):
            where, other = f"rank {rank}: {summaries[rank].path}", f"rank {first}'s {summaries[first].path}"
            mine, theirs = by_rank.get(rank, []), by_rank[first]
            for index, (here, there) in enumerate(zip(mine, theirs)):
                if here.signature() != there.signature():
                    raise MindIRError(
                        f"{where}: collective {index + 1} among {here.among()} ({here.node}) is {here.signature()}, in "
                        f"{other} {there.signature()}: {ADVICE}"
                    )
            if len(mine) != len(theirs):
                among = theirs[0].among()
                has = f"{len(mine)} collectives among {among}, but {other} has {len(theirs)}"
                raise MindIRError(f"{where}: {has}: {ADVICE}")


def _channel(rank, count, collective):
    """Return what a Send and its Receive have in common: group, ranks and tag."""
    peer = collective.peer(count)
    pair = (rank, peer) if collective.op == "Send" else (peer, rank)
    return (collective.members, *pair, collective.detail[1])


def _check_pairs(summaries, known):
    """Raise MindIRError unless each Send has a matching Receive, and each Receive a matching Send."""
    found = defaultdict(lambda: {"Send": [], "Receive": []})
    for rank, collectives in enumerate(known):
        for collective in collectives:
            if collective.op in PEERS:
                found[_channel(rank, len(known), collective)][collective.op].append(collective)
    for (_, source, target, tag), both in found.items():
        sends, receives = both["Send"], both["Receive"]
        for sent, received in zip(sends, receives):
            if (sent.dtype, sent.shape) != (received.dtype, received.shape):
                raise MindIRError(
                    f"rank {target}: {summaries[target].path}: node {received.node} receives {received.dtype} "
                    f"{received.shape}, rank {source} ({sent.node}) sends {sent.dtype} {sent.shape}: {ADVICE}"
                )
        if len(sends) != len(receives):
            rank, one = (source, sends[-1]) if len(sends) > len(receives) else (target, receives[-1])
            other = target if rank == source else source
            raise MindIRError(
                f"rank {rank}: {summaries[rank].path}: node {one.node} ({one.signature()} among {one.among()}): rank "
                f"{source} sends {len(sends)} times with tag {tag}, rank {target} receives {len(receives)} times: rank "
                f"{rank} would wait for rank {other} for ever: {ADVICE}"
            )


def moments(summaries):
    """Return, for each rank, a number for each of its collectives, by which they can be ordered across ranks.

    All ranks of a group have the same number for a collective, and a Receive has a larger one than its Send. Raises
    MindIRError if ranks wait for each other in a circle.
    """
    known = [shard.collectives for shard in summaries]
    count = len(known)
    found = [[] for _ in known]  # moments of the collectives that a rank has completed
    here = defaultdict(list)  # group: ranks that have reached its next collective
    sent, waiting = defaultdict(deque), {}  # channel: moments of values on their way; the rank that waits for one
    ready = list(range(count))
    while ready:
        rank = ready.pop()
        while len(found[rank]) < len(known[rank]):
            collective, now = known[rank][len(found[rank])], _latest(found[rank])
            if collective.op == "Send":
                channel = _channel(rank, count, collective)
                sent[channel].append(now + 1)
                if channel in waiting:
                    ready.append(waiting.pop(channel))
            elif collective.op == "Receive":
                channel = _channel(rank, count, collective)
                if not sent[channel]:
                    waiting[channel] = rank
                    break
                now = max(now, sent[channel].popleft())
            else:
                arrived = here[collective.members]
                arrived.append(rank)
                if len(arrived) < (len(collective.members) or count):
                    break
                now = max(_latest(found[other]) for other in arrived)
                for other in arrived[:-1]:
                    found[other].append(now + 1)
                    ready.append(other)
                arrived.clear()
            found[rank].append(now + 1)
    stuck = [rank for rank in range(count) if len(found[rank]) < len(known[rank])]
    if stuck:
        raise MindIRError(_circle(summaries, known, [len(ended) for ended in found], here, stuck[0]))
    return found


def _latest(ended):
    return ended[-1] if ended else 0


def _circle(summaries, known, done, here, rank):
    """Return what the blocked ranks wait for, from `rank` on until the circle closes."""
    count, seen = len(known), {}
    while rank not in seen:
        collective = known[rank][done[rank]]
        if collective.op == "Receive":
            awaited = collective.peer(count)
        else:
            arrived = set(here[collective.members])
            awaited = next(other for other in collective.group_ranks(count) if other not in arrived)
        seen[rank] = f"rank {rank} in {collective.op} ({collective.node}, {collective.among()}) for rank {awaited}"
        rank = awaited
    waits = list(seen.values())[list(seen).index(rank) :]
    waits = waits[:3] + ["..."] + waits[-1:] if len(waits) > 5 else waits
    path, last = summaries[rank].path, ADVICE
    return f"rank {rank}: {path}: the ranks would wait for each other for ever, {', '.join(waits)}: {last}"
