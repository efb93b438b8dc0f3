"""Replace calls of a file's functions, which `lazy_inline` and reused cells leave, by the functions' nodes."""

from mindir.errors import MindIRError
from mindir.graph import label

MOST_NODES = 1 << 20


def inline(path, model):
    """Replace, in place, each call of a function by the function's nodes. Raises MindIRError for control flow."""
    functions = {function.name: function for function in model.functions}
    if not functions:
        return
    nodes, graph, count = list(model.graph.node), model.graph, 0
    todo, done, made = [(node, ()) for node in reversed(nodes)], [], {}  # todo: (node, the functions that it is from)
    results = {}  # value of a call: the value that the function returned
    while todo:
        node, inside = todo.pop()
        if node is None:  # after a function's last node: `inside` is (the call's value, the result's)
            results[inside[0]] = results.get(inside[1], inside[1])
            continue
        node.input[:] = [results.get(name, name) for name in node.input]
        function = functions.get(node.op_type[5:])
        if function is None:
            done.append(node)
            _check_arguments(path, node, functions)
            continue
        if function.name in inside:
            raise MindIRError(f"{path}: function {function.name} calls itself, which can't be inlined: unroll the loop")
        count += 1
        if len(graph.node) > MOST_NODES:
            raise MindIRError(f"{path}: more than {MOST_NODES} nodes once its functions are inlined: damaged file?")
        body, result = _copy(path, graph, function, node, count)
        todo.append((None, (node.output[0], result)))
        todo += [(copied, (*inside, function.name)) for copied in reversed(body)]
        made[id(node)] = node
    for output in graph.output:
        output.name = results.get(output.name, output.name)
    for node in made.values():
        node.Clear()
    order = {node.output[0]: place for place, node in enumerate(done)}
    graph.node.sort(key=lambda node: order[node.output[0]] if node.output else len(order))
    del graph.node[len(order) :]
    del model.functions[:]


def _copy(path, graph, function, call, count):
    """Add the function's nodes for one call to the graph; return them and the name of the function's result."""
    if len(function.output) != 1 or len(function.input) != len(call.input):
        raise MindIRError(f"{path}: node {label(call)}: not a plain call of {function.name}: export the net without it")
    names, body = dict(zip((argument.name for argument in function.input), call.input)), []
    for original in function.node:
        node = graph.node.add()
        node.CopyFrom(original)
        node.input[:] = [names.get(name, name) for name in original.input]
        names[original.output[0]] = f"{original.output[0]}@{count}"
        node.output[:], node.name = [names[original.output[0]]], f"{original.name}@{count}"
        node.domain = f"{original.domain}@{count}" if original.domain else ""
        body.append(node)
    return body, names[function.output[0].name]


def _check_arguments(path, node, functions):
    taken = next((name for name in node.input if name in functions), None)
    if taken:
        advice = "export the net without conditions and loops that depend on what it computes"
        raise MindIRError(f"{path}: node {label(node)}: control flow, as it takes the function {taken}: {advice}")
