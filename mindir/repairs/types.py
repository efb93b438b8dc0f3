"""Types that mindspore_lite 2.0.0 doesn't have."""

from mindir.dtypes import NOT_IN_LITE_2
from mindir.errors import MindIRError
from mindir.graph import Graph, label

WIDENED = ("bfloat16",)  # what CPU ranks compute in float32


def check(shard, back_end):
    """Raise MindIRError for a value whose type the back end can't compute."""
    net = Graph(shard.path, shard.model)
    for value, (dtype, _) in net.kind.items():
        if dtype in NOT_IN_LITE_2 and not (back_end == "cpu" and dtype in WIDENED):
            what = f"node {label(net.nodes[value])}" if value in net.nodes else f"input {value}"
            what = f"parameter {value}" if value in net.parameters else what
            where = "CPUs" if back_end == "cpu" else "GPUs"
            advice = f"mindspore_lite 2.0.0 has no such type on {where}: export in float16 or float32"
            raise MindIRError(f"{shard.path}: {what} is {dtype}: {advice}")
    for name, parameter in net.parameters.items():
        if parameter.compression_type:
            raise MindIRError(f"{shard.path}: parameter {name} is compressed: export the model without compression")
