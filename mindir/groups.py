"""Do the ranks of every group exchange the same in the same order, so that nobody waits for ever?

Found out before anything is built, from what the shards say alone, in time in proportion to it.
"""

from collections import defaultdict, deque

from mindir.collectives import PEERS
from mindir.errors import MindIRError

ADVICE = "shards of different models: export them together"


def check_groups(summaries):
    """Raise MindIRError unless the shards' collectives, each rank's in its order, can all come to their end.

    In every group each rank has the same ones in the same order, for each Send there is a Receive, and no ranks wait
    for each other in a circle. A Send doesn't wait for its Receive here. A group whose ranks the file doesn't say, as
    only Ascend can have it, is left out.
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
    """Raise MindIRError unless the group can be one of this rank, of `count` ranks in all."""
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
            f"{where} among {collective.where()}: made for {wanted} ranks or more, {count} here: {advice}"
        )
    if collective.members and rank not in collective.members:
        raise MindIRError(f"{where} among {collective.where()}: not a shard of this rank: is it another rank's file?")
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
                        f"{where}: collective {index + 1} among {here.where()} ({here.node}) is {here.signature()}, in "
                        f"{other} {there.signature()}: {ADVICE}"
                    )
            if len(mine) != len(theirs):
                among = theirs[0].where()
                has = f"{len(mine)} collectives among {among}, but {other} has {len(theirs)}"
                raise MindIRError(f"{where}: {has}: {ADVICE}")


def _channel(rank, count, collective):
    """Return what a Send and its Receive have in common: group, ranks and tag."""
    peer = collective.peer(count)
    pair = (rank, peer) if collective.op == "Send" else (peer, rank)
    return (collective.members, *pair, collective.detail[1])


def _check_pairs(summaries, known):
    """Raise MindIRError unless there is a Receive of the same for each Send, and a Send for each Receive."""
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
                f"rank {rank}: {summaries[rank].path}: node {one.node} ({one.signature()} among {one.where()}): rank "
                f"{source} sends {len(sends)} times with tag {tag}, rank {target} receives {len(receives)} times: rank "
                f"{rank} would wait for rank {other} for ever: {ADVICE}"
            )


def moments(summaries):
    """Return, for each rank, a number for each of its collectives that says what comes after what on any rank.

    All ranks of a group come to a collective at one moment, a Receive has a later one than its Send. Raises MindIRError
    where ranks wait for each other in a circle.
    """
    known = [shard.collectives for shard in summaries]
    count = len(known)
    found = [[] for _ in known]  # moments of what a rank has ended
    here = defaultdict(list)  # group: ranks that have come to its next collective
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
    """Return what the ranks wait for that stand still, from `rank` on to where the circle closes."""
    count, seen = len(known), {}
    while rank not in seen:
        collective = known[rank][done[rank]]
        if collective.op == "Receive":
            awaited = collective.peer(count)
        else:
            arrived = set(here[collective.members])
            awaited = next(other for other in collective.over(count) if other not in arrived)
        seen[rank] = f"rank {rank} in {collective.op} ({collective.node}, {collective.where()}) for rank {awaited}"
        rank = awaited
    waits = list(seen.values())[list(seen).index(rank) :]
    waits = waits[:3] + ["..."] + waits[-1:] if len(waits) > 5 else waits
    path, last = summaries[rank].path, ADVICE
    return f"rank {rank}: {path}: the ranks would wait for each other for ever, {', '.join(waits)}: {last}"
