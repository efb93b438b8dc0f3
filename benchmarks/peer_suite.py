"""A rank of this suite, timed by compare.py: peer_suite.py MODELS WORK HOW PIPE

HOW is `suite` (as main.py runs it), `plain` (the tutorial's lines: memory neither kept nor locked), or, of the
unsharded model on one rank, `unsharded` (mindspore_lite alone, on all cores) and `one` (a rank on one core). With
GPU=1 in the environment the back end is the GPU's; its engines are kept beside the model.

    mpirun --bind-to none -n 2 python3 benchmarks/peer_suite.py parts X.mindir 30

prints as JSON where the time of a start goes, and that of 30 predicts: what in them the engine, MPI, the sums of
reductions and the suite's own Python take on rank 0, waiting for other ranks included.
"""

import time

marks = [("", time.time(), 0)]  # (what ended, when, the most memory until then in KiB)


def mark(name):
    marks.append((name, time.time(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss))


import collections
import contextlib
import json
import os
import resource
import sys
import types

import numpy as np
import work

mark("NumPy")
import mindspore_lite as mslite

mark("mindspore_lite")
sys.path.insert(0, str(work.ROOT))
import mindir
import ranks
from suite import cpu_model, exchange, gpu_model, memory, stages, tensorrt
from suite import inputs as model_inputs

GPU = bool(os.environ.get("GPU"))
if GPU:
    import gpu_trt_distributed as page
else:
    import cpu_mpi_distributed as page
mark("suite")
spent = collections.Counter()  # seconds by name


def timed(name, function):
    """Return the function, whose time is added to spent[name]."""

    def run(*arguments, **options):
        start = time.perf_counter()
        result = function(*arguments, **options)
        spent[name] += time.perf_counter() - start
        return result

    return run


def build(path, how):
    """Return (communicator, path of the shard, model, about it): this rank of the model X.mindir, as `how` says."""
    comm = ranks.world()
    mark("MPI")
    if how != "plain":
        memory.keep_memory()
    if not GPU and how != "unsharded":
        work.pin(comm)
    context = page.create_context(comm)
    mark("context")
    model = mslite.Model()
    if how != "plain" and GPU:
        model = gpu_model.Model()
    elif not GPU and how != "unsharded":
        model = cpu_model.Model(comm)
    shard = path if how in ("unsharded", "one") else ranks.shard_path(path, comm.rank, comm.size)
    files = contextlib.nullcontext((shard, ""))
    if GPU:
        files = tensorrt.prepared(comm, context, shard, cache=f"{os.path.dirname(path)}/engines")
    with files as (prepared, *configuration):
        mark("shard prepared")
        model.build_from_file(prepared, mslite.ModelType.MINDIR, context, *configuration)
        mark("build")
    threads = "" if GPU else f", {context.cpu.thread_num} threads"
    return comm, shard, model, f"mindspore_lite {mslite.__version__}{threads}"


def serve(models, name, how, pipe):
    comm, _, model, about = build(str(work.model_path(models, name)), how)
    arrays = dict(zip((model_inputs.short_name(tensor.name) for tensor in model.get_inputs()), work.inputs(name)))
    inputs, arrays = model_inputs.fill(model, arrays)

    def predict():
        (output,) = model.predict(inputs)
        return output.get_data_to_numpy()

    if GPU and how == "suite":
        memory.lock_pages(arrays)
    work.serve(comm, predict, about, f"{models}/{name}/expected.npy", pipe)


def watch(model):
    """Have spent[...] take what the engine, MPI and the sums take in a predict of the CPU's Model."""
    mslite.Tensor.get_data_to_numpy = timed("engine", mslite.Tensor.get_data_to_numpy)
    for _, run, _, _ in model.steps:
        if isinstance(run, exchange.Exchange):
            names = ("Allgather", "Allreduce", "Barrier")
            run.comm = types.SimpleNamespace(**{name: timed("mpi", getattr(run.comm, name)) for name in names})
            run.put, run.ufunc = timed("mpi", run.put), timed("sums", run.ufunc)
        else:
            run.stage.predict = timed("engine", run.stage.predict)


def parts(path, repeat):
    mindir.load, mindir.cut = timed("read", mindir.load), timed("cut", mindir.cut)
    stages.write = timed("write stages", stages.write)
    comm, shard, model, _ = build(path, "suite")
    inputs, arrays = model_inputs.fill(model, {})
    if GPU:
        memory.lock_pages(arrays)
    mark("inputs")
    for name in ("first predict", "second", "third"):
        model.predict(inputs)
        mark(name)
    started = [("", float(os.environ.get("STARTED", marks[0][1])), 0), ("interpreter", *marks[0][1:]), *marks[1:]]
    start_s = {name: end - start for (_, start, _), (name, end, _) in zip(started, started[1:])}
    start_s["build"] -= sum(spent.values()) * (not GPU)
    start_s.update(spent)
    most_mib = {name: kib / 1024 for name, _, kib in marks}
    found = {"ranks": comm.size, "steps": len(getattr(model, "steps", [])), "start_s": start_s}
    found["shard_mib"] = os.path.getsize(shard) / 2**20
    found.update(before_mib=most_mib["context"], peak_mib=most_mib["first predict"])
    if found["steps"]:
        watch(model)
    ms = []  # of each predict: in all, engine, MPI, sums, own
    for _ in range(repeat):
        comm.Barrier()
        spent.clear()
        total = work.ms(model.predict, inputs)
        known = [1e3 * spent[name] for name in ("engine", "mpi", "sums")]
        ms.append([total, *known, total - sum(known)])
    predict_ms, engine_ms, mpi_ms, sums_ms, own_ms = np.median(ms, axis=0)
    found.update(engine_ms=engine_ms, mpi_ms=mpi_ms, sums_ms=sums_ms, own_us=own_ms * 1e3)
    found["predict_ms"] = max(comm.allgather(predict_ms))
    if comm.rank == 0:
        print(json.dumps(found))


if __name__ == "__main__":
    words = sys.argv[1:]
    ranks.run(lambda: parts(words[1], int(words[2])) if words[0] == "parts" else serve(*words))
