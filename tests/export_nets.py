"""Export small nets, one or a few primitives each, with inputs and outputs, for nets_table.py.

    python3 tests/export_nets.py FOLDER                    # with a MindSpore of 2.3 or later; X.mindir and X.npz
    python3 tests/export_nets.py FOLDER cells functions    # of newer/cells.py and newer/functions.py alone

A net that this MindSpore can't run on a CPU is left out, and named.
"""

import importlib
import importlib.util
import os
import sys

import mindspore as ms
import numpy as np
from newer.wanted import WANTED

HEAD = """\
import mindspore as ms
import numpy as np
from newer.wanted import WANTED
from mindspore import Parameter, Tensor, mint, nn, ops

F = mint.nn.functional


class Net(nn.Cell):
    def __init__(self):
        super().__init__()
"""


def flat(outputs):
    for output in outputs if isinstance(outputs, (tuple, list)) else [outputs]:
        if isinstance(output, (tuple, list)):
            yield from flat(output)
        else:
            yield (output.astype(ms.float32) if output.dtype == ms.bfloat16 else output).asnumpy()


def source_of(net, count):
    """Return the Python source of "a = nn.Dense(4, 8) -> u = self.a(x); u * 2", or of an expression alone."""
    setup, _, body = net.rpartition(" -> ")
    *steps, result = body.split("; ")
    made = "".join(f"        self.{line.strip()}\n" for line in setup.split(";") if line.strip())
    steps = "".join(f"        {step}\n" for step in steps)
    return f"{HEAD}{made}\n    def construct(self, {', '.join('xyzw'[:count])}):\n{steps}        return {result}\n"


def export(folder, name, net, inputs, options):
    """Write the net's source, model and arrays to the folder: MindSpore can only compile source in a file.

    Options: "half", the cells compute in float16; "bf16", which inputs are bfloat16; "open", their shapes with None.
    """
    source = os.path.join(folder, f"{name}.py")
    with open(source, "w") as file:
        file.write(source_of(net, len(inputs)))
    spec = importlib.util.spec_from_file_location(f"net_{name}", source)
    module = sys.modules[spec.name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)

    def make():
        ms.set_seed(3)
        np.random.seed(3)
        made = module.Net().set_train(False)
        return made.to_float(ms.float16) if options.get("half") else made

    tensors = [
        ms.Tensor(array).astype(ms.bfloat16) if index in options.get("bf16", ()) else ms.Tensor(array)
        for index, array in enumerate(inputs)
    ]
    if name in WANTED:
        outputs = WANTED[name](*(array.astype(np.float64) if array.dtype == np.float32 else array for array in inputs))
        outputs = [np.asarray(output) for output in (outputs if isinstance(outputs, tuple) else (outputs,))]
    else:
        outputs = list(flat(make()(*tensors)))
    made = make()
    if "open" in options:
        tensors = [ms.Tensor(shape=list(s), dtype=t.dtype) for s, t in zip(options["open"], tensors)]
        made.set_inputs(*tensors)
    ms.export(made, *tensors, file_name=os.path.join(folder, name), file_format="MINDIR")
    arrays = {f"in{index}": array for index, array in enumerate(inputs)}
    np.savez(os.path.join(folder, name), **arrays, **{f"out{index}": array for index, array in enumerate(outputs)})


def nets(names):
    """Yield (name, net, inputs, options), of the files named in newer/ or of all."""
    for file in names or ("primitives", "cells", "functions", "indices", "mint", "variants"):
        found = importlib.import_module(f"newer.{file}").NETS
        for name, (net, *inputs) in found.items():
            options = inputs.pop() if inputs and isinstance(inputs[-1], dict) else {}
            yield name, net, inputs, options


def main():
    folder, *names = sys.argv[1:]
    os.makedirs(folder, exist_ok=True)
    tried = os.path.join(folder, "tried")  # MindSpore may crash: start again, after that net
    ms.set_context(mode=ms.GRAPH_MODE, device_target="CPU")
    with open(tried, "a+") as file:
        file.seek(0)
        done = set(file.read().split("\n"))
        for name, net, inputs, options in nets(names):
            if name in done:
                continue
            print(name, file=file, flush=True)
            try:
                export(folder, name, net, inputs, options)
            except Exception as error:
                print(f"{name}: {' '.join(str(error).split())[:200]}", flush=True)


if __name__ == "__main__":
    main()
