"""Make MindIR files of mind_ir_version 1 node by node, where an exporter would be too slow or too helpful."""

from mindir.dtypes import describe
from mindir.rewriting import Rewriter
from mindir.schema import PROTO


def build(path, inputs, make):
    """Write a model with inputs {name: (dtype, shape)}; make(net, *names) makes its nodes and returns its outputs."""
    model = PROTO["Model"](ir_version="0.1.1", producer_name="MindSpore", model_version="2.0.0", mind_ir_version=1)
    model.little_endian = True
    model.graph.name = "net"
    for name, kind in inputs.items():
        describe(model.graph.input.add(name=name).tensor.add(), kind)
    net = Rewriter(str(path), model)
    last = model.graph.node.add(name="outputs", output=["outputs"])
    net.node, net.op = last, "MakeTuple"
    values = make(net, *inputs)
    net.set_results(*values)
    model.graph.output.add(name="outputs", denotation="Tuple").attr_info.CopyFrom(last.attribute[0])
    model.graph.output[0].attr_info.ClearField("name")
    net._arrange()
    with open(str(path), "wb") as file:
        file.write(model.SerializeToString())
