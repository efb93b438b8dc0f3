"""Read, check and describe a file. Nothing in it is trusted, as it may come from anywhere."""

from google.protobuf.message import DecodeError

import ranks
from mindir import foreign
from mindir.errors import MindIRError, understood
from mindir.graph import Graph
from mindir.lower import lower
from mindir.outputs import part_outputs
from mindir.parameters import check_parameter, short_name
from mindir.records import Shard, Value
from mindir.schema import PROTO


def find(path):
    """Return the file of the model `path`: itself, or `X_graph.mindir` of a large export for `X.mindir`."""
    found = ranks.find(path)
    if not found:
        large = "the _graph.mindir of a large export"
        raise MindIRError(f"{path}: no such file (nor {large}): export the model or correct the path")
    return found


def _not_mindir(path, data, found):
    """Return the message for a file that isn't MindIR: what it is, if its first bytes say so."""
    kind = foreign.kind(data)
    if kind:
        wanted = "" if ": " in kind else ": give a MindIR file (export with file_format='MINDIR')"
        return f"{path}: is {kind}{wanted}"
    return f"{path}: {found}: cut off or not a MindIR file: export or copy it again"


def load(path, reads=None):
    """Read and check the MindIR file `path` and return its Shard; raise MindIRError for anything that isn't one.

    Whatever any back end could run is let through: what one engine lacks is refused once that engine is chosen. It
    takes time and memory in proportion to the file. `reads` is the highest mind_ir_version that the engine reads
    (lower.readable_by): a newer file is lowered to 1. Without it the model stays as it is in the file.
    """
    path = find(path)
    try:
        with open(path, "rb") as file:
            data = file.read()
        model = PROTO["Model"].FromString(data)
    except OSError as error:
        raise MindIRError(f"{path}: can't be read: {error.strerror}") from None
    except (DecodeError, RecursionError):  # the latter from protobuf in plain Python
        raise MindIRError(_not_mindir(path, data, f"{len(data)} bytes that don't parse as MindIR")) from None
    if not data:
        raise MindIRError(f"{path}: the file is empty (0 bytes): export or copy it again")
    graph = model.graph
    if not model.ir_version or not graph.output or not graph.node and not graph.input:
        raise MindIRError(_not_mindir(path, data, "no graph in it"))
    del data
    is_lowered = reads is not None and model.mind_ir_version > reads
    if reads is not None:
        if is_lowered:
            Graph(path, model)  # checks it
            lower(path, model)
        with understood(path):
            part_outputs(model)
    nbytes = sum(check_parameter(path, parameter) for parameter in graph.parameter)
    net = Graph(path, model)
    return Shard(
        path,
        f"{model.producer_name} {model.model_version}",
        [Value(short_name(value.name), *net.kind[value.name]) for value in graph.input],
        [Value(net.full_name(value), *net.kind.get(value, ("tuple", ()))) for value in net.outputs],
        len(graph.parameter),
        nbytes,
        net.collectives,
        net.passes_on(),
        is_lowered,
        model,
    )
