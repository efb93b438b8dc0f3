"""One rank on any back end: what run.sh starts.

    mpirun -n 2 python3 main.py --model_path=models/Matmul.mindir

Each rank inserts its number into the path (models/Matmul0.mindir, models/Matmul1.mindir), loads that shard, predicts
and prints its outputs; they are compared with those of the unsharded model where models/Matmul.mindir is there.
"""

import contextlib
import os
import sys
import time

import mindspore_lite as mslite
import numpy as np

import mindir
import ranks
from suite import backends, batches, check, files, hub, inputs, many, memory, options, parsers, serving, shards
from suite.outputs import Outputs


def parse_arguments():
    """Return the arguments, with `auto` replaced by the back end that was found; raise Stop if they are wrong."""
    parser = parsers.new_parser(__doc__)

    def refuse(message):
        raise ranks.Stop(ranks.REFUSED, f"main.py: {message} (main.py --help)")

    parser.error = refuse
    options.add_rank_options(options.add_options(parser)["back end"])
    args = parser.parse_args()
    args.backend, _ = backends.find_backend(args.backend)
    options.check_options(args, args.backend)
    if args.backend == "ascend":
        options.take_rank(args, refuse)
    return args


def communicator(args):
    """Return the communicator of the ranks: it has mpi4py's rank, size, allgather, bcast and Barrier."""
    if args.backend != "ascend":
        return ranks.world()
    # Ascend's ranks are separate processes: if they are started by hand, there is one for each shard
    size = os.environ.get("MS_WORKER_NUM") or max(ranks.count_shards(args.model_path), args.rank_id + 1)
    return hub.join(args.rank_id, int(size))


def check_files(args, comm):
    """Read the inputs and check all files, so that nothing is built in vain.

    Returns (path of this rank's shard, arrays by input name or, for a pattern, what many.prepare() returns, the
    unsharded model's mindir.Shard or None, those of all ranks, which are None on CPUs).
    """
    names = set(comm.allgather(args.backend))
    if len(names) > 1:
        message = f"the ranks' servers have different devices, for {' and '.join(sorted(names))}: give --backend"
        raise ranks.Stop(ranks.REFUSED, message)
    is_many = batches.is_pattern(args.input)
    arrays = many.prepare(args, comm) if is_many else files.load_arrays(args.input)
    files.check_readable(args.config_file)
    for file in ("" if is_many else args.output, args.json) if hub.is_first(comm) else ():
        files.check_writable(file)
    model_path = shards.find_shard(args.model_path, comm.rank, comm.size)
    wanted = args.check == "on" or args.check == "auto" and ranks.find(args.model_path)
    reference = check.unsharded(args) if wanted and hub.is_first(comm) else None
    everyone = None
    if args.backend != "cpu":  # on CPUs the model does this when it cuts the shard
        shards.check_count(args.model_path, comm.size)
        everyone = shards.check_set(comm, args.model_path, model_path, args.backend)
    if args.backend == "ascend":
        shards.check_joined(everyone[comm.rank], args.config_file)
    return model_path, arrays, comm.bcast(reference), everyone


def create_context(args, comm):
    """Return the back end's Context, from its page, and a Model for it."""
    if args.backend == "cpu":
        import cpu_mpi_distributed as page
        from suite.cpu_model import Model

        memory.share_cores(comm)
        return page.create_context(comm), Model(comm, args.engine_cache)
    if args.backend == "gpu":
        import gpu_trt_distributed as page
        from suite.gpu_model import Model

        return page.create_context(comm), Model()
    import ascend_ge_distributed as page

    device_id = args.rank_id if args.device_id is None else args.device_id
    return page.create_context(device_id, args.rank_id), mslite.Model()


def prepared_files(args, comm, context, model_path):
    """Return a context manager that gives the model and the configuration to build from."""
    if args.backend == "gpu":
        from suite import tensorrt

        return tensorrt.prepared(comm, context, model_path, args.config_file, args.precision, args.engine_cache)
    if args.backend == "ascend" and args.config_file:
        from ascend import config

        return contextlib.nullcontext((model_path, args.config_file, config.options(args.config_file)))
    return contextlib.nullcontext((model_path, args.config_file))


def fill_inputs(args, comm, model, reference, arrays, everyone):
    """Fill the model's inputs, the same ones on every rank; return (inputs, {name: array} for the unsharded model).

    The arrays are for all ranks together (`everyone` has their mindir.Shards): a pipeline's stages may take different
    inputs.
    """
    values = {value.name: value for shard in everyone for value in shard.inputs}
    source = f"--input {args.input}".strip()
    tensors, mine = inputs.fill(model, arrays, source, values)
    names = [inputs.short_name(tensor.name) for tensor in tensors]
    if args.backend != "ascend":
        memory.keep_memory()  # only now, so that the memory of the build is freed
    if args.backend == "gpu":  # the GPU reads and writes them where they are
        memory.lock_pages(mine)
    if args.backend != "cpu":  # on CPUs the model does this in its first predict
        inputs.check_same(comm, dict(zip(names, mine)))
    whole = inputs.unsharded_inputs(reference, values, dict(zip(names, mine)), arrays) if reference else {}
    return tensors, whole


