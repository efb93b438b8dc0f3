"""One rank of test_cut.py: run every test net on this many ranks and write this rank's outputs to the given folder."""

import sys
from pathlib import Path

import mindspore_lite as mslite
import numpy as np

here = Path(__file__).resolve().parent
sys.path[:0] = [str(here.parent), str(here)]
import nets  # noqa: E402  (found only now)

import cpu_mpi_distributed as cpu  # noqa: E402  (found only now)
import ranks  # noqa: E402  (found only now)
from suite import inputs as model_inputs  # noqa: E402  (found only now)
from suite.cpu_model import Model  # noqa: E402  (found only now)

comm = ranks.world()
for name in nets.NAMES:
    model = Model(comm)
    path = ranks.shard_path(str(here / "fixtures" / name / str(comm.size) / "Net.mindir"), comm.rank, comm.size)
    model.build_from_file(path, mslite.ModelType.MINDIR, cpu.create_context(comm))
    for seed in (1, 2):  # twice: the second must not be affected by the first
        inputs, _ = model_inputs.fill(model, nets.inputs(name, seed))
        outputs = [output.get_data_to_numpy() for output in model.predict(inputs)]
    np.savez(f"{sys.argv[1]}/{name}-{comm.size}-{comm.rank}.npz", *outputs)
    if name == "dynamic":  # another batch size, in the same model
        x = np.concatenate([nets.inputs(name, 3)["x"], nets.inputs(name, 4)["x"]])
        model.resize(model.get_inputs(), [list(x.shape)])
        tensors = model.get_inputs()
        tensors[0].set_data_from_numpy(x)
        np.savez(f"{sys.argv[1]}/again-{comm.size}-{comm.rank}.npz", model.predict(tensors)[0].get_data_to_numpy())
