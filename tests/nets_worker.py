"""Run nets one after the other on mindspore_lite's CPU: one line of JSON in, one out. Started by nets_table.py.

In: {"model": X.mindir, "arrays": X.npz}. Out: {"refused": why}, {"failed": why} or {"outputs": [[name, error, dtype,
dtype wanted, shape, shape wanted], ...], ...}; the error is the largest |difference| / the largest |wanted|, or 1.
"""

import json
import os
import re
import sys

import mindspore_lite as mslite
import numpy as np

import mindir
import mindir.lower as lower
import ranks
from cpu_mpi_distributed import create_context
from mindir.repairs import known
from mindir.schema import PROTO
from suite import reading
from suite.cpu_model import Model

if os.environ.get("NETS_KNOWN"):  # to find out what is right, nothing is refused for being unknown
    lower.MADE_OF.update(lower.RULES)
    everything = type("All", (), {"get": lambda *_: type("Any", (), {"__contains__": lambda *_: True})()})()
    known.KNOWN.update(cpu=everything, gpu=everything)


def predict(path, arrays):
    """Predict twice; return the second outputs, as arrays, and their dtypes in the file."""
    comm = ranks.world()
    model = Model(comm)
    model.build_from_file(path, mslite.ModelType.MINDIR, create_context(comm))
    inputs = [array.astype(ranks.dtype(tensor)) for tensor, array in zip(model.get_inputs(), arrays)]
    first = [output.get_data_to_numpy().copy() for output in model.predict(inputs)]
    found = [output.get_data_to_numpy().copy() for output in model.predict(inputs)]
    if any(difference(again, one) for again, one in zip(found, first)):
        raise RuntimeError("the second predict differs from the first")
    return found, model.dtypes


def difference(found, wanted):
    if found.shape != wanted.shape:
        return float("inf")
    found, wanted = found.astype(np.float64), wanted.astype(np.float64)
    same = (found == wanted) | (np.isnan(found) & np.isnan(wanted))
    with np.errstate(invalid="ignore"):
        apart = np.where(same, 0, np.abs(found - wanted))
    finite = np.abs(wanted[np.isfinite(wanted)])
    return float(np.max(apart, initial=0) / max(1, np.max(finite, initial=0)))


def stored(arrays, kind):
    """Return the arrays called in0, in1, ... or out0, out1, ... of an .npz file."""
    with np.load(arrays) as files:
        return [files[name] for name in sorted(files.files, key=lambda n: (len(n), n)) if re.match(rf"{kind}\d", name)]


def run(model, arrays):
    wanted = stored(arrays, "out")
    try:
        found, dtypes = predict(model, stored(arrays, "in"))
    except (RuntimeError, ranks.Stop) as error:
        is_refused = getattr(error, "status", ranks.FAILED) == ranks.REFUSED
        return {"refused" if is_refused else "failed": str(error)}
    if len(found) != len(wanted):
        return {"failed": f"{len(found)} outputs instead of {len(wanted)}"}
    with open(model, "rb") as file:
        primitives = PROTO["Model"].FromString(file.read()).primitives
    newer = [primitive.op_type for primitive in primitives if primitive.prim_type == 2]
    shard = mindir.repair(reading.load(model))
    graph = mindir.Graph(shard.path, shard.model)
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
    except Exception as error:  # a bug in the suite: the table shows it
        import traceback

        traceback.print_exc()
        answer = {"failed": f"{type(error).__name__}: {error}"}
    os.write(3, (json.dumps(answer) + "\n").encode())
