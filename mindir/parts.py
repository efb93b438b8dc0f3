"""Which part of the unsharded model's weights a shard has: found by comparing values, as no file says so."""

import itertools

import numpy as np

from mindir.dtypes import DTYPES, ITEMSIZE
from mindir.parameters import short_name, values

MOST_PLACES = 4096  # at most so many places are searched for a part


def weights(shard):
    """Return {name: array} of a shard's parameters, as bytes with one more axis, as NumPy doesn't have all dtypes."""
    found = {}
    for tensor in shard.model.graph.parameter:
        size = ITEMSIZE.get(DTYPES[tensor.data_type], 0)
        data = np.frombuffer(values(shard.path, tensor), np.uint8)
        if size and not tensor.compression_type and data.size == size * int(np.prod(tensor.dims, dtype=np.int64)):
            found[short_name(tensor.name)] = data.reshape(*tensor.dims, size)
    return found


def find_part(whole, part):
    """Return where `part` is in `whole`, [(first, last + 1), ...] by axis, and whether that is the only place.

    Returns (None, False) if it is no part of it. Both are arrays from weights(). Parts of the same size are side by
    side, so a part should begin at a multiple of its size; otherwise all places are tried, if they are few.
    """
    if whole.ndim != part.ndim or any(size > of for size, of in zip(part.shape, whole.shape)) or not part.size:
        return None, False
    sizes = list(zip(part.shape[:-1], whole.shape[:-1]))
    aligned = [range(0, of - size + 1, size) for size, of in sizes]
    anywhere = [range(of - size + 1) for size, of in sizes]
    for places in (aligned, anywhere):
        if np.prod([len(axis) for axis in places], dtype=float) > MOST_PLACES:
            continue
        found = []
        for starts in itertools.product(*places):
            if not np.array_equal(whole[starts], part[(0,) * len(starts)]):  # the first value excludes most places
                continue
            held = tuple(slice(start, start + size) for start, (size, _) in zip(starts, sizes))
            if np.array_equal(whole[held], part):
                found.append([(axis.start, axis.stop) for axis in held])
                if len(found) == 2:
                    break
        if found:
            return found[0], len(found) == 1
    return None, False
