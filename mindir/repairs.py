"""What mindspore_lite 2.0.0 can't run refused, and what it would compute wrongly without a word rewritten."""

from mindir.dtypes import MOST_DIMENSIONS, NOT_IN_LITE_2
from mindir.errors import MindIRError
from mindir.graph import Graph, attribute, label, primitive_name, times_taken
from mindir.schema import INT64, PROTO, TUPLE

PRODUCTS = ("MatMul", "BatchMatMul")
TRANSPOSES = ("transpose_a", "transpose_x1", "adj_x1"), ("transpose_b", "transpose_x2", "adj_x2")  # first, second


def repair(shard):
    """Rewrite, in place, what mindspore_lite 2.0.0 would compute wrongly without a word; return the shard.

    - It transposes a weight in place even if another product takes it as it was: each kind of product gets its own.
    - It drops a Transpose before a Reshape if the Transpose's input and output have one shape: a dimension of 1 goes
      from the last place to the first on the way, so that they don't.
    - It makes a ReLU part of the product before it, also for others that take that product: a Reshape parts them.

    Raises MindIRError, and leaves the shard as it was, for types and shapes that it can't do this with.
    """
    net = Graph(shard.path, shard.model)
    _check_types(net)
    taken, new, users, orders = times_taken(net), _New(net), {}, {}
    for node in shard.model.graph.node:
        value, inputs = node.output[0], net.inputs[node.output[0]]
        op, kind = net.op[value], net.kind.get(value)
        order = _order(net, inputs[1], orders) if op == "Transpose" and len(inputs) == 2 else []
        if op in PRODUCTS and primitive_name(node) in net.primitives:
            node = _with_own_weights(net, new, users, node)
        elif op in ("ReLU", "ReLU6") and inputs and kind and taken[inputs[0]] > 1:
            apart = new.add(node, "Reshape", f"{value}~apart", node.input[0], kind[1], kind[1])
            node = _copy(node)
            node.input[0] = apart
        elif kind and order != sorted(order) and kind == net.kind.get(inputs[0]):
            shape = kind[1]
            last = new.add(node, "Reshape", f"{value}~in", node.input[0], (*shape, 1), (*shape, 1))
            last = new.add(node, "Transpose", f"{value}~turned", last, (len(order), *order), (1, *shape))
            new.add(node, "Reshape", value, last, shape, shape)
            continue
        new.nodes.append(node)
    new.put(shard.model)
    return shard


def _check_types(net):
    for value, (dtype, _) in net.kind.items():
        if dtype in NOT_IN_LITE_2:
            what = f"node {label(net.nodes[value])}" if value in net.nodes else f"input {value}"
            what = f"parameter {value}" if value in net.parameters else what
            advice = "mindspore_lite 2.0.0 has no such type on CPUs and GPUs: export in float16 or float32"
            raise MindIRError(f"{net.path}: {what} is {dtype}: {advice}")
    for name, parameter in net.parameters.items():
        if parameter.compression_type:
            raise MindIRError(f"{net.path}: parameter {name} is compressed: export the model without compression")


def _with_own_weights(net, new, users, node):
    """Return the product `node`, or a copy that takes weights of its own where another kind of product takes these.

    `users` is {weight: the kind of product that takes it}: which of its sides a product transposes.
    """
    kind = new.kind_of(net.primitives[primitive_name(node)])
    for index, weight in enumerate(net.inputs[node.output[0]]):
        if weight not in net.parameters or users.setdefault(weight, kind) == kind:
            continue
        own = f"{weight} for {' '.join(kind)}"
        if own not in users:
            users[own] = kind
            parameter = PROTO["Tensor"]()
            parameter.CopyFrom(net.parameters[weight])
            parameter.name = own
            new.parameters.append(parameter)
        node = _copy(node)
        node.input[index] = own
    return node


class _New:
    """What a model will be: its nodes in order, and parameters and primitives that are added to it."""

    def __init__(self, net):
        self.net, self.nodes, self.parameters, self.primitives = net, [], [], {}
        self._kinds = {}

    def kind_of(self, primitive):
        """Return what kind of product the primitive is, as texts; looked up once, however many nodes refer to it."""
        if primitive.name not in self._kinds:
            true = {found.name for found in primitive.attribute if found.i}
            turned = ("transposed" if true.intersection(names) else "as it is" for names in TRANSPOSES)
            self._kinds[primitive.name] = (primitive.op_type, *turned)
        return self._kinds[primitive.name]

    def add(self, node, op, name, taken, constant, shape):
        """Add a Reshape or Transpose of the value `taken`, told by a constant; return its own value `name`.

        `shape` is what comes out; everything else is as in `node`.
        """
        if shape.count(-1) > 1 or -2 in shape:
            where = f"{self.net.path}: node {label(node)}"
            raise MindIRError(f"{where} has the open shape {shape}: export it with a fixed one")
        primitive = f"{op}:repair"
        if primitive not in self.net.primitives:  # it may have been repaired before
            self.primitives[primitive] = PROTO["Primitive"](name=primitive, op_type=op, instance_name=op.lower())
        numbers = PROTO["Node"](name=f"{name}~constant", output=[f"{name}~constant"], op_type="Constant")
        items = numbers.attribute.add(name="value", type=TUPLE).values
        items.extend(PROTO["Attribute"](ints=[number], type=INT64) for number in constant)
        made = _copy(node)
        made.name, made.op_type = name, f"REF::{primitive}"
        made.domain = label(node) if name == node.output[0] else f"{label(node)}-{name.rsplit('~', 1)[-1]}"
        made.input[:], made.output[:] = [taken, numbers.name], [name]
        attribute(made, "shape").tensors[0].dims[:] = shape
        self.nodes += [numbers, made]
        return name

    def put(self, model):
        """Put all of it into the model."""
        if self.nodes != list(model.graph.node):
            nodes = PROTO["Graph"](node=self.nodes).node  # a copy: clearing a list takes what is in it along
            del model.graph.node[:]
            model.graph.node.extend(nodes)
        model.graph.parameter.extend(self.parameters)
        model.primitives.extend(self.primitives.values())


def _copy(node):
    copy = PROTO["Node"]()
    copy.CopyFrom(node)
    return copy


def _order(net, value, known):
    """Return the whole numbers of a Constant node, [] for anything that can't be the order of dimensions.

    `known` keeps what was found before: one constant may be the order of many nodes.
    """
    if value not in known:
        attributes = net.nodes[value].attribute if net.op.get(value) == "Constant" else []
        numbers = [number for found in attributes for item in found.values for number in item.ints]
        known[value] = numbers if len(numbers) <= MOST_DIMENSIONS else []
    return known[value]
