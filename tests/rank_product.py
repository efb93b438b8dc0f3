"""One rank of test_export.py's large product: print predict's time relative to that of the matrix products alone."""

import sys
import time
from pathlib import Path

import mindspore_lite as mslite
import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
import cpu_mpi_distributed as cpu
import ranks
from suite import inputs as model_inputs
from suite import memory
from suite.cpu_model import Model

comm = ranks.world()
memory.keep_memory()
memory.share_cores(comm)
context = cpu.create_context(comm)
context.cpu.thread_num = 1
model = Model(comm)
model.build_from_file(ranks.shard_path(sys.argv[1], comm.rank, comm.size), mslite.ModelType.MINDIR, context)
inputs, _ = model_inputs.fill(model, {})
product = model.steps[0][1]  # the first stage holds the matrix product and nothing else
times = {"predict": [], "product": []}
for _ in range(60):  # in turn, so that a change of the machine's speed affects both
    for name, call in (("predict", model.predict), ("product", product)):
        comm.Barrier()
        start = time.perf_counter()
        call(list(inputs))
        times[name].append(time.perf_counter() - start)
slowest = {name: np.max(comm.allgather(seconds[10:]), axis=0) for name, seconds in times.items()}  # rank, each time
predict, alone = (np.median(slowest[name]) * 1e3 for name in ("predict", "product"))
if comm.rank == 0:
    print(f"predict {predict:.2f} ms, product {alone:.2f} ms, ratio {predict / alone:.3f}")
