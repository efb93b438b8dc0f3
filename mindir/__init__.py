"""MindIR files: read, checked, repaired, cut at their collectives, compared.

A MindIR file is a protobuf: one flat graph of nodes in topological order, the parameters' values, and the list of
primitives that the nodes refer to. A distributed model is one such file per rank, with AllReduce, AllGather, Send
and similar nodes where ranks exchange values.
"""

from mindir import foreign
from mindir.alike import fingerprint
from mindir.collectives import COLLECTIVES, PEERS, REDUCTIONS, WORLD
from mindir.dtypes import DTYPES
from mindir.errors import MindIRError, printable
from mindir.graph import Graph, check_stateless, label
from mindir.groups import check_groups, moments
from mindir.lower import check_readable, readable_by
from mindir.parameters import data_file, narrow, short_name, values
from mindir.ranges import Ranges
from mindir.reading import find, load
from mindir.records import Collective, Plan, Shard, Stage, Value
from mindir.repairs import repair
from mindir.schema import PROTO
from mindir.sets import check_set, check_shared
from mindir.stages import cut, needs_order
from mindir.tensorrt import check_tensorrt, in_two_dimensions, split_all_reduce
from mindir.writing import save, write

__all__ = [
    "COLLECTIVES",
    "Collective",
    "DTYPES",
    "Graph",
    "MindIRError",
    "PEERS",
    "PROTO",
    "Plan",
    "REDUCTIONS",
    "Ranges",
    "Shard",
    "Stage",
    "Value",
    "WORLD",
    "check_groups",
    "check_readable",
    "check_set",
    "check_shared",
    "check_stateless",
    "check_tensorrt",
    "cut",
    "data_file",
    "find",
    "fingerprint",
    "foreign",
    "in_two_dimensions",
    "label",
    "load",
    "moments",
    "narrow",
    "needs_order",
    "printable",
    "readable_by",
    "repair",
    "save",
    "short_name",
    "split_all_reduce",
    "values",
    "write",
]
