"""One rank of test_large.py: run the shard, write this rank's output to FOLDER and print how much memory it took.

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
import inference  # noqa: E402  (found only now)
import mindir  # noqa: E402  (found only now)


def memory(what):
    """Return a line of /proc/self/status in MiB: VmRSS, what this process has now, VmHWM, the most that it had."""
    lines = dict(line.split(":") for line in Path("/proc/self/status").read_text().splitlines())
    return int(lines[what].split()[0]) >> 10


comm = inference.world(cpu.MPI)
before = memory("VmRSS")
model, path = cpu.Model(comm), inference.shard_path(sys.argv[1], comm)
model.build_from_file(path, mslite.ModelType.MINDIR, cpu.create_context(comm))
(x,) = (value.name for value in model.inputs)
for _ in range(2):
    inputs, _ = inference.fill_inputs(model, model.get_inputs(), {x: large_net.given()})
    (output,) = model.predict(inputs)
np.save(f"{sys.argv[2]}/{comm.rank}.npy", output.get_data_to_numpy())
found = comm.allgather((mindir.load(path).nbytes >> 20, before, memory("VmRSS"), memory("VmHWM")))
if comm.rank == 0:
    for shard, before, after, peak in found:
        print(f"shard {shard} MiB, before {before} MiB, after {after} MiB, peak {peak} MiB")
