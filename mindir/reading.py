"""A file's way in: read, checked, described."""

from google.protobuf.message import DecodeError

import ranks
from mindir import parameters
from mindir.errors import MindIRError
from mindir.graph import Graph
from mindir.lower import lower
from mindir.outputs import part_outputs
from mindir.parameters import short_name
from mindir.records import Shard, Value
from mindir.schema import PROTO


def find(path):
    """Return the file of the model `path`: itself, or `X_graph.mindir` of a large export for `X.mindir`."""
    found = ranks.find(path)
    if not found:
        raise MindIRError(
            f"{path}: no such file (nor the _graph.mindir of a large export): export it or correct the path"
        )
    return found


def load(path, reads=None):
    """Read and check the MindIR file `path` and return its Shard; raise MindIRError for anything that isn't one.

    `reads` is the highest mind_ir_version that the engine reads (lower.readable_by); a newer file is lowered to 1.
    """
    path = find(path)
    try:
        with open(path, "rb") as file:
            data = file.read()
        model = PROTO["Model"].FromString(data)
    except OSError as error:
        raise MindIRError(f"{path}: can't be read: {error.strerror}") from None
    except DecodeError:
        advice = "cut off or not a MindIR file: export or copy it again"
        raise MindIRError(f"{path}: {len(data)} bytes that don't parse as MindIR: {advice}") from None
    if not data:
        raise MindIRError(f"{path}: the file is empty (0 bytes): export or copy it again")
    del data
    graph = model.graph
    if not model.ir_version or not graph.output or not graph.node and not graph.input:
        raise MindIRError(f"{path}: no graph in it: cut off or not a MindIR file: export or copy it again")
    if reads is not None:
        if model.mind_ir_version > reads:
            lower(path, model)
        part_outputs(model)
    nbytes = sum(parameters.check(path, parameter) for parameter in graph.parameter)
    net = Graph(path, model)
    return Shard(
        path,
        f"{model.producer_name} {model.model_version}",
        [Value(short_name(each.name), *net.kind[each.name]) for each in graph.input],
        [Value(net.full_name(each), *net.kind.get(each, ("tuple", ()))) for each in net.outputs],
        len(graph.parameter),
        nbytes,
        net.collectives,
        model,
    )
