"""A model's inputs: match arrays to them by name, fill them, and check that they are the same on every rank."""

import zlib

import numpy as np

import ranks
from suite.arrays import array_dtype, dtype_name


def short_name(name):
    """Return an input's name without what MindSpore may put before it: a scope, up to ':', and the letter \u0444."""
    return name.rstrip().rsplit(":", 1)[-1].lstrip("\u0444")


def match(inputs, arrays, source, elsewhere=()):
    """Return the arrays for the input Tensors, in their order: ones in each input's dtype, or those given by name.

    `arrays` is {name: array}, {None: array} for a single input, {} for ones; messages say that they are from `source`;
    `elsewhere` are the inputs of other stages of a pipeline, whose arrays have to be given, too. Raises Stop (status 2)
    if a name, dtype or shape doesn't fit. -1 in an input's shape fits any number.
    """
    names = [short_name(tensor.name) for tensor in inputs]
    taken = list(dict.fromkeys([*names, *elsewhere]))
    arrays = by_name(taken, arrays, source) if arrays else {}
    matched = []
    for name, tensor in zip(names, inputs):
        dtype, shape = ranks.dtype(tensor), list(tensor.shape)
        if not arrays and -1 in shape:
            raise ranks.Stop(ranks.REFUSED, f"input {name} has the open shape {shape}: give its data with {source}")
        array = arrays[name] if arrays else np.ones(shape, dtype)
        check_kind(name, array, dtype, shape, source)
        matched.append(array.astype(dtype, order="C", copy=False))
    return matched


def by_name(names, arrays, source, does="takes"):
    """Return {name: array} in the order of the inputs' names; {None: array} is that of a single input.

    Raises Stop (status 2) if the arrays have other names; "gives" is what the model does with outputs.
    """
    if None in arrays and len(names) > 1:
        message = f"{source}: one array, but the inputs are {', '.join(names)}: give an .npz with them"
        raise ranks.Stop(ranks.REFUSED, message)
    arrays = dict(zip(names, arrays.values())) if None in arrays else arrays
    if set(arrays) != set(names):
        given = ", ".join(sorted(map(str, arrays))) or "nothing"
        message = f"{source} has {given}, the model {does} {', '.join(names)}: rename the arrays"
        raise ranks.Stop(ranks.REFUSED, message)
    return {name: arrays[name] for name in names}


def check_kind(name, array, dtype, shape, source, does="takes"):
    """Raise Stop (status 2) unless the array has this dtype and this shape, in which -1 stands for any number."""
    fits = len(shape) == array.ndim and all(want in (-1, got) for want, got in zip(shape, array.shape))
    if dtype_name(array.dtype) != dtype or not fits or not array.size:
        given = f"{array.dtype} {list(array.shape)}"
        given += " (bfloat16, read without ml_dtypes? Save it as float32)" * (array.dtype.str == "|V2")
        raise ranks.Stop(ranks.REFUSED, f"{source}: {name} is {given}, the model {does} {dtype} {list(shape)}")


def check_range(name, array, source):
    """Return (least, most) of an int64 array; raise Stop (status 2) if they don't fit the int32 of CPU ranks."""
    least, most = int(array.min(initial=0)), int(array.max(initial=0))
    if least < -(2**31) or most >= 2**31:
        far = most if most >= 2**31 else least
        advice = "beyond int32, in which CPU ranks compute int64: give smaller values"
        raise ranks.Stop(ranks.REFUSED, f"{source}: {name} has the value {far}, {advice}")
    return least, most


def match_values(values, arrays, source, backend):
    """Return {name: array} for the inputs `values` ({name: what has a dtype and a shape}), in their order.

    Like match(), but for all inputs of the model, and without mindspore_lite: it refuses beforehand what a rank would
    refuse in a predict, which would end the ranks.
    """
    arrays = by_name(list(values), arrays, source)
    for name, value in values.items():
        check_kind(name, arrays[name], array_dtype(value.dtype), value.shape, source)
        if backend == "cpu" and value.dtype == "int64":
            check_range(name, arrays[name], source)
    return arrays


def fill_by_name(model, arrays):
    """Fill the model's inputs with the arrays, {name: array}, that have their names; return the inputs.

    The model is resized if the shapes aren't the same as before.
    """
    tensors = model.get_inputs()
    mine = [arrays[short_name(tensor.name)] for tensor in tensors]
    shapes = [list(array.shape) for array in mine]
    if shapes != [list(tensor.shape) for tensor in tensors]:
        model.resize(tensors, shapes)
        tensors = model.get_inputs()
    return ranks.fill(tensors, mine)


def fill(model, arrays, source="the arrays", elsewhere=()):
    """Fill the model's inputs with what match() returns, and resize open ones to fit; return (inputs, arrays)."""
    inputs = model.get_inputs()
    arrays = match(inputs, arrays, source, elsewhere)
    if any(-1 in tensor.shape for tensor in inputs):
        model.resize(inputs, [list(array.shape) for array in arrays])
        inputs = model.get_inputs()
    return ranks.fill(inputs, arrays), arrays


def check_same(comm, arrays):
    """Raise Stop (status 2) unless ranks have the same arrays, {input's name: array}, for inputs of the same name.

    All ranks call this together. It costs a checksum of each array.
    """
    mine = {name: (array.shape, zlib.crc32(array)) for name, array in arrays.items()}
    expected = {}  # name: (the first rank that has it, its shape and checksum)
    for rank, theirs in comm.allgather((comm.rank, mine)):
        for name, found in theirs.items():
            first, wanted = expected.setdefault(name, (rank, found))
            if found != wanted:
                message = f"rank {rank}: input {name} isn't the same as on rank {first}: all ranks take the same inputs"
                raise ranks.Stop(ranks.REFUSED, message)


def unsharded_inputs(reference, values, mine, given):
    """Return {name: array} for all inputs of the unsharded model, a mindir.Shard.

    `values` are the shards' inputs by name, `mine` this rank's arrays by name, `given` what match() was given. Raises
    Stop (status 2) if the shards take other inputs than the unsharded model.
    """
    wanted = {value.name: value for value in reference.inputs}
    kinds, theirs = ([(value.dtype, value.shape) for value in one.values()] for one in (values, wanted))
    if len(kinds) == len(theirs) and set(values) != set(wanted):  # matched by their places, if not by name
        values = dict(zip(wanted, values.values()))
        mine = dict(zip(wanted, mine.values())) if len(mine) == len(wanted) else mine
        given = {}
    else:
        kinds = [(values[name].dtype, values[name].shape) if name in values else None for name in wanted]
    if kinds != theirs or set(values) - set(wanted):
        takes, found = (
            [f"{value.name} {value.dtype} {tuple(value.shape)}" for value in one.values()] for one in (wanted, values)
        )
        takes, found = _unknown(takes, found), _unknown(found, takes)
        advice = "it isn't the model that they were made from, or its inputs are split over the ranks: --check off"
        raise ranks.Stop(ranks.REFUSED, f"{reference.path}: takes {takes}, the shards {found}: {advice}")
    given = dict(zip(wanted, given.values())) if None in given else given
    everything = {**{name: array for name, array in given.items() if name in wanted}, **mine}
    return {
        name: everything[name] if name in everything else np.ones(value.shape, array_dtype(value.dtype))
        for name, value in wanted.items()
    }


def _unknown(texts, known):
    """Return as text the first of the texts that isn't known, and how many more there are."""
    others = [text for text in texts if text not in known]
    return f"{others[0]}{f' and {len(others) - 1} more' if others[1:] else ''}" if others else "nothing else"
