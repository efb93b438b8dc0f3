"""One rank of auto_parallel.py, which starts it, or the unsharded net: MindSpore splits the net and exports a shard.

    python3 split_rank.py JOB unsharded            # JOB/job.json and JOB/inputs.npz, from auto_parallel.py
    mpirun -n 4 python3 split_rank.py JOB

The unsharded net comes first and leaves its weights in JOB/weights.npz. The ranks build the net again and take the
weights from there, so that all have the same weights, however they were made.
"""

import importlib
import importlib.util
import json
import os
import random
import sys
import time
import traceback

import numpy as np

PARALLEL = ("semi_auto_parallel", "auto_parallel")  # MindSpore's parallel_mode: the net's strategies, or a search


def load_function(net):
    """Return the function that "FILE.py:FUNCTION" or "MODULE:FUNCTION" names."""
    source, _, function = net.rpartition(":")
    if not source.endswith(".py"):
        return getattr(importlib.import_module(source), function)
    name = os.path.splitext(os.path.basename(source))[0]
    sys.path.insert(0, os.path.dirname(os.path.abspath(source)))  # as for `python FILE.py`
    spec = importlib.util.spec_from_file_location(name, source)
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return getattr(module, function)


def build(job, **device):
    """Return the Cell that the net's function makes, for predicting, with all weights there.

    The unsharded net and the ranks' are built in the same context and from the same seeds, so that random values are
    drawn in the same order. In that context initialisers wait until the net is compiled, and each rank would then run
    them for its part of the parameter, over what was loaded meanwhile: so they are run here.
    """
    import mindspore as ms

    # what the net computes while it is built is computed at once, on the CPU: later there is another target
    ms.set_context(mode=ms.GRAPH_MODE, device_target="CPU", pynative_synchronize=True)
    searched = job["mode"] != PARALLEL[0]
    ms.set_auto_parallel_context(
        parallel_mode=PARALLEL[searched],
        full_batch=True,  # every rank takes whole inputs and returns whole outputs
        pipeline_stages=job["pipeline_stages"],
        **({"search_mode": job["mode"]} if searched else {}),
        **device,
    )
    random.seed(job["seed"])
    ms.set_seed(job["seed"])  # and NumPy's
    net = load_function(job["net"])().set_train(False)
    for parameter in net.get_parameters():
        parameter.init_data()
        parameter.is_default_input_init = False  # forget the initialiser, which would bind it to this context
    return net


def export_unsharded(job, folder):
    """Export the net as it is and leave its weights for the ranks."""
    import mindspore as ms

    net = build(job, device_num=job["ranks"], global_rank=0)
    ms.reset_auto_parallel_context()
    ms.export(net, *inputs(folder), file_name=os.path.join(job["output"], job["name"]), file_format="MINDIR")
    weights = {f"{parameter.name}.": parameter.asnumpy() for parameter in net.get_parameters()}
    np.savez(os.path.join(folder, "weights.npz"), **weights)


def export_shard(job, folder, rank):
    """Export this rank's shard of the net, as MindSpore splits it."""
    import mindspore as ms
    from mindspore import communication

    ms.set_context(mode=ms.GRAPH_MODE, device_target="GPU")
    communication.init("nccl")
    found = communication.get_rank(), communication.get_group_size()
    if found != (rank, job["ranks"]):
        raise RuntimeError(f"mpirun started rank {rank} of {job['ranks']}, MindSpore is rank {found[0]} of {found[1]}")
    net = build(job)
    set_weights(net, os.path.join(folder, "weights.npz"))
    ms.set_context(device_target="GPU")
    ms.export(net, *inputs(folder), file_name=os.path.join(job["output"], job["shards"][rank]), file_format="MINDIR")


def set_weights(net, path):
    """Give the net's parameters the unsharded net's values; raise ValueError if they aren't the same parameters."""
    import mindspore as ms

    with np.load(path) as weights:
        # with a dot, as savez has an argument called "file"
        here = {f"{weight.name}.": weight for weight in net.get_parameters()}
        if set(here) != set(weights.files):
            differing = sorted(set(here) ^ set(weights.files))
            advice = "the net must not depend on the rank"
            raise ValueError(
                f"parameter {differing[0][:-1]} is missing in the unsharded net or in the rank's: {advice}"
            )
        for name, parameter in here.items():
            parameter.set_data(ms.Tensor(weights[name]))


def inputs(folder):
    """Return the inputs as Tensors."""
    import mindspore as ms

    with np.load(os.path.join(folder, "inputs.npz")) as arrays:
        return [ms.Tensor(arrays[name]) for name in arrays.files]


def main():
    folder = sys.argv[1]
    rank = -1 if "unsharded" in sys.argv[2:] else int(os.environ["OMPI_COMM_WORLD_RANK"])
    with open(os.path.join(folder, "job.json"), encoding="utf-8") as file:
        job = json.load(file)
    sys.path[:0] = job["path"]
    try:
        if rank < 0:
            return export_unsharded(job, folder)
        import device_double

        device_double.load(job["double"])  # before MindSpore looks for the libraries
        return export_shard(job, folder, rank)
    except BaseException as error:
        traceback.print_exc()
        reason = " ".join(str(error).split("\n\n---")[0].split())  # without the stack of MindSpore's C++
        who = f"rank {rank}" if rank >= 0 else "the unsharded net"
        failure = {"time": time.time(), "who": who, "message": f"{type(error).__name__}: {reason}"}
        with open(os.path.join(folder, f"failure{rank}.json"), "w", encoding="utf-8") as file:
            json.dump(failure, file)
        sys.stderr.flush()
        os._exit(1)  # mpirun ends the other ranks, which may wait for this one


if __name__ == "__main__":
    main()
