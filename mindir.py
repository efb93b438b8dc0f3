"""What a shard holds, whether a set of shards fits together, and where its collectives cut it into stages.

    python3 mindir.py models/Matmul0.mindir models/Matmul1.mindir

prints what each file holds and, of several, whether they are one set: status 2 if they aren't.

A MindIR file is a protobuf: one flat graph of nodes in topological order, the parameters' values, and the list of
primitives that the nodes refer to. A distributed model is one such file a rank, with AllReduce, AllGather and
ReduceScatter nodes where the ranks exchange values. The schema below holds the fields that are needed here, with the
names and numbers of MindSpore's mind_ir.proto; protobuf keeps all other fields as they are.
"""

import argparse
import os
import sys
from collections import Counter
from typing import Dict, List, NamedTuple, Optional, Tuple

import numpy as np
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.message import DecodeError

import ranks

# message: field=number:type, a * after the type for a repeated field
SCHEMA = """
Model:     ir_version=1:string producer_name=2:string model_version=5:string graph=7:Graph functions=8:Graph*
           little_endian=10:bool primitives=12:Primitive* mind_ir_version=13:int64
Graph:     node=1:Node* name=2:string parameter=3:Tensor* input=5:Value* output=6:Value*
Node:      input=1:string* output=2:string* name=3:string op_type=4:string attribute=5:Attribute* domain=7:string
Value:     name=1:string tensor=2:Tensor* denotation=4:string attr_info=5:Attribute
Primitive: name=1:string op_type=2:string attribute=3:Attribute* instance_name=4:string
Attribute: name=1:string i=3:int64 s=5:bytes ints=10:int64* tensors=12:Tensor* type=16:int32 values=17:Attribute*
           seq_info=18:Sequence
Sequence:  is_dyn_len=1:bool
Tensor:    dims=1:int64* data_type=2:int32 name=7:string raw_data=9:bytes external_data=12:External
           compression_type=16:int32
External:  location=1:string offset=2:int64 length=3:int64
"""
# TensorProto.DataType of mind_ir.proto as NumPy names its types
DTYPES = {
    1: "float32", 2: "uint8", 3: "int8", 4: "uint16", 5: "int16", 6: "int32", 7: "int64", 9: "bool",
    10: "float16", 11: "float64", 12: "uint32", 13: "uint64", 17: "float64",
}  # fmt: skip
INT64, TENSORS, TUPLE, MONADS = 7, 19, 20, (23, 24)  # of AttributeProto.AttributeType
REDUCTIONS = ("sum", "max", "min", "prod")
COLLECTIVES = ("AllReduce", "AllGather", "ReduceScatter")
SIDE_EFFECT = "side effect: "
WORLD = ("hccl_world_group", "nccl_world_group")


class MindIRError(ranks.Stop):
    """A file, a set of files or a graph that can't be used; the message says which, what is wrong and what to do."""

    def __init__(self, message):
        super().__init__(ranks.REFUSED, message)


def _message_classes():
    """Return {name: protobuf message class} made from SCHEMA, in a descriptor pool of its own."""
    # proto3, for it refuses text that isn't UTF-8; every field optional and nothing packed, as in MindSpore's proto2
    file = descriptor_pb2.FileDescriptorProto(name="shard.proto", package="shard", syntax="proto3")
    kinds = {"string": 9, "bytes": 12, "bool": 8, "int64": 3, "int32": 5}
    message = None
    for word in SCHEMA.split():
        if word.endswith(":"):
            message = file.message_type.add(name=word[:-1])
            continue
        name, rest = word.split("=")
        number, kind = rest.split(":")
        field = message.field.add(name=name, number=int(number))
        if kind.endswith("*"):
            kind, field.label = kind[:-1], 3
            if kind == "int64":
                field.options.packed = False
        else:
            field.label, field.proto3_optional, field.oneof_index = 1, True, len(message.oneof_decl)
            message.oneof_decl.add(name="_" + name)
        if kind in kinds:
            field.type = kinds[kind]
        else:
            field.type, field.type_name = 11, ".shard." + kind
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file) if hasattr(pool, "Add") else pool.AddSerializedFile(file.SerializeToString())
    descriptors = [pool.FindMessageTypeByName("shard." + message.name) for message in file.message_type]
    if hasattr(message_factory, "GetMessageClass"):  # protobuf 4.22 and later
        return {each.name: message_factory.GetMessageClass(each) for each in descriptors}
    factory = message_factory.MessageFactory(pool)
    return {each.name: factory.GetPrototype(each) for each in descriptors}


