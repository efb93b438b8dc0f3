"""Derive primitives.tsv: which arguments of a newer MindSpore's primitives were attributes in MindSpore 2.0.

    python3 mindir/lower/derive.py NEWER/site-packages/mindspore 2.0.0/site-packages/mindspore

Both are folders of installed packages, whose sources are read, not run. Since MindSpore 2.3 a primitive takes all as
arguments: in the generated ops/auto_generate/gen_ops_prim.py, the inputs are those of `__call__`, and the former
attributes follow in the order of `_set_prim_arg` in `__init__`. 2.0.0's ops/operations have the names that both had
there: in `init_prim_io_names` and the arguments of `__init__`. BY_HAND has what can't be derived as names differ.
"""

import ast
import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
TYPES = {  # how the newer MindSpore makes the argument from what the user gave: its type in the table
    "dtype_to_type_id": "type",
    "to_kernel_size": "window",
    "to_strides": "window",
}
BY_HAND = {  # 2.0.0's names, from its documentation
    "BatchNorm": ("x scale offset mean variance", "is_training epsilon momentum format:format"),
    "ReduceAll": ("input_x axis", "keep_dims"),
    "ReduceAny": ("input_x axis", "keep_dims"),
    "ReduceMin": ("input_x axis", "keep_dims"),
    "Cast": ("x dst_type", ""),
    "Tile": ("x multiples", ""),
}
TRAINING = ("Grad", "Apply", "Adam", "Momentum", "Optimizer", "Embedding", "Quant", "Fake", "AllReduce", "Dropout")


def classes(path):
    """Return {name: ast.ClassDef} of the file."""
    with open(path) as file:
        return {cls.name: cls for cls in ast.parse(file.read()).body if isinstance(cls, ast.ClassDef)}


def function(cls, name):
    return next((method for method in cls.body if isinstance(method, ast.FunctionDef) and method.name == name), None)


def calls(node, *names):
    """Return the calls of self.NAME in the function, in the order of the file."""
    found = [call for call in ast.walk(node) if isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute)]
    return sorted((call for call in found if call.func.attr in names), key=lambda call: call.lineno)


def arguments(node):
    return [argument.arg for argument in node.args.args[1:]] if node else []


def newer(cls):
    """Return the inputs and [(attribute, type)] of a generated primitive."""
    attributes = []
    for call in calls(function(cls, "__init__"), "_set_prim_arg", "_set_prim_arg_with_handler"):
        name = call.args[0].value
        handler = ast.unparse(call.args[2]) if len(call.args) > 2 else ast.unparse(call.args[1])
        kind = next((value for key, value in TYPES.items() if handler.startswith(key)), "")
        if "str_to_enum" in handler:
            kind = "format" if "format" in name else name
        attributes.append((name, kind))
    return arguments(function(cls, "__call__")), attributes


def older(cls):
    """Return the inputs, None if the class doesn't name them, and the attributes of a primitive of 2.0.0."""
    init = function(cls, "__init__")
    names = None
    for call in calls(init, "init_prim_io_names") if init else []:
        given = {keyword.arg: keyword.value for keyword in call.keywords}
        given = given.get("inputs", call.args[0] if call.args else None)
        names = ast.literal_eval(given) if isinstance(given, ast.List) else None
    return names, arguments(init)


def derive(new, old):
    """Return {primitive: (inputs, attributes) as in the table} for those of both, and the names that differ."""
    made, differ = {}, []
    for name in sorted(set(new) & set(old)):
        if any(word in name for word in TRAINING) or name.startswith("_"):
            continue
        if name in BY_HAND:
            made[name] = BY_HAND[name]
            continue
        if function(new[name], "__call__") is None:  # attributes are attributes in both
            if arguments(function(new[name], "__init__")) == older(old[name])[1]:
                made[name] = "*", ""
            else:
                differ.append(name)
            continue
        if not function(new[name], "__init__"):
            continue
        inputs, attributes = newer(new[name])
        names, given = older(old[name])
        if [attribute for attribute, _ in attributes] != given or names is not None and len(names) != len(inputs):
            differ.append(name)
            continue
        attributes = " ".join(f"{attribute}:{kind}" if kind else attribute for attribute, kind in attributes)
        made[name] = " ".join(names or inputs), attributes
    return made, differ


def version(folder):
    with open(os.path.join(folder, "version.py")) as file:
        return file.read().split("'")[1]


def main():
    new_folder, old_folder = sys.argv[1:]
    old, new = {}, {}
    for folder, found in ((old_folder, old), (new_folder, new)):
        operations = os.path.join(folder, "ops", "operations")
        for file in sorted(os.listdir(operations)):
            if file.endswith(".py"):
                found.update(classes(os.path.join(operations, file)))
    new.update(classes(os.path.join(new_folder, "ops", "operations", "manually_defined", "ops_def.py")))
    new.update(classes(os.path.join(new_folder, "ops", "auto_generate", "gen_ops_prim.py")))
    made, differ = derive(new, old)
    path = os.path.join(HERE, "primitives.tsv")
    with open(f"{path}.tmp", "w") as file:
        file.write(f"# primitive, inputs, attributes: by derive.py from MindSpore {version(new_folder)} and 2.0.0\n")
        for name, (inputs, attributes) in sorted(made.items()):
            file.write(f"{name}\t{inputs}\t{attributes}\n")
    os.replace(f"{path}.tmp", path)
    print(f"{len(made)} primitives; both have {' '.join(differ)}, with other arguments")


if __name__ == "__main__":
    main()