def timed_predict(args, comm, model, tensors, everyone):
    """Predict --warmup + --repeat times; return the last outputs and the milliseconds of every predict.

    The ranks start every predict together, and its time is that of the slowest rank. The stages of a pipeline start
    only the first one together, as each goes on with the next inputs while later stages work: a predict's time is that
    from one output of the last stage to the next.
    """
    times, count = [], args.warmup + args.repeat
    pipeline, stop = any(shard.passes_on for shard in everyone), 0.0
    for index in range(count):
        ranks.step(f"predict {index + 1} of {count}")
        if not pipeline or not index:
            comm.Barrier()
            stop = time.perf_counter()
        start = stop if pipeline else time.perf_counter()
        outputs = model.predict(tensors)
        stop = time.perf_counter()
        times.append((stop - start) * 1e3)
    outputs = Outputs(comm, everyone, outputs)
    mine = None if pipeline and outputs.mine is None else np.array(times)
    known = [one for one in comm.allgather(mine) if one is not None]  # empty if the last stage is on another server
    return outputs, np.max(known or [np.array(times)], axis=0)


def print_outputs(comm, outputs):
    """Print the outputs of every rank that has some."""
    lines = outputs.lines()
    if hub.is_first(comm):
        # in one piece, as others may write to the same terminal
        print("".join(f"{line}\n" for line in lines), end="", flush=True)


def print_times(args, outputs, figures):
    text = "  ".join(f"{name} {value:.3f}" for name, value in figures.items())
    of = "from one output to the next, of" if outputs.partial else "the slowest rank's in each of"
    print(f"predict: {text} ms  ({of} {args.repeat})")


def save_results(args, comm, outputs, report):
    """Write --output and --json, on the first rank; the outputs are those of the first rank that has some."""
    arrays = outputs.first(lambda tensor: (tensor.name.rstrip(), tensor.get_data_to_numpy())) if args.output else None
    described = outputs.first(
        lambda tensor: {"name": tensor.name.rstrip(), "dtype": ranks.dtype(tensor), "shape": tensor.shape}
    )
    if hub.is_first(comm) and arrays is not None:
        files.save_outputs(args.output, arrays)
    if hub.is_first(comm) and args.json:
        python = sys.version.split()[0]
        versions = {"mindspore_lite": mslite.__version__, "numpy": np.__version__, "python": python}
        files.save_json(args.json, {**report, "outputs": described or [], "versions": versions})


def build(args, comm, context, model, model_path):
    """Build the model from the rank's shard; return how long it took, in milliseconds."""
    start = time.perf_counter()
    with prepared_files(args, comm, context, model_path) as (path, *configuration):
        try:
            model.build_from_file(path, mslite.ModelType.MINDIR, context, *configuration)
        except mindir.MindIRError:
            shards.check_count(args.model_path, comm.size)  # it says more if shards are missing
            raise
        except RuntimeError as error:
            versions = f"mindspore_lite {mslite.__version__}, {mindir.load(model_path).producer}"
            message = f"{model_path}: {error} ([ERROR] lines above say why; {versions})"
            raise ranks.Stop(ranks.FAILED, message) from None
    return (time.perf_counter() - start) * 1e3


def run(args, comm, model, reference, everyone, arrays, build_ms):
    """Fill the inputs, predict as often as the options say, print, check and save."""
    # set model input
    tensors, arrays = fill_inputs(args, comm, model, reference, arrays, everyone)

    # execute inference
    outputs, times = timed_predict(args, comm, model, tensors, everyone)

    # get output and print
    print_outputs(comm, outputs)
    p50, p90, p99 = np.percentile(times[args.warmup :], [50, 90, 99])
    figures = {"p50": p50, "p90": p90, "p99": p99, "mean": np.mean(times[args.warmup :])}
    if hub.is_first(comm) and args.repeat > 1:
        print_times(args, outputs, figures)

    # check
    ranks.step("check")
    found = check.compared(args, comm, reference, arrays, outputs)
    report = {"model_path": args.model_path, "backend": args.backend, "ranks": comm.size, "build_ms": build_ms}
    report.update(first_predict_ms=times[0], predict_ms=figures, warmup=args.warmup, repeat=args.repeat)
    save_results(args, comm, outputs, {**report, "check": found})
    if hub.is_first(comm):
        print(check.verdict(found), flush=True)
    if found["result"] == "FAIL":
        raise ranks.Stop(ranks.DIFFERENT, found["reason"])


def main():
    args = parse_arguments()
    comm = communicator(args)

    ranks.step("read")
    model_path, arrays, reference, everyone = check_files(args, comm)

    # init context
    context, model = create_context(args, comm)

    # build Model
    ranks.step("build")
    build_ms = build(args, comm, context, model, model_path)
    everyone = everyone or model.shards

    # the rest is for the program that has started this, or for each of many files, or as in the tutorial
    if args.session:
        serving.serve(args, comm, model, reference, everyone)
    elif batches.is_pattern(args.input):
        many.predict_all(args, comm, model, reference, everyone, arrays)
    else:
        run(args, comm, model, reference, everyone, arrays, build_ms)


if __name__ == "__main__":
    ranks.run(main)