PROTO = _message_classes()


class Value(NamedTuple):
    """A tensor that goes in, out or between stages; -1 in `shape` is a dimension that the file leaves open."""

    name: str
    dtype: str
    shape: Tuple[int, ...]

    def __str__(self):
        return f"{self.name or '(unnamed)'}  {self.dtype} {self.shape}"


class Collective(NamedTuple):
    """One exchange between all ranks, along axis 0: `input` and `output` are values of this rank's graph."""

    op: str  # AllReduce, AllGather or ReduceScatter
    reduction: str  # sum, max, min or prod; empty for AllGather
    ranks: int  # group size that the node was exported for; 0 where it doesn't say
    group: str
    dtype: str
    shape: Tuple[int, ...]  # of the input
    node: str
    input: str
    output: str

    def signature(self):
        """What all ranks must agree on, as text."""
        reduction = f"({self.reduction})" if self.reduction else ""
        return f"{self.op}{reduction} of {self.dtype} {self.shape}"


class Stage(NamedTuple):
    """What lies between two collectives: a model without any, and the values that go in and out, in its order."""

    model: object
    inputs: List[str]
    outputs: List[str]


class Plan(NamedTuple):
    """How a rank runs: the values that go in, a list of Stage and Collective in order, the values that come out."""

    inputs: List[str]
    steps: List[object]
    outputs: List[str]


class Shard(NamedTuple):
    """What one file holds. `model` is the protobuf message; `summary()` leaves it out, to be sent to other ranks."""

    path: str
    producer: str
    inputs: List[Value]
    outputs: List[Value]
    parameters: int
    nbytes: int
    collectives: List[Collective]
    model: Optional[object] = None

    def summary(self):
        return self._replace(model=None)


def find(path):
    """Return the file of the model `path`: itself, or `X_graph.mindir` of a large export for `X.mindir`."""
    graph = path[: -len(".mindir")] + "_graph.mindir"
    for each in (path, graph):
        if os.path.isfile(each):
            return each
    raise MindIRError(f"{path}: no such file (nor {os.path.basename(graph)}): export the model or correct the path")


def load(path):
    """Read and check the MindIR file `path` and return its Shard; raise MindIRError for anything that isn't one."""
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
    nbytes = sum(_check_parameter(path, parameter) for parameter in graph.parameter)
    net = _Net(path, model)
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


def short_name(name):
    """Return a parameter's name as mindspore_lite shows it: what follows the last ':' and MindSpore's own mark."""
    return name.rsplit(":", 1)[-1].lstrip("\u0444")


def _check_parameter(path, tensor):
    """Return how many bytes the parameter has; raise where its data isn't there in full."""
    if tensor.data_type not in DTYPES:
        raise MindIRError(f"{path}: parameter {tensor.name} is of the unknown data type {tensor.data_type}: damaged?")
    wanted = int(np.prod(tensor.dims, dtype=np.int64)) * np.dtype(DTYPES[tensor.data_type]).itemsize
    if tensor.compression_type:
        raise MindIRError(f"{path}: parameter {tensor.name} is compressed: export the model without compression")
    if tensor.HasField("external_data"):
        data, external = data_file(path, tensor), tensor.external_data
        size = os.path.getsize(data) if os.path.isfile(data) else -1
        if size < 0:
            raise MindIRError(f"{data}: no such file, but {path} keeps its parameters there: copy both")
        there = external.length if external.offset >= 0 and external.offset + external.length <= size else -1
        if there != wanted:
            raise MindIRError(
                f"{data}: parameter {tensor.name} has {wanted} bytes at {external.offset}, the file {size}: "
                "cut off or of another export: export or copy it again"
            )
    elif len(tensor.raw_data) != wanted:
        there = len(tensor.raw_data)
        raise MindIRError(f"{path}: parameter {tensor.name} has {there} bytes instead of {wanted}: damaged file")
    return wanted


def data_file(path, tensor):
    """Return the file with the values of a parameter of the model file `path`, where they lie beside it."""
    return os.path.join(os.path.dirname(path), tensor.external_data.location)


