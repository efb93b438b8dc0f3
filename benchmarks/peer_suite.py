"""A rank of this suite, timed by compare.py: peer_suite.py ADDRESS WORK MODEL HOW

HOW is `suite` (as main.py runs it), `plain` (the tutorial's lines: memory neither kept nor locked), or, of the
unsharded model on one rank, `unsharded` (mindspore_lite alone, on all cores) and `one` (a rank on one core). With
GPU=1 in the environment the back end is the GPU's; its engines are kept beside the model.
"""

import contextlib
import os
import sys
from pathlib import Path

import mindspore_lite as mslite
import work

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
import ranks
from suite import inputs as model_inputs
from suite import memory, tensorrt
from suite.cpu_model import Model

GPU = bool(os.environ.get("GPU"))


def main():
    address, name, path, how = sys.argv[1:]
    comm = ranks.world()
    if how != "plain":
        memory.keep_memory()
    if not GPU and how != "unsharded":
        work.pin(comm.rank, comm.size)
    context = page.create_context(comm)
    model = mslite.Model() if GPU or how == "unsharded" else Model(comm)
    shard = path if how in ("unsharded", "one") else ranks.shard_path(path, comm.rank, comm.size)
    files = contextlib.nullcontext((shard, ""))
    if GPU:
        files = tensorrt.prepared(comm, context, shard, "", None, f"{os.path.dirname(path)}/engines")
    with files as (shard, *configuration):
        model.build_from_file(shard, mslite.ModelType.MINDIR, context, *configuration)
    arrays = dict(zip((model_inputs.short_name(each.name) for each in model.get_inputs()), work.inputs(name)))
    inputs, arrays = model_inputs.fill(model, arrays)
    threads = "" if GPU else f", {context.cpu.thread_num} threads"
    about = f"mindspore_lite {mslite.__version__}{threads}"

    def predict():
        (output,) = model.predict(inputs)
        return output.get_data_to_numpy()

    if GPU and how == "suite":
        memory.lock_pages(arrays)
        for _ in range(3):  # the outputs come to lie in two places in turn
            memory.lock_pages([predict()])
    work.serve(address, comm.rank, comm.Barrier, predict, about)


if __name__ == "__main__":
    if GPU:
        import gpu_trt_distributed as page
    else:
        import cpu_mpi_distributed as page
    ranks.run(main)
