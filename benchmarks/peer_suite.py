"""A rank of this suite, timed by compare.py: peer_suite.py MODELS WORK HOW PIPE

HOW is `suite` (as main.py runs it), `plain` (the tutorial's lines: memory neither kept nor locked), or, of the
unsharded model on one rank, `unsharded` (mindspore_lite alone, on all cores) and `one` (a rank on one core). With
GPU=1 in the environment the back end is the GPU's; its engines are kept beside the model.
"""

import argparse
import os
import sys

import mindspore_lite as mslite
import work

sys.path.insert(0, str(work.ROOT))
import main
import ranks
from suite import inputs, memory

GPU, (models, name, how, pipe) = bool(os.environ.get("GPU")), sys.argv[1:]


def run():
    comm, path = ranks.world(), f"{models}/{name}/Model.mindir"
    if not GPU and how != "unsharded":
        work.pin(comm)
    args = argparse.Namespace(backend="gpu" if GPU else "cpu", model_path=path, config_file="", precision=None)
    args.engine_cache = f"{models}/{name}/engines" if GPU else None
    context, model = main.create_context(args, comm)
    model = mslite.Model() if how == "unsharded" or (GPU and how == "plain") else model
    shard = path if how in ("unsharded", "one") else ranks.shard_path(path, comm.rank, comm.size)
    main.build(args, comm, context, model, shard)
    given = dict(zip((inputs.short_name(tensor.name) for tensor in model.get_inputs()), work.inputs(name)))
    tensors, arrays = inputs.fill(model, given)

    def predict():
        (output,) = model.predict(tensors)
        return output.get_data_to_numpy()

    if how != "plain":
        memory.keep_memory()
    if GPU and how == "suite":
        memory.lock_pages(arrays)
    work.serve(comm, predict, f"{models}/{name}/expected.npy", pipe)


ranks.run(run)