class _Net:
    """The graph with its names resolved: what stands for order only (Load, Depend, UpdateState) is gone."""

    def __init__(self, path, model):
        self.path, self.model = path, model
        graph = model.graph
        primitives = {each.name: each for each in model.primitives}
        functions = {each.name for each in model.functions}
        self.parameters = {each.name: each for each in graph.parameter}
        self.kind: Dict[str, Tuple[str, Tuple[int, ...]]] = {}  # value: dtype and shape
        self.nodes: Dict[str, object] = {}  # value: the node that makes it
        self.inputs: Dict[str, List[str]] = {}  # value: what its node takes
        self.op: Dict[str, str] = {}  # value: its node's operator
        self.collectives: List[Collective] = []
        alias, monads = {}, set()
        for each in graph.input:
            if len(each.tensor) != 1 or each.tensor[0].data_type not in DTYPES:
                raise MindIRError(f"{path}: input {short_name(each.name)} is no tensor of a known type")
            self.kind[each.name] = _kind(each.tensor[0])
        for each in graph.parameter:
            self.kind[each.name] = _kind(each)
        known = set(self.kind)
        for node in graph.node:
            name = node.op_type[5:] if node.op_type.startswith("REF::") else node.op_type
            op = primitives[name].op_type if name in primitives else name
            if len(node.output) != 1 or node.output[0] in known:
                raise MindIRError(f"{path}: node {node.name or '(unnamed)'}: not one output of its own: damaged file")
            output = node.output[0]
            missing = [each for each in node.input if each not in known and each not in functions]
            if missing:
                raise MindIRError(f"{path}: node {label(node)} takes {missing[0]!r}, which nothing makes: damaged file")
            known.add(output)
            self.nodes[output] = node
            if node.op_type != "Constant" and name not in primitives:
                if name in functions or name in self.nodes:
                    op = "Call"
                else:
                    raise MindIRError(f"{path}: node {label(node)}: {name!r} isn't among the primitives: file cut off?")
            made = {each.name: each for each in node.attribute}.get("value" if op == "Constant" else "shape")
            if made is not None and (made.type in MONADS or op == "UpdateState"):
                monads.add(output)
            elif made is not None and len(made.tensors) == 1 and made.tensors[0].data_type in DTYPES:
                self.kind[output] = _kind(made.tensors[0])
            inputs = [alias.get(each, each) for each in node.input]
            self.op[output], self.inputs[output] = op, inputs
            if op in ("Load", "Depend") and inputs:
                alias[output] = inputs[0]
            elif op != "UpdateState" and any(each in monads for each in inputs):
                self.op[output] = SIDE_EFFECT + op
            attributes = {each.name: each for each in primitives[name].attribute} if name in primitives else {}
            if "group" in attributes and attributes["group"].s:
                self.collectives.append(self._collective(output, node, op, attributes))
        outputs = []
        for each in graph.output:
            if each.name not in known:
                raise MindIRError(f"{path}: nothing makes the output {each.name!r}: damaged file")
            outputs.append(alias.get(each.name, each.name))
        while any(self.op.get(each) == "MakeTuple" for each in outputs):  # several outputs, nested or not
            outputs = [
                inner
                for each in outputs
                for inner in (self.inputs[each] if self.op.get(each) == "MakeTuple" else [each])
            ]
        self.outputs = outputs

    def _collective(self, output, node, op, attributes):
        value = self.inputs[output][0] if self.inputs[output] else ""
        dtype, shape = self.kind.get(value, ("tuple", ()))
        reduction = attributes["op"].s.decode(errors="replace") if "op" in attributes else ""
        ranks = attributes["rank_size"].i if "rank_size" in attributes else 0
        group = attributes["group"].s.decode(errors="replace")
        return Collective(op, reduction, ranks, group, dtype, shape, label(node), value, output)

    def full_name(self, value):
        """Return the name that mindspore_lite gives to this output of a whole model."""
        return label(self.nodes[value]) if value in self.nodes else short_name(value)


def _kind(tensor):
    return DTYPES[tensor.data_type], tuple(tensor.dims)


def label(node):
    """Return a node's name as MindSpore's logs have it."""
    return node.domain or node.name


def cut(shard):
    """Return the Plan that runs the shard.

    Stage k holds the nodes with k collectives before them, so collectives that don't wait for each other follow the
    same stage. Nodes that neither an output nor a collective needs are left out. Raises MindIRError, naming the node,
    for what can't be cut.
    """
    net = _Net(shard.path, repair(shard).model)
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
        _check_collective(net.path, each)
        if each.input in net.parameters or net.op.get(each.input) == "Constant":
            raise MindIRError(f"{net.path}: node {each.node}: {each.op} of a constant: exchange it before the export")
    for value in net.outputs:
        if value in net.parameters or net.op.get(value) == "Constant" or value not in net.kind:
            raise MindIRError(f"{net.path}: output {net.full_name(value)} isn't a computed tensor")
    taken = _times_taken(net)
    found = {each.output: each for each in net.collectives}
    for each in net.collectives:
        first = found.get(each.input)
        if each.op == "AllGather" and first and first.op == "ReduceScatter" and taken[first.output] == 1:
            node = f"{first.node} + {each.node}"
            found[each.output] = first._replace(op="AllReduce", node=node, output=each.output)
            del found[first.output]
    return found


