"""Collectives in groups of some ranks: which sets can be completed, and what real ranks exchange."""

import contextlib
from collections import defaultdict

import pytest
from conftest import ROOT, run_ranks
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from untrusted import Builder

import mindir


def collective(op, members, count, shape=(4,), peer=None, tag=0, node="node"):
    world = members == tuple(range(count))
    members = () if world else members
    detail = () if peer is None else (peer, tag)
    reduction = "" if op not in ("AllReduce", "ReduceScatter") else "sum"
    ranks_of = len(members) or count
    return mindir.Collective(
        op, reduction, ranks_of, "group", "float32", shape, node, "in", "out", members, detail, world
    )


def shards_of(orders):
    """Return the Shards of ranks with these collectives, each of which has an output of its own."""
    value = mindir.Value("y", "float32", (4,))
    return [mindir.Shard(f"Net{rank}.mindir", "", [], [value], 0, 0, order) for rank, order in enumerate(orders)]


def refused(orders):
    try:
        mindir.check_set(shards_of(orders))
    except mindir.MindIRError as error:
        assert "Net" in str(error)
        return True
    return False


@st.composite
def meshes(draw):
    """Draw collectives that can be completed: each is given to all its ranks before the next one is drawn."""
    count = draw(st.integers(2, 8))
    orders, open_receives = [[] for _ in range(count)], []
    columns = draw(st.sampled_from([size for size in range(1, count + 1) if count % size == 0]))
    rows = [tuple(range(start, start + columns)) for start in range(0, count, columns)]
    groups = rows + [tuple(range(column, count, columns)) for column in range(columns)] + [tuple(range(count))]
    for number in range(draw(st.integers(0, 12))):
        kind = draw(st.sampled_from(["AllReduce", "AllGather", "ReduceScatter", "pair", "all rows"]))
        members = draw(st.sampled_from(groups))
        if draw(st.booleans()):
            members = tuple(sorted(draw(st.sets(st.integers(0, count - 1), min_size=2))))
        shape = (draw(st.integers(1, 3)),)
        if kind == "pair" and len(members) > 1:
            source, target = draw(st.permutations(range(len(members))))[:2]
            tag = draw(st.integers(0, 1))
            orders[members[source]].append(collective("Send", members, count, (5,), target, tag))
            receive = (members[target], collective("Receive", members, count, (5,), source, tag))
            open_receives.append(receive)
        elif kind == "all rows":
            for row in rows:
                for rank in row:
                    orders[rank].append(collective("AllReduce", row, count, shape, node=str(number)))
        elif kind != "pair":
            for rank in members:
                orders[rank].append(collective(kind, members, count, shape, node=str(number)))
        while open_receives and draw(st.booleans()):
            rank, receive = open_receives.pop(0)
            orders[rank].append(receive)
    for rank, receive in open_receives:
        orders[rank].append(receive)
    return orders


def ends(orders):
    """Return whether all can be completed, found in the slow way: by looking at the first one on every rank."""
    orders, count, on_their_way = [list(order) for order in orders], len(orders), defaultdict(list)
    while any(orders):
        moved = False
        for rank, order in enumerate(orders):
            if not order:
                continue
            first = order[0]
            members = first.members or tuple(range(count))
            if first.op == "Send":
                on_their_way[members, rank, members[first.detail[0]], first.detail[1]].append(first.shape)
                moved = bool(order.pop(0))
            elif first.op == "Receive":
                queue = on_their_way[members, members[first.detail[0]], rank, first.detail[1]]
                if queue and queue[0] == first.shape:
                    queue.pop(0)
                    moved = bool(order.pop(0))
            else:
                firsts = [orders[other][0] if orders[other] else None for other in members]
                if all(one and (one.members, one.signature()) == (first.members, first.signature()) for one in firsts):
                    for other in members:
                        orders[other].pop(0)
                    moved = True
        if not moved:
            return False
    return not any(on_their_way.values())


@settings(max_examples=100, deadline=None)
@given(meshes())
def test_a_set_in_order_passes(orders):
    assert ends(orders)
    assert not refused(orders)


