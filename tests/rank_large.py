"""One rank of test_large.py: run the shard, write its output to FOLDER and print how much memory that took.

mpirun -n 2 python rank_large.py FOLDER/Large.mindir FOLDER
"""

import sys
from pathlib import Path

import mindspore_lite as mslite
import numpy as np

here = Path(__file__).resolve().parent
sys.path[:0] = [str(here.parent), str(here)]
import large_net  # noqa: E402  (found only now)

import cpu_mpi_distributed as cpu  # noqa: E402  (found only now)
import mindir  # noqa: E402  (found only now)
import ranks  # noqa: E402  (found only now)
from suite import inputs as model_inputs  # noqa: E402  (found only now)
from suite import memory  # noqa: E402  (found only now)
from suite.cpu_model import Model  # noqa: E402  (found only now)


def resident(what):
    """Return a line of /proc/self/status in MiB: VmRSS, what this process uses now; VmHWM, the most that it used."""
    lines = dict(line.split(":") for line in Path("/proc/self/status").read_text().splitlines())
    return int(lines[what].split()[0]) >> 10


comm = ranks.world()
memory.keep_memory()
memory.share_cores(comm)
before = resident("VmRSS")
model, path = Model(comm), ranks.shard_path(sys.argv[1], comm.rank, comm.size)
model.build_from_file(path, mslite.ModelType.MINDIR, cpu.create_context(comm))
(x,) = (value.name for value in model.inputs)
for _ in range(2):
    inputs, _ = model_inputs.fill(model, {x: large_net.given()})
    (output,) = model.predict(inputs)
np.save(f"{sys.argv[2]}/{comm.rank}.npy", output.get_data_to_numpy())
found = comm.allgather((mindir.load(path).nbytes >> 20, before, resident("VmRSS"), resident("VmHWM")))
if comm.rank == 0:
    for shard, before, after, peak in found:
        print(f"shard {shard} MiB, before {before} MiB, after {after} MiB, peak {peak} MiB")