def _check_collective(path, each):
    """Raise MindIRError unless this Collective is one that all back ends have, over all ranks."""
    where = f"{path}: node {each.node}: {each.op}"
    if each.op not in COLLECTIVES:
        raise MindIRError(f"{where} isn't one of {', '.join(COLLECTIVES)}, which every back end has")
    if each.group not in WORLD:
        raise MindIRError(f"{where} over the group {each.group!r}: only {WORLD[0]}, all ranks, is possible here")
    if each.op != "AllGather" and each.reduction not in REDUCTIONS:
        raise MindIRError(f"{where} with {each.reduction!r} isn't one of {', '.join(REDUCTIONS)}")
    if each.dtype == "tuple" or each.dtype == "bool" and each.reduction:
        raise MindIRError(f"{where} of a {each.dtype} isn't possible here")


def _times_taken(net):
    """Return {value: how often nodes and outputs take it}, counting only what an output or a collective needs."""
    taken, needed, todo = Counter(net.outputs), set(), net.outputs + [each.output for each in net.collectives]
    while todo:
        value = todo.pop()
        if value in net.nodes and value not in needed:
            needed.add(value)
            taken.update(net.inputs[value])
            todo += net.inputs[value]
    return taken


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
        _describe(graph.input.add(name=names[each]).tensor.add(), net.kind[each])
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
        _describe(graph.output.add(name=outputs[0]).tensor.add(), net.kind[outputs[0]])
        return Stage(model, inputs, outputs)
    model.primitives.add(name="MakeTuple:stage", op_type="MakeTuple")
    node = graph.node.add(input=outputs, output=["outputs"], name="outputs", op_type="REF::MakeTuple:stage")
    shape = node.attribute.add(name="shape", type=TUPLE)
    graph.output.add(name="outputs", denotation="Tuple").attr_info.type = TUPLE
    for each in outputs:
        for tuple_type in (shape, graph.output[0].attr_info):
            _describe(tuple_type.values.add(type=TENSORS).tensors.add(), net.kind[each])
            tuple_type.seq_info.is_dyn_len = False
    return Stage(model, inputs, outputs)


def _describe(tensor, kind):
    dtype, shape = kind
    tensor.data_type = next(number for number, name in DTYPES.items() if name == dtype)
    tensor.dims.extend(shape)


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
            values = _values(shard.path, parameters[tensor.name])
            tensor.external_data.location = f"{variables}/data_0"
            tensor.external_data.offset, tensor.external_data.length = data.tell(), len(values)
            data.write(values)
    path = os.path.join(folder, name + "_graph.mindir")
    with open(path, "wb") as file:
        file.write(stage.model.SerializeToString())
    return path


def _values(path, tensor):
    """Return the bytes of a parameter of the model file `path`, mapped from the file beside it where it has one."""
    if not tensor.HasField("external_data"):
        return tensor.raw_data
    external = tensor.external_data
    shape = (external.length,)
    return np.memmap(data_file(path, tensor), np.uint8, "r", external.offset, shape) if external.length else b""


