"""MindIR files: read, checked, repaired, cut at their collectives, compared.

A MindIR file is a protobuf: one flat graph of nodes in topological order, the parameters' values, and the list of
primitives that the nodes refer to. A distributed model is one such file per rank, with AllReduce, AllGather and
ReduceScatter nodes where the ranks exchange values.
"""

from mindir.dtypes import DTYPES
from mindir.errors import MindIRError, printable
from mindir.graph import Graph, label
from mindir.lower import readable_by
from mindir.parameters import data_file, narrow, short_name
from mindir.reading import find, load
from mindir.records import Collective, Plan, Shard, Stage, Value
from mindir.repairs import repair
from mindir.schema import PROTO
from mindir.sets import COLLECTIVES, REDUCTIONS, WORLD, check_set, check_shared
from mindir.stages import cut
from mindir.tensorrt import split_all_reduce
from mindir.writing import save, write

__all__ = [
    "COLLECTIVES",
    "Collective",
    "DTYPES",
    "Graph",
    "MindIRError",
    "PROTO",
    "Plan",
    "REDUCTIONS",
    "Shard",
    "Stage",
    "Value",
    "WORLD",
    "check_set",
    "check_shared",
    "cut",
    "data_file",
    "find",
    "label",
    "load",
    "narrow",
    "printable",
    "readable_by",
    "repair",
    "save",
    "short_name",
    "split_all_reduce",
    "write",
]
