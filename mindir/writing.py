"""Write stages and rewritten models to where an engine can build them."""

import os

from mindir.errors import MindIRError
from mindir.parameters import STORED_AS, location, values


def write(stage, shard, folder, name):
    """Write the stage to `folder` as MindSpore writes a large export, and return the path to build it from.

    `NAME_graph.mindir` holds the graph, `NAME_variables/data_0` the parameters: a byte that says little-endian, zeros
    up to byte 64, then the values where `external_data` says. They come from the shard, one parameter at a time.
    """
    variables, parameters = f"{name}_variables", {tensor.name: tensor for tensor in shard.model.graph.parameter}
    os.mkdir(os.path.join(folder, variables))
    with open(os.path.join(folder, variables, "data_0"), "wb") as data:
        data.write(b"\x01".ljust(64, b"\0"))
        for tensor in stage.model.graph.parameter:
            content = values(shard.path, parameters[tensor.name])
            tensor.external_data.location = f"{variables}/data_0"
            tensor.external_data.offset, tensor.external_data.length = data.tell(), len(content)
            data.write(content)
    path = os.path.join(folder, f"{name}_graph.mindir")
    with open(path, "wb") as file:
        file.write(stage.model.SerializeToString())
    return path


def save(shard, folder):
    """Write the shard's model, as it was rewritten, to `folder` and return its path there.

    The values of a large export stay where they are: a link in `folder` leads to them. If its name is taken, nothing is
    overwritten or used in its place: that is a MindIRError.
    """
    name, home = os.path.basename(shard.path), os.path.dirname(os.path.abspath(shard.path))
    path = os.path.join(folder, name)
    for tensor in shard.model.graph.parameter:
        if tensor.doc_string.startswith(STORED_AS):  # converted to the dtype that the model has now
            tensor.raw_data = bytes(values(shard.path, tensor))
            tensor.ClearField("external_data")
            tensor.ClearField("doc_string")
    tensors = [tensor for tensor in shard.model.graph.parameter if tensor.HasField("external_data")]
    try:
        for first in sorted({location(shard.path, tensor)[0] for tensor in tensors}):
            _link(os.path.join(home, first), os.path.join(folder, first), taken=first == name)
        with open(f"{path}.new", "xb") as file:
            file.write(shard.model.SerializeToString())
        os.rename(f"{path}.new", path)  # a link with this name is removed, not followed
    except OSError as error:
        advice = f"{error.strerror}: set TMPDIR to a folder that can"
        raise MindIRError(f"{folder}: can't hold a copy of {shard.path}: {advice}") from None
    return path


def _link(target, link, taken):
    """Make `link` lead to `target`, unless it does already; raise MindIRError if its name is taken."""
    if os.path.islink(link) and os.readlink(link) == target:
        return
    if taken or os.path.lexists(link):
        raise MindIRError(f"{link}: the name is taken, so it can't link to the values in {target}: use another folder")
    os.symlink(target, link)
