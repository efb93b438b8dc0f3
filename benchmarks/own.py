"""What the suite itself costs on CPU ranks, beside mindspore_lite and MPI: own.py MODELS prints it as JSON.

MODELS has minilm_8x128/MiniLM.mindir and others of compare.py's, ranks/4/MiniLM.mindir for other numbers of ranks, and
chains of so many stages, chain_100/2/Net.mindir for 2 ranks. Called by itself under mpirun, a rank measures one model:
own.py --rank MODEL REPEAT.
"""

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

here = Path(__file__).resolve().parent
sys.path.insert(0, str(here.parent))


# One rank


class Clock:
    """Seconds by name: what was spent in functions that are timed, and between stamps."""

    def __init__(self):
        self.spent, self.since = {}, time.perf_counter()

    def timed(self, name, function):
        """Return the function, whose time goes to `name`."""

        def run(*arguments, **options):
            start = time.perf_counter()
            try:
                return function(*arguments, **options)
            finally:
                self.spent[name] = self.spent.get(name, 0.0) + time.perf_counter() - start

        return run

    def stamp(self, name):
        """Give the time since the last stamp to `name`."""
        now = time.perf_counter()
        self.spent[name] = now - self.since
        self.since = now


class Timed:
    """An object whose functions of those names are timed."""

    def __init__(self, clock, kind, wrapped, names):
        self.wrapped = wrapped
        vars(self).update({name: clock.timed(kind, getattr(wrapped, name)) for name in names})

    def __getattr__(self, name):
        return getattr(self.wrapped, name)


def build(path, clock):
    """Return (communicator, model, its inputs, figures of the memory); the start's parts are on the clock."""
    import cpu_mpi_distributed as cpu
    import mindir
    import ranks
    from suite import cpu_model, inputs, memory

    clock.stamp("imports")
    comm = ranks.world()
    clock.stamp("MPI")
    memory.keep_memory()
    memory.share_cores(comm)
    context = cpu.create_context(comm)
    context.cpu.thread_num = 1
    path = ranks.shard_path(path, comm.rank, comm.size)
    parts = Clock()
    mindir.load, mindir.cut = parts.timed("read", mindir.load), parts.timed("cut", mindir.cut)
    cpu_model._write_stages = parts.timed("write stages", cpu_model._write_stages)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    model = cpu_model.Model(comm)
    model.build_from_file(path, cpu.mslite.ModelType.MINDIR, context)
    clock.stamp("build")
    clock.spent["build"] -= sum(parts.spent.values())
    clock.spent.update(parts.spent)
    tensors, _ = inputs.fill(model, {})
    model.predict(tensors)
    clock.stamp("first predict")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    figures = {"shard_mib": mindir.load(path).nbytes / 2**20, "peak_mib": peak / 1024, "before_mib": before / 1024}
    return comm, model, tensors, figures


def predicts(comm, model, tensors, repeat):
    """Return the seconds of each predict, and of what in it the engine, MPI and the sums took: arrays of `repeat`."""
    import mindspore_lite as mslite

    from suite.exchange import Exchange

    clock = Clock()
    mslite.Tensor.get_data_to_numpy = clock.timed("engine", mslite.Tensor.get_data_to_numpy)
    for _, run, _, _ in model.steps:
        if isinstance(run, Exchange):
            run.comm = Timed(clock, "mpi", run.comm, ["Allgather", "Allreduce", "Reduce_scatter_block", "Sendrecv"])
            run.ufunc = clock.timed("sums", run.ufunc)
        else:
            run.stage = Timed(clock, "engine", run.stage, ["predict"])
    times = []
    for _ in range(5 + repeat):
        comm.Barrier()
        clock.spent = {"engine": 0.0, "mpi": 0.0, "sums": 0.0}
        start = time.perf_counter()
        model.predict(tensors)
        times.append([time.perf_counter() - start, *clock.spent.values()])
    return np.transpose(times[5:])


def rank(path, repeat):
    """Print, on rank 0, what a predict takes and what of it the engine, MPI, the sums and the suite's own Python do."""
    clock = Clock()
    clock.spent["interpreter and NumPy"] = time.time() - float(os.environ["STARTED"])
    comm, model, tensors, figures = build(path, clock)
    total, engine, mpi, sums = predicts(comm, model, tensors, repeat)
    found = {
        "ranks": comm.size,
        "steps": len(model.steps),
        "predict_ms": float(np.median(comm.allgather(total), axis=1).max() * 1e3),
        "engine_ms": float(np.median(engine) * 1e3),
        "mpi_ms": float(np.median(mpi) * 1e3),
        "sums_ms": float(np.median(sums) * 1e3),
        "own_us": float(np.median(total - engine - mpi - sums) * 1e6),
        "start_s": clock.spent,
        **figures,
    }
    if comm.rank == 0:
        print(json.dumps(found))


# All


def measure(path, ranks, repeat):
    mpirun = Path(sys.executable).with_name("mpirun")
    command = [str(mpirun), "--quiet", "--oversubscribe", "--bind-to", "none", "-n", str(ranks), sys.executable]
    done = subprocess.run(
        [*command, __file__, "--rank", str(path), str(repeat)],
        env=dict(os.environ, STARTED=str(time.time()), GLOG_v="3"),
        stdout=subprocess.PIPE,
        text=True,
        timeout=300,
        check=True,
    )
    return json.loads(done.stdout.strip().splitlines()[-1])


def main(models):
    found = {}
    for each in sorted(models.glob("*/MiniLM.mindir")):
        found[each.parent.name] = measure(each, 2, 30)
    for each in sorted(models.glob("ranks/*/MiniLM.mindir")):
        found[f"minilm_8x128/{each.parent.name}"] = measure(each, int(each.parent.name), 10)
    for each in ("small", "large", "decode"):
        if (models / each / "Matmul.mindir").exists():
            found[each] = measure(models / each / "Matmul.mindir", 2, 30)
    for each in sorted(models.glob("chain_*/*/Net.mindir")):
        count = int(each.parent.name)
        found[f"{each.parent.parent.name}/{count}"] = measure(each, count, 100)
    with tempfile.TemporaryDirectory() as folder:
        starts = []
        for _ in range(3):
            start = time.monotonic()
            command = [str(here.parent / "run.sh"), "--backend=cpu", f"--log_dir={folder}/logs"]
            subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True)
            starts.append(time.monotonic() - start)
    found["run.sh"] = {"seconds": min(starts)}
    print(json.dumps(found))


if __name__ == "__main__":
    if sys.argv[1] == "--rank":
        rank(sys.argv[2], int(sys.argv[3]))
    else:
        main(Path(sys.argv[1]))
