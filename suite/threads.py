"""How many threads mindspore_lite's CPU may use for a net without being wrong."""

import contextlib

# elements; mindspore_lite 2.0.0's LayerNorm in 2 to 64 threads: wrong up to 720, right from 792 on
SMALL = 8192
BY_SHAPE = ("LayerNorm",)  # operators for whose sake a net's threads depend on shapes


@contextlib.contextmanager
def safe(context, model):
    """Within it, the Context has a number of threads with which the net, a MindIR's protobuf message, is right.

    mindspore_lite 2.0.0 splits a LayerNorm as if all of its threads took part, but uses fewer for few values: some rows
    are then silently left out. Such a net gets one thread, which is as fast.
    """
    threads = context.cpu.thread_num
    if _has_small_layer_norm(model):
        context.cpu.thread_num = 1
    try:
        yield
    finally:
        context.cpu.thread_num = threads


def _has_small_layer_norm(model):
    names = {primitive.name for primitive in model.primitives if primitive.op_type in BY_SHAPE}
    return any(_is_small(node) for node in model.graph.node if node.op_type[5:] in names)


def _is_small(node):
    """Return whether the node's (first) output may have few elements: open dimensions may be small."""
    tensors = [tensor for item in node.attribute for tensor in item.tensors]
    tensors += [tensor for item in node.attribute for value in item.values for tensor in value.tensors]
    size = 1
    for dimension in tensors[0].dims if tensors else [-1]:
        size *= max(dimension, 0)
    return size < SMALL
