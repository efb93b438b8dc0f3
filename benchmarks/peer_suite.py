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
import inference
import main as suite

GPU = bool(os.environ.get("GPU"))


def main(comm):
    address, name, path, how = sys.argv[1:]
    if how == "plain":
        inference.keep_memory = lambda: None
    if not GPU and how != "unsharded":
        work.pin(comm.rank, comm.size)
    context = backend.create_context(comm)
    model = mslite.Model() if GPU or how == "unsharded" else backend.Model(comm)
    shard = path if how in ("unsharded", "one") else inference.shard_path(path, comm)
    files = contextlib.nullcontext((shard, ""))
    if GPU:
        import trt_engine

        files = trt_engine.prepared(comm, context, shard, "", None, f"{os.path.dirname(path)}/engines")
    with files as (shard, *configuration):
        model.build_from_file(shard, mslite.ModelType.MINDIR, context, *configuration)
    arrays = dict(zip((inference.short_name(each.name) for each in model.get_inputs()), work.inputs(name)))
    inputs, arrays = inference.fill_inputs(model, model.get_inputs(), arrays)
    lock = suite.pages_locked(arrays) if GPU and how == "suite" else None
    threads = "" if GPU else f", {context.cpu.thread_num} threads"
    about = f"mindspore_lite {mslite.__version__}{threads}"

    def predict():
        (output,) = model.predict(inputs)
        return output.get_data_to_numpy()

    if lock:
        inference.timed_predict(model, inputs, comm, repeat=3, lock=lock)
    work.serve(address, comm.rank, comm.Barrier, predict, about)


if __name__ == "__main__":
    if GPU:
        import gpu_trt_distributed as backend
    else:
        import cpu_mpi_distributed as backend
    inference.run(main, inference.world(backend.MPI))
