"""One rank of gpu.py's comparison: a predict as the tutorial has it, with memory kept, and with inputs locked, too."""

import sys
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
import mindspore_lite as mslite

import gpu_trt_distributed as gpu
import inference

comm = inference.world(gpu.MPI)
context = gpu.create_context(comm)
model = mslite.Model()
model.build_from_file(inference.shard_path(sys.argv[1], comm), mslite.ModelType.MINDIR, context)
inputs, arrays = inference.fill_inputs(model, model.get_inputs())


def p50():
    times = []
    for _ in range(60):
        comm.Barrier()
        start = time.perf_counter()
        model.predict(inputs)
        times.append((time.perf_counter() - start) * 1e3)
    return np.median(np.max(comm.allgather(times[10:]), axis=0))


plain = p50()
inference.keep_memory()
kept = p50()
gpu.lock(arrays)
locked = p50()
if comm.rank == 0:
    print(f"p50 {plain:.3f} ms plain, {kept:.3f} ms with memory kept, {locked:.3f} ms with inputs locked, too")
