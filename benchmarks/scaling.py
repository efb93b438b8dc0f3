"""How much faster are N CPU ranks of one thread each than one rank of one thread? With the unsharded model, in one run.

    export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 GLOG_v=3          # if you are root; no warnings
    .venv/bin/mpirun --bind-to none -n 2 .venv/bin/python benchmarks/scaling.py models/MiniLM.mindir

Rank 0 alone predicts with the unsharded model, then all ranks with their shards, in turn, so that a change of the
machine's speed meets both. Perfect is a ratio of N. It needs as many idle cores as ranks. Milliseconds; of each kind
the median and, least disturbed by others on the machine, the smallest.
"""

import sys
import time
from pathlib import Path

import mindspore_lite as mslite
import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
import cpu_mpi_distributed as cpu
import inference

WARMUP, ROUNDS = 5, 40


def build(comm, path, context):
    """Return the function that predicts once with this model, of ones."""
    model = cpu.Model(comm)
    model.build_from_file(path, mslite.ModelType.MINDIR, context)
    inputs, _ = inference.fill_inputs(model, model.get_inputs())
    return lambda: model.predict(inputs), model


def milliseconds(call):
    start = time.perf_counter()
    call()
    return (time.perf_counter() - start) * 1e3


def main(comm):
    context = cpu.create_context(comm)
    context.cpu.thread_num = 1
    sharded, model = build(comm, inference.shard_path(sys.argv[1], comm), context)
    whole, _ = build(cpu.MPI.COMM_SELF, sys.argv[1], context) if comm.rank == 0 else (None, None)
    spent = {"stage": [], "exchange": []}  # of this rank's sharded predicts
    model.steps = [(timed(run, spent), names, made) for run, names, made in model.steps]
    one, all_, stages = [], [], []
    for index in range(WARMUP + ROUNDS):
        comm.Barrier()
        alone = milliseconds(whole) if whole else 0
        comm.Barrier()
        for each in spent.values():
            each.clear()
        together = milliseconds(sharded)
        if index >= WARMUP:
            one.append(comm.bcast(alone))
            all_.append(max(comm.allgather(together)))
            stages.append(max(comm.allgather(sum(spent["stage"]))))
    if comm.rank == 0:
        print(f"one rank   median {np.median(one):.1f}  smallest {min(one):.1f}")
        print(f"{comm.size} ranks    median {np.median(all_):.1f}  smallest {min(all_):.1f}")
        print(f"  of it the stages, the slowest rank's: median {np.median(stages):.1f}  smallest {min(stages):.1f}")
        share = np.median(np.array(one) / np.array(all_)) / comm.size
        print(f"of perfect scaling: {share:.2f}  (of the smallest: {min(one) / min(all_) / comm.size:.2f})")


def timed(run, spent):
    """Return the step's function with its time added to those of its kind."""
    kind = "exchange" if run.__name__ == "exchange" else "stage"

    def step(tensors):
        start = time.perf_counter()
        result = run(tensors)
        spent[kind].append((time.perf_counter() - start) * 1e3)
        return result

    return step


if __name__ == "__main__":
    inference.run(main, inference.world(cpu.MPI))