def repair(shard):
    """Rewrite, in place, what mindspore_lite 2.0.0 would compute wrongly without a word; return the shard.

    - It transposes a weight in place even if another product takes it as it was: each kind of product gets its own.
    - It drops a Transpose before a Reshape if the Transpose's input and output have one shape: a dimension of 1 goes
      from the last place to the first on the way, so that they don't.
    - It makes a ReLU part of the product before it, also for others that take that product: a Reshape parts them.
    """
    graph, net = shard.model.graph, _Net(shard.path, shard.model)
    taken = _times_taken(net)
    nodes, users = list(graph.node), {}  # parameter: the kind of product that takes it
    del graph.node[:]
    for node in nodes:
        value, inputs = node.output[0], net.inputs[node.output[0]]
        op, kind = net.op[value], net.kind.get(value)
        order = _constant(net, inputs[1]) if op == "Transpose" and len(inputs) == 2 else []
        if op in ("MatMul", "BatchMatMul"):
            for index, each in enumerate(inputs):
                if each in net.parameters and users.setdefault(each, node.op_type) != node.op_type:
                    node.input[index] = f"{each} for {node.op_type}"
                    if node.input[index] not in users:
                        users[node.input[index]] = node.op_type
                        graph.parameter.add().CopyFrom(net.parameters[each])
                        graph.parameter[-1].name = node.input[index]
        elif op in ("ReLU", "ReLU6") and inputs and kind and taken[inputs[0]] > 1:
            node.input[0] = _add_with_constant(
                shard, node, "Reshape", f"{value}~apart", node.input[0], kind[1], kind[1]
            )
        elif kind and order != sorted(order) and kind == net.kind.get(inputs[0]):
            shape, turned = kind[1], (len(order), *order)
            last = _add_with_constant(shard, node, "Reshape", f"{value}~in", node.input[0], (*shape, 1), (*shape, 1))
            last = _add_with_constant(shard, node, "Transpose", f"{value}~turned", last, turned, (1, *shape))
            _add_with_constant(shard, node, "Reshape", value, last, shape, shape)
            continue
        graph.node.add().CopyFrom(node)
    return shard


def _add_with_constant(shard, node, op, name, taken, constant, shape):
    """Add a Reshape or Transpose of the value `taken`, told by a constant, to the graph; return its own value `name`.

    `shape` is what comes out; everything else is as in `node`.
    """
    if shape.count(-1) > 1:
        raise MindIRError(f"{shard.path}: node {label(node)} has the open shape {shape}: export it with a fixed one")
    if not any(each.name == f"{op}:repair" for each in shard.model.primitives):
        shard.model.primitives.add(name=f"{op}:repair", op_type=op, instance_name=op.lower())
    numbers = shard.model.graph.node.add(name=f"{name}~constant", output=[f"{name}~constant"], op_type="Constant")
    items = numbers.attribute.add(name="value", type=TUPLE).values
    items.extend(PROTO["Attribute"](ints=[each], type=INT64) for each in constant)
    made = shard.model.graph.node.add()
    made.CopyFrom(node)
    made.name, made.op_type = name, f"REF::{op}:repair"
    made.domain = label(node) if name == node.output[0] else f"{label(node)}-{name.rsplit('~', 1)[-1]}"
    made.input[:], made.output[:] = [taken, numbers.name], [name]
    _attribute(made, "shape").tensors[0].dims[:] = shape
    return name


def _attribute(node, name):
    return next(each for each in node.attribute if each.name == name)


def _constant(net, value):
    """Return the whole numbers of a Constant node, [] for anything else."""
    if net.op.get(value) != "Constant":
        return []
    return [number for each in net.nodes[value].attribute for item in each.values for number in item.ints]


def split_all_reduce(shard, ranks):
    """Rewrite every AllReduce of the shard's model, in place, to ReduceScatter and AllGather, and return the shard.

    mindspore_lite's TensorRT has no AllReduce; the two together are one. Raises MindIRError where the first dimension
    can't be scattered over the ranks.
    """
    graph, primitives = shard.model.graph, shard.model.primitives
    nodes = list(graph.node)
    del graph.node[:]
    for node in nodes:
        each = next((each for each in shard.collectives if each.output == node.output[0]), None)
        if each is None or each.op != "AllReduce":
            graph.node.add().CopyFrom(node)
            continue
        if not each.shape or each.shape[0] % ranks:
            raise MindIRError(
                f"{shard.path}: node {each.node}: AllReduce of {each.shape}, whose first dimension can't be split over "
                f"{ranks} ranks, as TensorRT's ReduceScatter needs: export it with another first dimension"
            )
        scatter, gather = graph.node.add(), graph.node.add()
        for made, op in ((scatter, "ReduceScatter"), (gather, "AllGather")):
            made.CopyFrom(node)
            made.op_type, made.domain = f"REF::{op} of {node.op_type[5:]}", f"{node.domain}-{op}"
            if not any(primitive.name == made.op_type[5:] for primitive in primitives):
                old = next(primitive for primitive in primitives if primitive.name == node.op_type[5:])
                new = primitives.add()
                new.CopyFrom(old)
                new.name, new.op_type = made.op_type[5:], op
                new.attribute.add(name="rank_size", i=ranks, type=INT64)
        scatter.output[0] = scatter.name = f"{each.output}~scattered"
        gather.input[0] = scatter.output[0]
        _attribute(scatter, "shape").tensors[0].dims[0] //= ranks
    return shard


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


