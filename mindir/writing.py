"""Stages and rewritten models written where an engine can build them from."""

import os

from mindir.errors import MindIRError
from mindir.parameters import values


def write(stage, shard, folder, name):
    """Write the stage to `folder` as MindSpore writes a large export, and return the path to build it from.

    `NAME_graph.mindir` holds the graph, `NAME_variables/data_0` the parameters: a byte that says little-endian, zeros
    up to byte 64, then the values where `external_data` says. They come from the shard, one parameter at a time.
    """
    variables, parameters = name + "_variables", {each.name: each for each in shard.model.graph.parameter}
    os.mkdir(os.path.join(folder, variables))
    with open(os.path.join(folder, variables, "data_0"), "wb") as data:
        data.write(b"\x01".ljust(64, b"\0"))
        for tensor in stage.model.graph.parameter:
            data_of = values(shard.path, parameters[tensor.name])
            tensor.external_data.location = f"{variables}/data_0"
            tensor.external_data.offset, tensor.external_data.length = data.tell(), len(data_of)
            data.write(data_of)
    path = os.path.join(folder, name + "_graph.mindir")
    with open(path, "wb") as file:
        file.write(stage.model.SerializeToString())
    return path


def save(shard, folder):
    """Write the shard's model, as it was rewritten, to `folder` and return its path there."""
    path = os.path.join(folder, os.path.basename(shard.path))
    try:
        with open(path, "wb") as file:
            file.write(shard.model.SerializeToString())
    except OSError as error:
        advice = f"{error.strerror}: set TMPDIR to a folder that can"
        raise MindIRError(f"{folder}: can't hold a copy of {shard.path}: {advice}") from None
    for tensor in shard.model.graph.parameter:  # the values of a large export stay where they are
        if tensor.HasField("external_data"):
            name = tensor.external_data.location.split("/")[0]
            if not os.path.islink(os.path.join(folder, name)):
                os.symlink(os.path.abspath(os.path.join(os.path.dirname(shard.path), name)), os.path.join(folder, name))
    return path
