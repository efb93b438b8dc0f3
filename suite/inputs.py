"""A model's inputs: arrays matched to them by name, filled in, and found to be the same on every rank."""

import zlib

import numpy as np

import ranks


def short_name(name):
    """Return an input's name without what MindSpore may put before it: a scope up to ':' and the letter \u0444."""
    return name.rstrip().rsplit(":", 1)[-1].lstrip("\u0444")


def match(inputs, arrays, source):
    """Return the arrays for the input Tensors, in their order: ones in each input's dtype, or those given by name.

    `arrays` is {name: array}, {None: array} for a single input, {} for ones; `source` says in messages where they come
    from. Raises Stop (status 2) where a name, dtype or shape doesn't fit. -1 in an input's shape fits any number.
    """
    names = [short_name(tensor.name) for tensor in inputs]
    if None in arrays and len(inputs) > 1:
        message = f"{source}: one array, but the inputs are {', '.join(names)}: give an .npz with them"
        raise ranks.Stop(ranks.REFUSED, message)
    arrays = dict(zip(names, arrays.values())) if None in arrays else arrays
    if arrays and set(arrays) != set(names):
        given = ", ".join(sorted(arrays))
        message = f"{source} has {given}, the model takes {', '.join(names)}: give the arrays these names"
        raise ranks.Stop(ranks.REFUSED, message)
    matched = []
    for name, tensor in zip(names, inputs):
        dtype, shape = ranks.dtype(tensor), list(tensor.shape)
        if not arrays and -1 in shape:
            raise ranks.Stop(ranks.REFUSED, f"input {name} has the open shape {shape}: give its data with {source}")
        array = arrays[name] if arrays else np.ones(shape, dtype)
        fits = len(shape) == array.ndim and all(want in (-1, got) for want, got in zip(shape, array.shape))
        if array.dtype.name != dtype or not fits or not array.size:
            given = f"{array.dtype} {list(array.shape)}"
            raise ranks.Stop(ranks.REFUSED, f"{source}: {name} is {given}, the model takes {dtype} {shape}")
        matched.append(array.astype(dtype, order="C", copy=False))
    return matched


def fill(model, arrays, source="the arrays"):
    """Fill the model's inputs with what match() returns, and resize open ones to it; return (inputs, arrays)."""
    inputs = model.get_inputs()
    arrays = match(inputs, arrays, source)
    if any(-1 in tensor.shape for tensor in inputs):
        model.resize(inputs, [list(array.shape) for array in arrays])
        inputs = model.get_inputs()
    return ranks.fill(inputs, arrays), arrays


def check_same(comm, arrays):
    """Raise Stop (status 2) unless the ranks have the same arrays, {input's name: array}, where their names agree.

    All ranks call this together. It costs a checksum of each array.
    """
    mine = {name: (array.shape, zlib.crc32(array)) for name, array in arrays.items()}
    everyone = comm.allgather((comm.rank, mine))
    first, expected = everyone[0]
    for rank, theirs in everyone[1:]:
        for name in theirs:
            if theirs[name] != expected.get(name, theirs[name]):
                message = f"rank {rank}: input {name} isn't the same as on rank {first}: all ranks take the same inputs"
                raise ranks.Stop(ranks.REFUSED, message)