def check_set(summaries):
    """Raise MindIRError unless the shards, in rank order, can run together: nobody would wait for ever.

    All must have been made for as many ranks as there are shards, with the same inputs and the same collectives in
    the same order. (Two different models may agree in all of that: only the check of the result tells them apart.)
    """
    ranks, first = len(summaries), summaries[0]
    for each in summaries:
        for collective in each.collectives:
            _check_collective(each.path, collective)
    for rank, each in enumerate(summaries):
        made_for = {collective.ranks for collective in each.collectives} - {0, ranks}
        if made_for:
            wanted = made_for.pop()
            advice = "find the missing shard or export it again" if wanted > ranks else f"start {wanted}"
            raise MindIRError(f"rank {rank}: {each.path}: made for {wanted} ranks, started with {ranks}: {advice}")
    for rank, each in enumerate(summaries):
        where, other = f"rank {rank}: {each.path}", first.path
        advice = "shards of different models: export them together"
        if each.inputs != first.inputs:
            raise MindIRError(f"{where}: inputs {_list(each.inputs)}, but {other} has {_list(first.inputs)}: {advice}")
        mine, theirs = ([value._replace(name="") for value in shard.outputs] for shard in (each, first))
        if [value.dtype for value in mine] != [value.dtype for value in theirs]:
            raise MindIRError(f"{where}: outputs {_list(mine)}, but {other} has {_list(theirs)}: {advice}")
        mine, theirs = ([collective.signature() for collective in shard.collectives] for shard in (each, first))
        if len(mine) != len(theirs):
            raise MindIRError(f"{where}: {len(mine)} collectives, but {other} has {len(theirs)}: {advice}")
        for index, (one, another) in enumerate(zip(mine, theirs)):
            if one != another:
                node = each.collectives[index].node
                raise MindIRError(f"{where}: collective {index + 1} ({node}) is {one}, in {other} {another}: {advice}")


def check_shared(one, other):
    """Raise MindIRError unless two models have the same weights: names, dtypes, shapes and values.

    A device that shares them by name takes those of the model built first, whatever the other file has.
    """
    mine, theirs = ({short_name(each.name): each for each in shard.model.graph.parameter} for shard in (one, other))
    for name in sorted({*mine, *theirs}):
        if name not in mine or name not in theirs:
            here, there = (one, other) if name in mine else (other, one)
            advice = "export both from the same network"
            raise MindIRError(f"{there.path}: has no weight {name}, which {here.path} has: {advice}")
        first, second = mine[name], theirs[name]
        kinds = [f"{DTYPES[each.data_type]} {list(each.dims)}" for each in (first, second)]
        if kinds[0] != kinds[1]:
            raise MindIRError(f"{other.path}: weight {name} is {kinds[1]}, in {one.path} {kinds[0]}: export both again")
        values = [np.frombuffer(_values(shard.path, each), np.uint8) for shard, each in ((one, first), (other, second))]
        if not np.array_equal(*values):
            share = np.count_nonzero(values[0] != values[1]) / values[0].size
            raise MindIRError(
                f"{other.path}: weight {name} has other values than in {one.path} ({share:.0%} of its bytes): "
                "export both from the same checkpoint"
            )


def _list(values):
    return ", ".join(str(value) for value in values)


def main():
    """Print what the files hold and whether they are one set."""
    idea, usage = __doc__.split("\n\n")[:2]
    parser = argparse.ArgumentParser(
        description=idea,
        epilog=f"example:\n{usage}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("files", nargs="+", metavar="FILE", help="the shards in rank order")
    files = parser.parse_args().files
    try:
        shards = [load(each) for each in files]
        for each in shards:
            print(f"{each.path}  ({each.producer})")
            for kind, values in (("input", each.inputs), ("output", each.outputs)):
                for value in values:
                    print(f"  {kind:10}  {value}")
            print(f"  parameters  {each.parameters}, {each.nbytes} bytes")
            for collective in each.collectives:
                made_for = f"{collective.ranks} ranks" if collective.ranks else "any number of ranks"
                print(f"  collective  {collective.signature()}  {collective.group}, {made_for}  {collective.node}")
        together = [each for each in shards if each.collectives]
        alone = [each.path for each in shards if not each.collectives]
        if len(alone) > 1 or alone and len(shards) == 2:
            raise MindIRError(f"{alone[-1]}: has no collectives, so it isn't a shard of a set with the others")
        if len(together) > 1:
            check_set(together)
            print(f"one set for {len(together)} ranks")
    except MindIRError as error:
        print(f"mindir.py: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
