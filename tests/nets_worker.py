"""Run nets one after the other on mindspore_lite's CPU: a line of JSON in, one out. Started by nets_table.py.

In: {"model": X.mindir, "arrays": X.npz}. Out: {"refused": why}, {"failed": why} or {"outputs": [[name, error, dtype,
dtype wanted, shape, shape wanted], ...], ...}; the error is the largest |difference| by the largest |wanted|, or 1.
"""

import json
import os
import sys
import tempfile

import mindspore_lite as mslite
import numpy as np

import mindir
from mindir.repairs import known
from mindir.schema import PROTO

if os.environ.get("NETS_KNOWN"):  # to find out what is known
    known.KNOWN = type("All", (), {"get": lambda *_: type("Any", (), {"__contains__": lambda *_: True})()})()


class Stages:
    """The stages of a shard without collectives, run one after the other."""

    def __init__(self, path, folder):
        shard = mindir.load(path, 1)
        self.shard, self.plan = shard, mindir.cut(shard)
        context = mslite.Context()
        context.target = ["cpu"]
        context.cpu.thread_num = 1
        self.stages = []
        for index, step in enumerate(self.plan.steps):
            stage = mslite.Model()
            stage.build_from_file(mindir.write(step, shard, folder, f"s{index}"), mslite.ModelType.MINDIR, context)
            self.stages.append(stage)

    def __call__(self, arrays):
        values = dict(zip(self.plan.inputs, arrays))
        for step, stage in zip(self.plan.steps, self.stages):
            inputs = stage.get_inputs()
            given = [values[name] for name in step.inputs]
            stage.resize(inputs, [list(each.shape) for each in given])
            inputs = stage.get_inputs()
            for tensor, array in zip(inputs, given):
                dtype = tensor.dtype.name.lower()
                tensor.set_data_from_numpy(np.ascontiguousarray(array.astype(dtype)))
            values.update(zip(step.outputs, [np.array(each.get_data_to_numpy()) for each in stage.predict(inputs)]))
        return [values[each] for each in self.plan.outputs]


def difference(found, wanted):
    if found.shape != wanted.shape:
        return float("inf")
    found, wanted = found.astype(np.float64), wanted.astype(np.float64)
    same = (found == wanted) | (np.isnan(found) & np.isnan(wanted))
    with np.errstate(invalid="ignore"):
        apart = np.where(same, 0, np.abs(found - wanted))
    finite = np.abs(wanted[np.isfinite(wanted)])
    return float(np.max(apart, initial=0) / max(1, np.max(finite, initial=0)))


def run(model, arrays):
    stored = np.load(arrays)
    given = [
        stored[name]
        for name in sorted((each for each in stored.files if each.startswith("in")), key=lambda n: int(n[2:]))
    ]
    wanted = [
        stored[name]
        for name in sorted((each for each in stored.files if each.startswith("out")), key=lambda n: int(n[3:]))
    ]
    with tempfile.TemporaryDirectory() as folder:
        try:
            net = Stages(model, folder)
        except mindir.MindIRError as error:
            return {"refused": str(error)}
        except RuntimeError as error:
            return {"failed": f"build: {error}"}
        try:
            found = net(given)
        except RuntimeError as error:
            return {"failed": f"predict: {error}"}
    if len(found) != len(wanted):
        return {"failed": f"{len(found)} outputs instead of {len(wanted)}"}
    dtypes = [each.dtype for each in net.shard.outputs]
    graph = mindir.Graph(net.shard.path, net.shard.model)
    with open(model, "rb") as file:
        newer = [each.op_type for each in PROTO["Model"].FromString(file.read()).primitives if each.prim_type == 2]
    return {
        "newer": newer,
        "primitives": sorted({f"{op} {dtype}" for _, op, dtype in known.primitives(graph)}),
        "outputs": [
            [f"out{index}", difference(one, other), dtype, other.dtype.name, str(one.shape), str(other.shape)]
            for index, (one, other, dtype) in enumerate(zip(found, wanted, dtypes))
        ],
    }


for line in sys.stdin:
    job = json.loads(line)
    try:
        answer = run(job["model"], job["arrays"])
    except Exception as error:  # a fault of the suite: the table says so
        import traceback

        traceback.print_exc()
        answer = {"failed": f"{type(error).__name__}: {error}"}
    os.write(3, (json.dumps(answer) + "\n").encode())
