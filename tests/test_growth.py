"""Small files that could cost a lot: time and memory grow no faster than the file."""

import sys

import pytest
from conftest import command
from untrusted import Builder

import mindir


def doubled_tuples(count):
    """Each tuple holds the one before twice: 2 ** count values."""
    builder = Builder()
    value = builder.node("ReLU", "t0", [builder.input("x")])
    for index in range(count):
        value = builder.tuple(f"t{index + 1}", [value, value])
    return builder.output(value)


def doubled_empty_tuples(count):
    builder = Builder()
    builder.node("ReLU", "y", [builder.input("x")])
    value = builder.tuple("t0", [])
    for index in range(count):
        value = builder.tuple(f"t{index + 1}", [value, value])
    return builder.output(value)


def deep_tuples(count):
    builder = Builder()
    value = builder.node("ReLU", "t0", [builder.input("x")])
    for index in range(count):
        value = builder.tuple(f"t{index + 1}", [value])
    return builder.output(value)


def long_chain(count):
    builder = Builder()
    value = builder.input("x")
    for index in range(count):
        value = builder.node("ReLU", f"n{index}", [value])
    return builder.output(value)


def many_collectives(count):
    builder = Builder()
    value = builder.input("x")
    for index in range(count):
        value = builder.node("ReLU", f"n{index}", [value])
        value = builder.collective("AllReduce", f"c{index}", value)
    return builder.output(builder.node("ReLU", "y", [value]))


def a_tuple_in_every_stage(count):
    """A tuple of many values that is taken after each of many collectives."""
    builder = Builder()
    value = builder.input("x")
    parts = builder.tuple("all", [builder.node("ReLU", f"p{index}", [value]) for index in range(count)])
    for index in range(count):
        value = builder.collective("AllReduce", f"c{index}", builder.node("Concat", f"n{index}", [parts, value]))
    return builder.output(builder.node("ReLU", "y", [value]))


def a_weight_of_many_kinds(count):
    """A weight of 1 MiB in thousands of products, each with its own primitive, which transpose it or not."""
    builder = Builder()
    value = builder.input("x")
    builder.parameter("w", (512, 512))
    for index in range(count):
        ref = builder.primitive(
            "MatMul", f"MatMul:{index}", transpose_b=index % 2, transpose_x2=index, adj_x1=index // 2
        )
        value = builder.node("MatMul", f"n{index}", [value, "w"], op_type=ref)
    return builder.output(value)


def a_primitive_of_many_attributes(count):
    builder = Builder()
    value = builder.input("x")
    builder.parameter("w", (8, 8))
    for op in ("AllReduce", "MatMul"):
        attributes = {f"a{index}": index for index in range(count)}
        builder.primitive(op, **attributes, **{"group": b"hccl_world_group"} if op == "AllReduce" else {})
        value = builder.node(op, f"{op}0", [value])
        for index in range(count):
            builder.node(op, f"{op}{index + 1}", ["x", "w"])
    return builder.output(value)


def a_long_name(count):
    builder = Builder()
    builder.input("x")
    value = builder.parameter("w" * 100_000)
    alias = builder.node("Load", "load", [value], (8, 8))
    for index in range(count):
        builder.node("MatMul", f"n{index}", ["x", alias])
    return builder.output(f"n{count - 1}")


GROWTH = [
    *(doubled_tuples, doubled_empty_tuples, deep_tuples, long_chain, many_collectives, a_tuple_in_every_stage),
    *(a_weight_of_many_kinds, a_primitive_of_many_attributes, a_long_name),
]


@pytest.mark.parametrize("build", GROWTH, ids=lambda build: build.__name__)
def test_time_and_memory_grow_no_faster_than_the_file(tmp_path, build):
    """Four times the file takes four times as long if all is in proportion, and sixteen times if it isn't."""
    paths = [build(count).write(tmp_path / f"Net{count}.mindir") for count in (250, 1000)]
    program = """
import os, resource, sys, time
resource.setrlimit(resource.RLIMIT_CPU, (60, 60))
resource.setrlimit(resource.RLIMIT_AS, (3 << 30, 3 << 30))
sys.path.insert(0, "tests")
from untrusted import everything
for path in sys.argv[1:]:
    os.mkdir(path + ".out")
    before = time.process_time()
    everything(path, path + ".out")
    print(time.process_time() - before)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10)
"""
    done = command(sys.executable, "-c", program, *paths)
    assert done.returncode == 0, done.stderr
    little, much, mebibytes = map(float, done.stdout.split())
    assert much <= 8 * little + 0.2, (little, much)
    assert mebibytes <= 500, mebibytes


def test_a_constant_is_not_copied_without_end(tmp_path, monkeypatch):
    """Each stage that needs a constant has a copy, so one of a few MiB could fill all memory."""
    builder = Builder()
    value = builder.input("x")
    builder.node("Constant", "constant", [], (64, 1024))
    builder.graph.node[-1].attribute[0].tensors[0].raw_data = bytes(1 << 18)
    for index in range(20):
        value = builder.collective("AllReduce", f"c{index}", builder.node("Add", f"n{index}", [value, "constant"]))
    path = builder.output(builder.node("ReLU", "y", [value])).write(tmp_path / "Net.mindir")
    assert len(mindir.cut(mindir.load(path)).steps) == 41
    monkeypatch.setattr("mindir.stages.MOST_MORE", 1 << 20)
    with pytest.raises(mindir.MindIRError, match="too many stages"):
        mindir.cut(mindir.load(path))
