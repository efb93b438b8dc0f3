"""Several nets of one model on this rank, such as prefill and decode, on any back end."""

import os

import mindspore_lite as mslite

import ranks
from suite import backends, hub, memory, options, shards


def backend():
    """Return the back end that run.sh was started for; without run.sh, the first that has a device here."""
    return backends.find_backend(os.environ.get("LAUNCH_BACKEND", "auto"))[0]


def communicator():
    """Return the communicator of the ranks: it has mpi4py's rank, size, allgather, bcast and Barrier."""
    if backend() != "ascend":
        return ranks.world()
    return hub.join(int(os.environ.get("LAUNCH_RANK", 0)), int(os.environ.get("LAUNCH_SIZE", 1)))


def build(comm, paths, config_file="", engine_cache=""):
    """Build this rank's shards of the models in `paths`, X.mindir each; return the built models in this order.

    `config_file` is mindspore_lite's, which names the rank table on Ascend; what is built is kept in the folder
    `engine_cache`, if one is given. Raises Stop (status 2) where a shard is missing, and for a cache on Ascend.
    """
    options.check_cache(engine_cache, backend())
    names = [shards.find_shard(path, comm.rank, comm.size) for path in paths]
    return {"cpu": _on_cpu, "gpu": _on_gpu, "ascend": _on_ascend}[backend()](comm, names, config_file, engine_cache)


def _on_cpu(comm, names, _, engine_cache):
    """Nets that are the same but for their lengths have one set of stages, and one of weights."""
    from cpu_mpi_distributed import create_context
    from suite.cpu_model import Model

    memory.share_cores(comm)
    context, family = create_context(comm), {} if len(names) > 1 else None
    models = [Model(comm, engine_cache, family) for _ in names]
    for model, name in zip(models, names):
        ranks.step(f"build {name}")
        model.build_from_file(name, mslite.ModelType.MINDIR, context)
    memory.keep_memory()
    return models


def _on_gpu(comm, names, config_file, engine_cache):
    """Each net is a separate engine with its own weights: TensorRT's plug-in can't share them."""
    from gpu_trt_distributed import create_context
    from suite import tensorrt
    from suite.gpu_model import Model

    context, models = create_context(comm), [Model() for _ in names]
    for model, name in zip(models, names):
        ranks.step(f"build {name}")
        with tensorrt.prepared(comm, context, name, config_file, cache=engine_cache) as (path, configuration):
            model.build_from_file(path, mslite.ModelType.MINDIR, context, configuration)
    memory.keep_memory()
    return models


def _on_ascend(comm, names, config_file, _):
    """All nets are in one group, which keeps one copy of the weights that have the same name in them."""
    import ascend_ge_shared_weights as page
    from ascend_ge_distributed import rank_table

    context = page.create_context(int(os.environ.get("LAUNCH_DEVICE", comm.rank)), comm.rank)
    models = [mslite.Model() for _ in names]
    group = page.new_group()
    group.add_model(models)
    options = {**rank_table(config_file), **page.OPTIONS}
    for model, name in zip(models, names):
        ranks.step(f"build {name}")
        model.build_from_file(name, mslite.ModelType.MINDIR, context, config_file, options)
    return models
