"""A model cut at its collectives into stages that an engine without collectives can run."""

from typing import List

from mindir.errors import MindIRError
from mindir.graph import SIDE_EFFECT, Graph, label, times_taken
from mindir.records import Plan, Stage
from mindir.repairs import repair
from mindir.schema import PROTO, TENSORS, TUPLE, describe
from mindir.sets import check_collective


def cut(shard):
    """Return the Plan that runs the shard.

    Stage k holds the nodes with k collectives before them, so collectives that don't wait for each other follow the
    same stage. Nodes that neither an output nor a collective needs are left out. Raises MindIRError, naming the node,
    for what can't be cut.
    """
    net = Graph(shard.path, repair(shard).model)
    collectives = _checked_collectives(net)
    level = dict.fromkeys(net.kind, 0)  # value: the first stage that can use it
    for value, inputs in net.inputs.items():
        after = value in collectives
        inputs = [collectives[value].input] if after else inputs
        level[value] = max([level[each] for each in inputs], default=0) + after

    ends = [each.input for each in collectives.values()] + net.outputs
    handed_on: List[set] = [set() for _ in range(max(level[each] for each in ends) + 1)]
    for value in ends:
        if value in net.nodes and value not in collectives:
            handed_on[level[value]].add(value)
    steps: List[object] = []
    for here in reversed(range(len(handed_on))):  # what a stage takes in, earlier stages have to hand on
        steps += reversed([each for each in collectives.values() if level[each.input] == here])
        inside, inputs, todo = set(), set(), list(handed_on[here])
        while todo:
            value = todo.pop()
            if value in inside or value in inputs:
                continue
            computed = value in net.nodes and value not in collectives
            # constants and tuples of tensors are made again wherever they are needed
            again = net.op.get(value) in ("Constant", "MakeTuple")
            if value in net.parameters or computed and (again or level[value] == here):
                inside.add(value)
                todo += net.inputs.get(value, [])
                continue
            if value not in net.kind:
                where = f"{net.path}: node {label(net.nodes[value])}"
                raise MindIRError(f"{where}: its tuple is taken after a later collective, which can't be cut")
            inputs.add(value)
            if computed:
                handed_on[level[value]].add(value)
        if handed_on[here]:
            steps.append(_stage(net, inside, sorted(inputs), sorted(handed_on[here])))
    return Plan([each.name for each in shard.model.graph.input], steps[::-1], net.outputs)


def _checked_collectives(net):
    """Return {output: Collective}, a ReduceScatter that only an AllGather takes joined with it to one AllReduce."""
    for value, op in net.op.items():
        where = f"{net.path}: node {label(net.nodes[value])}"
        if op in ("Call", "Partial", "Switch"):
            raise MindIRError(f"{where}: control flow ({op}) can't be cut into stages: export the net without it")
        if op.startswith(SIDE_EFFECT):
            raise MindIRError(f"{where}: {op[len(SIDE_EFFECT) :]} changes state: export the net without it")
    for each in net.collectives:
        check_collective(net.path, each)
        if each.input in net.parameters or net.op.get(each.input) == "Constant":
            raise MindIRError(f"{net.path}: node {each.node}: {each.op} of a constant: exchange it before the export")
    for value in net.outputs:
        if value in net.parameters or net.op.get(value) == "Constant" or value not in net.kind:
            raise MindIRError(f"{net.path}: output {net.full_name(value)} isn't a computed tensor")
    taken = times_taken(net)
    found = {each.output: each for each in net.collectives}
    for each in net.collectives:
        first = found.get(each.input)
        if each.op == "AllGather" and first and first.op == "ReduceScatter" and taken[first.output] == 1:
            node = f"{first.node} + {each.node}"
            found[each.output] = first._replace(op="AllReduce", node=node, output=each.output)
            del found[first.output]
    return found


def _stage(net, inside, inputs, outputs):
    """Return the Stage that computes the values `outputs` from the values `inputs` with the nodes `inside`."""
    old = net.model
    model = PROTO["Model"](
        ir_version=old.ir_version, producer_name=old.producer_name, model_version=old.model_version,
        little_endian=old.little_endian, mind_ir_version=old.mind_ir_version,
    )  # fmt: skip
    graph, names = model.graph, {each: f"in{index}" for index, each in enumerate(inputs)}
    graph.name = "stage"
    for each in inputs:  # mindspore_lite shortens names at ':', so a stage has names of its own
        describe(graph.input.add(name=names[each]).tensor.add(), net.kind[each])
    for name, each in net.parameters.items():
        if name in inside:  # write() adds where the values are
            graph.parameter.add(name=name, dims=each.dims, data_type=each.data_type)
    for value, node in net.nodes.items():
        if value in inside:
            made = graph.node.add()
            made.CopyFrom(node)
            made.input[:] = [names.get(each, each) for each in net.inputs[value]]
    used = {each.op_type[5:] for each in graph.node}
    model.primitives.extend(each for each in old.primitives if each.name in used)
    if len(outputs) == 1:
        describe(graph.output.add(name=outputs[0]).tensor.add(), net.kind[outputs[0]])
        return Stage(model, inputs, outputs)
    model.primitives.add(name="MakeTuple:stage", op_type="MakeTuple")
    node = graph.node.add(input=outputs, output=["outputs"], name="outputs", op_type="REF::MakeTuple:stage")
    shape = node.attribute.add(name="shape", type=TUPLE)
    graph.output.add(name="outputs", denotation="Tuple").attr_info.type = TUPLE
    for each in outputs:
        for tuple_type in (shape, graph.output[0].attr_info):
            describe(tuple_type.values.add(type=TENSORS).tensors.add(), net.kind[each])
            tuple_type.seq_info.is_dyn_len = False
    return Stage(model, inputs, outputs)