@settings(max_examples=150, deadline=None)
@given(meshes(), st.data())
def test_a_set_is_refused_exactly_if_somebody_would_wait_for_ever(orders, data):
    """One rank lacks a collective, has one more, one of another shape, or two in another order."""
    rank = data.draw(st.sampled_from(range(len(orders))))
    order = orders[rank]
    if order:
        place, other = (data.draw(st.integers(0, len(order) - 1)) for _ in range(2))
        change = data.draw(st.sampled_from(["remove", "repeat", "shape", "exchange", "move"]))
        if change == "remove":
            del order[place]
        elif change == "repeat":
            order.insert(other, order[place])
        elif change == "shape":
            order[place] = order[place]._replace(shape=(9,))
        elif change == "exchange":
            order[place], order[other] = order[other], order[place]
        else:
            order.insert(other, order.pop(place))
    assert refused(orders) == (not ends(orders))


def test_a_circle_of_groups_is_named():
    first, second = ((0, 1), 3), ((1, 2), 3)
    third = (0, 2), 3
    orders = [
        [collective("AllReduce", *first, node="a"), collective("AllReduce", *third, node="c")],
        [collective("AllReduce", *second, node="b"), collective("AllReduce", *first, node="a")],
        [collective("AllReduce", *third, node="c"), collective("AllReduce", *second, node="b")],
    ]
    with pytest.raises(mindir.MindIRError, match=r"rank 0 in AllReduce \(a, ranks 0, 1\) for rank 1.*rank 1 in.*b"):
        mindir.check_set(shards_of(orders))


def test_a_send_nobody_receives_is_named():
    orders = [[collective("Send", (0, 1), 2, peer=1, tag=4)], []]
    with pytest.raises(mindir.MindIRError, match="rank 0 sends 1 times with tag 4, rank 1 receives 0 times"):
        mindir.check_set(shards_of(orders))


def test_a_group_whose_ranks_the_file_does_not_name_is_left_to_ascend():
    unknown = collective("AllReduce", (0, 1), 2)._replace(world=False, members=())
    mindir.check_set(shards_of([[unknown], []]))


