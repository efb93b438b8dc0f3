"""A graph rewritten in place, node by node: what its values are, and how new nodes are made.

A rule is a function of a Rewriter and of the values that a node takes. It calls `result` or `set_result`, which replace
the node's result, or `refuse`; a rule that calls none of them leaves the node as it is. Nodes are never copied, as a
Constant may hold half the weights: new ones are appended, and one sort at the end puts all in their places. If a node
is refused before that, the model stays as it was.
"""

from types import SimpleNamespace

from mindir.errors import MindIRError
from mindir.graph import Graph, label
from mindir.nodes import Nodes

CONTROL_FLOW = ("Call", "Partial", "Switch", "SwitchLayer")
ORDER_ONLY = ("Load", "TensorMove", "Depend")  # their result is their first input


class Rewriter(Nodes):
    """Goes through a graph once, from its inputs to its outputs, and has a rule rewrite each node."""

    def __init__(self, path, model):
        super().__init__(path, model)
        self.before = []  # nodes of the file, and what they were

    def walk(self, rule_of, is_pure=lambda net, primitive: True, check=None):
        """Go through all nodes; rule_of(net, primitive) returns the rule, or None to leave the node as it is.

        check(graph) may refuse the resulting Graph. If anything is refused, the model stays as it was.
        """
        # until nothing can be refused any more, these only grow
        grown = (self.graph.node, self.graph.parameter, self.model.primitives)
        sizes = [len(field) for field in grown]
        try:
            self._go_through(rule_of, is_pure)
            kept = self._needed()
            if check:
                check(self._graph_of(kept))
        except Exception:
            for node, was in self.before:
                node.CopyFrom(was)
            for field, size in zip(grown, sizes):
                del field[size:]
            raise
        self._settle(kept)
        self.sequence = kept
        self._arrange()

    def remember_node(self, node):
        """Remember a node of the file as it was."""
        was = type(node)()
        was.CopyFrom(node)
        self.before.append((node, was))

    def _go_through(self, rule_of, is_pure):
        facts = {}  # primitive's name: (whether it is pure, whether it exchanges)
        for node in list(self.graph.node):
            self.node, self.part, self.done = node, 0, False
            if node.op_type == "Constant":
                self.note_constant(node)
                self.sequence.append(node)
                continue
            self.remember_node(node)
            primitive = self.primitives.get(node.op_type[5:])
            self.op = primitive.op_type if primitive is not None else "Call"
            if self.op in CONTROL_FLOW:
                where = f"{self.path}: node {label(node)}"
                raise MindIRError(f"{where}: control flow ({self.op}) can't be rewritten: export the net without it")
            node.ClearField("node_attr")
            node.ClearField("primal_attr")
            inputs = [self.alias.get(name, name) for name in node.input]
            if inputs != list(node.input):
                node.input[:] = inputs
            self.args = [name for name in inputs if name not in self.monads]
            self._note(node)
            value = node.output[0]
            self.out = self.tuples.get(value) or self.kind.get(value)
            if primitive.name not in facts:  # looked up once, however many nodes refer to it
                exchanges = any(attribute.name == "group" for attribute in primitive.attribute)
                facts[primitive.name] = is_pure(self, primitive), exchanges
            pure, exchanges = facts[primitive.name]
            if not pure or any(name in self.impure for name in inputs):
                self.impure.add(value)
            if exchanges:
                self.exchanged.add(value)
            self._step(node, primitive, rule_of)

    def _step(self, node, primitive, rule_of):
        if self.op == "UpdateState":
            self.monads.add(node.output[0])
        if self.op in ORDER_ONLY and (self.op != "Depend" or node.input[-1] not in self.impure):
            self.alias[node.output[0]] = self.args[0]
            return
        if self.op == "TupleGetItem" and self.args[0] in self.items:
            self.alias[node.output[0]] = self.items[self.args[0]][int(self.number(self.args[1]))]
            if self.alias[node.output[0]] is None:
                self.refuse("takes a part of a tuple that isn't made here", "export the net without that output")
            return
        hidden = next((argument for argument in self.args if None in self.items.get(argument, ())), None)
        if hidden:
            self.refuse(f"takes all of {hidden}, of which only the first part is made here", "use the first part only")
        self.op_of[node.output[0]] = self.op
        if self.op in ("MakeTuple", "make_list"):
            self.items[node.output[0]] = self.args
        rule = rule_of(self, primitive)
        if rule is not None:
            try:
                rule(self, *self.args)
            except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
                self.refuse(f"has arguments that aren't as MindSpore writes them ({error})", "export it again")
        if not self.done:
            self.sequence.append(node)

    def _merged(self):
        """Return {value: the equal one that replaces it}, for engines that merge equal nodes."""
        return {}

    def _settle(self, kept):
        """Change the model in ways that can't be undone; nothing is refused any more."""

    def _outputs(self):
        return [self.alias.get(output.name, output.name) for output in self.graph.output]

    def _needed(self):
        """Return the nodes that an output needs, or that change state, in their new order."""
        for value in self._outputs():
            if None in self.items.get(value, ()):
                raise MindIRError(f"{self.path}: output {value}: only its first part is made here: return that one")
        needed = {*self._outputs(), *self.impure, *self.exchanged}
        kept = []
        for node in reversed(self.sequence):
            if node.output[0] in needed:
                needed.update(node.input)
                kept.append(node)
        return kept[::-1]

    def _graph_of(self, kept):
        """Return the Graph that the model will have."""
        outputs = [SimpleNamespace(name=value) for value in self._outputs()]
        made = SimpleNamespace(input=self.graph.input, parameter=self.graph.parameter, node=kept, output=outputs)
        model = SimpleNamespace(graph=made, primitives=self.model.primitives, functions=self.model.functions)
        graph = Graph(self.path, model)
        graph.kind.update((value, kind) for value, kind in self.kind.items() if value in graph.kind)
        return graph

    def _arrange(self):
        """Put the nodes that are needed in their new order; drop the others."""
        self.alias.update(self._merged())
        for output, value in zip(self.graph.output, self._outputs()):
            output.name = self.alias.get(value, value)
        order = {node.output[0]: place for place, node in enumerate(self._needed())}
        for node in self.graph.node:
            if not node.output or node.output[0] not in order or node.output[0] in self.alias:
                node.Clear()
        self.graph.node.sort(key=lambda node: order[node.output[0]] if node.output else len(order))
        del self.graph.node[len(order) :]
        used = {node.op_type[5:] for node in self.graph.node}
        for index in reversed(range(len(self.model.primitives))):
            if self.model.primitives[index].name not in used:
                del self.model.primitives[index]
