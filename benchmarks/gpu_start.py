"""Where the time of a start on GPUs goes: mpirun --bind-to none -n 2 python3 benchmarks/gpu_start.py X.mindir CACHE

Prints, on rank 0, the milliseconds of every step up to the third predict. The first call builds the engines and keeps
them in the folder CACHE, later calls read them there.
"""

import sys
import time
from pathlib import Path

marks = [("", time.time())]


def mark(name):
    marks.append((name, time.time()))


sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
import numpy  # noqa: F401, E402  (timed)

mark("NumPy")
import mindspore_lite as mslite  # noqa: E402  (here and below: timed)

mark("mindspore_lite")
import gpu_trt_distributed as gpu  # noqa: E402  (timed)
import ranks  # noqa: E402  (timed)
from suite import inputs as model_inputs  # noqa: E402  (timed)
from suite import memory, tensorrt  # noqa: E402  (timed)

mark("suite")
comm = ranks.world()
mark("MPI")
gpu.load_libraries()
mark("libraries")
context = gpu.create_context(comm)
mark("context")
path = ranks.shard_path(sys.argv[1], comm.rank, comm.size)
with tensorrt.prepared(comm, context, path, cache=sys.argv[2]) as (shard, config):
    mark("shard read, repaired, hashed, written")
    model = mslite.Model()
    model.build_from_file(shard, mslite.ModelType.MINDIR, context, config)
    mark("build")
inputs, arrays = model_inputs.fill(model, {})
memory.lock_pages(arrays)
memory.keep_memory()
mark("inputs")
for name in ("first predict", "second", "third"):
    model.predict(inputs)
    mark(name)
if comm.rank == 0:
    print("  ".join(f"{name} {(end - start) * 1e3:.0f}" for (_, start), (name, end) in zip(marks, marks[1:])))