def test_a_thousand_ranks_take_no_time():
    """1000 ranks with 200 collectives each: the time is in proportion to them."""
    count = 1000
    rows = [tuple(range(start, start + 10)) for start in range(0, count, 10)]
    orders = [[collective("AllReduce", rows[rank // 10], count)] * 200 for rank in range(count)]
    mindir.check_set(shards_of(orders))


def test_groups_exchange_as_numpy_does():
    """Every kind, with several dtypes and dimensions, in two groups at once and in one whose ranks aren't in order."""
    program = """
import itertools
import numpy as np
import mindir, ranks
from suite.exchange import Exchange, communicators
from suite.tensors import new_tensor
comm = ranks.world()
groups = [(0, 2), (1, 3), (3, 0, 1), (2,)]
def of(members, op="AllReduce", reduction="sum", detail=()):
    return mindir.Collective(op, reduction, len(members), "", "float32", (), "", "", "", members, detail, False)
made = communicators(comm, [of(members) for members in groups])
done = 0
kinds = [("AllReduce", "sum"), ("AllReduce", "max"), ("ReduceScatter", "sum"), ("AllGather", ""), ("Broadcast", ""),
         ("AlltoAll", "")]
for members, (op, reduction), shape, dtype in itertools.product(
    groups, kinds, [(6,), (12, 5), (6, 2, 6, 3), (6, 1000, 6)], ["float32", "float16", "int32", "int8", "bool"]
):
    if comm.rank not in members or reduction and dtype == "bool":
        continue
    size, place = len(members), members.index(comm.rank)
    detail = {"Broadcast": (size - 1,), "AlltoAll": (size, len(shape) - len(shape) // 2 - 1, len(shape) - 1)}
    split, joined = detail["AlltoAll"][1:]
    if op == "AlltoAll" and shape[split] % size:
        continue
    everyone = [np.random.RandomState(rank).uniform(-3, 3, shape).astype(dtype) for rank in members]
    (found,) = Exchange(made[members], of(members, op, reduction, detail.get(op, ())))([new_tensor(everyone[place])])
    found = found.get_data_to_numpy()
    if op == "AllGather":
        right = np.concatenate(everyone)
    elif op == "Broadcast":
        right = everyone[-1]
    elif op == "AlltoAll":
        right = np.concatenate([np.split(array, size, split)[place] for array in everyone], joined)
    else:
        right = (np.max if reduction == "max" else np.sum)(np.stack(everyone).astype(np.float64), axis=0)
    if op == "ReduceScatter":
        right = np.split(right, size)[place]
    tolerance = {"float16": 4e-3, "float32": 1e-6}.get(dtype, 0) * max(1, float(np.abs(right.astype(float)).max()))
    assert found.dtype == dtype and found.shape == right.shape, (op, members, shape, dtype, found.shape, right.shape)
    assert not np.abs(found.astype(float) - right.astype(float)).max() > tolerance, (op, members, shape, dtype)
    done += 1
total = sum(comm.allgather(done))
if comm.rank == 0:
    print(total > 500)
"""
    done = run_ranks(4, "-c", program, PYTHONPATH=str(ROOT))
    assert done.returncode == 0, done.stderr
    assert done.stdout == "True\n"


# Numbers of a group in a file that may come from anywhere


@settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    op=st.sampled_from(["AllReduce", "AllGather", "Broadcast", "AlltoAll", "Send", "Receive", "Other"]),
    lists=st.lists(st.lists(st.one_of(st.integers(-2, 5), st.integers(-(2**63), 2**63 - 1)), max_size=4), max_size=2),
    text=st.sampled_from(["", "0-1", "1", "WORLD_GROUP", "0-", "٣-1", "-1", "0-0", "99999999999-1"]),
    number=st.one_of(st.integers(-2, 5), st.integers(-(2**63), 2**63 - 1)),
    dims=st.lists(st.integers(0, 4), max_size=3),
)
def test_whatever_a_group_holds_the_message_is_one_line(tmp_path_factory, op, lists, text, number, dims):
    builder = Builder()
    builder.input("x", dims)
    names = ("rank_size", "sr_tag", "dest_rank", "src_rank", "root_rank", "split_count", "split_dim", "concat_dim")
    numbers = dict.fromkeys(names, number)
    ref = builder.primitive(op, group=b"mine", op=b"sum", group_ranks=text.encode(), **numbers)
    (primitive,) = builder.model.primitives
    for name, ranks_of in zip(("rank_list", "group_rank_ids"), lists):
        made = primitive.attribute.add(name=name, type=20)
        for rank in ranks_of:
            made.values.add(type=7).ints.append(rank)
    builder.node(op, "y", ["x"], dims, op_type=ref)
    builder.output(builder.node("ReLU", "z", ["y"], dims))
    path = builder.write(tmp_path_factory.mktemp("group") / "Net.mindir")
    try:
        shard = mindir.load(path)
        for summaries in ([shard.summary()], [shard.summary()] * 2):
            with contextlib.suppress(mindir.MindIRError):
                mindir.check_set(summaries)
        with contextlib.suppress(mindir.MindIRError):
            mindir.in_two_dimensions(mindir.split_all_reduce(mindir.load(path), 2))
        with contextlib.suppress(mindir.MindIRError):
            mindir.check_tensorrt(shard)
        assert mindir.cut(shard).steps
    except mindir.MindIRError as error:
        assert str(error).isprintable()


def test_a_group_is_read_in_every_form_that_mindspore_writes():
    builder = Builder()
    builder.input("x")
    for name, attributes in (("a", {"group_ranks": b"1-3"}), ("b", {"group_ranks": b"WORLD_GROUP"}), ("c", {})):
        ref = builder.primitive("AllReduce", f"AllReduce:{name}", group=f"2-{name}".encode(), op=b"sum", **attributes)
        builder.node("AllReduce", name, ["x"], op_type=ref)
    made = builder.model.primitives[2].attribute.add(name="rank_list", type=20)
    for rank in (3, 1):
        made.values.add(type=7).ints.append(rank)
    builder.output("a", "b", "c")
    found = mindir.Graph("Net.mindir", builder.model).collectives
    assert [(one.members, one.world) for one in found] == [((1, 3), False), ((), True), ((3, 1), False)]
