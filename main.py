"""One rank on any back end: what run.sh starts.

    mpirun -n 2 python3 main.py --model_path=models/Matmul.mindir

Each rank inserts its number into the path (models/Matmul0.mindir, models/Matmul1.mindir), loads that shard, predicts
and prints its outputs; they are compared with those of the unsharded model where models/Matmul.mindir is there.
"""

import contextlib
import sys
import time

import mindspore_lite as mslite
import numpy as np

import mindir
import ranks
from suite import backends, check, files, hub, inputs, memory, options, shards


def parse_arguments():
    """Return the arguments, with `auto` replaced by the back end that was found; raise Stop if they can't be right."""
    parser = options.new_parser(__doc__)

    def refuse(message):
        raise ranks.Stop(ranks.REFUSED, f"main.py: {message} (main.py --help)")

    parser.error = refuse
    options.add_rank_options(options.add_options(parser)["back end"])
    args = parser.parse_args()
    args.backend, _ = backends.find_backend(args.backend)
    options.check_options(args, args.backend)
    if args.backend == "ascend" and args.rank_id is None:
        refuse("--rank_id: on ascend it says which rank this is, from 0")
    return args


def communicator(args):
    """Return the communicator of the ranks: it has mpi4py's rank, size, allgather, bcast and Barrier."""
    if args.backend != "ascend":
        return ranks.world()
    # its ranks are processes of their own: started by hand, they are as many as there are shards
    return hub.join(args.rank_id, max(ranks.count_shards(args.model_path), args.rank_id + 1))


def is_first(comm):
    """Return whether this is the rank that prints, checks and writes for all that it can talk to."""
    return comm.rank == getattr(comm, "here", [0])[0]


def check_files(args, comm):
    """Read the inputs and look at all files, so that nothing is built in vain.

    Returns (path of this rank's shard, arrays by input name, the unsharded model's mindir.Shard or None).
    """
    names = set(comm.allgather(args.backend))
    if len(names) > 1:
        message = f"the ranks' servers have different devices, for {' and '.join(sorted(names))}: give --backend"
        raise ranks.Stop(ranks.REFUSED, message)
    arrays = files.load_arrays(args.input)
    files.check_readable(args.config_file)
    for file in (args.output, args.json) if is_first(comm) else ():
        files.check_writable(file)
    model_path = shards.find_shard(args.model_path, comm.rank, comm.size)
    wanted = args.check == "on" or args.check == "auto" and ranks.find(args.model_path)
    reference = mindir.load(args.model_path).summary() if wanted and is_first(comm) else None
    if args.backend != "cpu":  # whose model does this as it cuts the shard
        shards.check_count(args.model_path, comm.size)
        shards.check_set(comm, args.model_path, model_path)
    return model_path, arrays, comm.bcast(reference)


def create_context(args, comm):
    """Return the Context of the back end, from its page, and the Model that takes it."""
    if args.backend == "cpu":
        import cpu_mpi_distributed as page
        from suite.cpu_model import Model

        memory.share_cores(comm)
        return page.create_context(comm), Model(comm)
    if args.backend == "gpu":
        import gpu_trt_distributed as page

        return page.create_context(comm), mslite.Model()
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


def fill_inputs(args, comm, model, reference, arrays):
    """Fill the model's inputs, the same ones on every rank; return (inputs, arrays in their order)."""
    mine = [(ranks.dtype(tensor), tuple(tensor.shape)) for tensor in model.get_inputs()]
    if reference and mine != [(value.dtype, value.shape) for value in reference.inputs]:
        takes = ", ".join(f"{value.dtype} {value.shape}" for value in reference.inputs)
        given = ", ".join(f"{dtype} {shape}" for dtype, shape in mine)
        advice = "it isn't the model that they were made from: remove it or --check off"
        raise ranks.Stop(ranks.REFUSED, f"{reference.path}: takes {takes}, the shards {given}: {advice}")
    tensors, arrays = inputs.fill(model, arrays, f"--input {args.input}".strip())
    if args.backend != "ascend":
        memory.keep_memory()  # from now on: what the build took is given back
    if args.backend == "gpu":  # it reads and writes them where they are
        memory.lock_pages(arrays)
    if args.backend != "cpu":  # whose model does this in its first predict
        inputs.check_same(comm, {inputs.short_name(tensor.name): array for tensor, array in zip(tensors, arrays)})
    return tensors, arrays


def timed_predict(args, comm, model, tensors):
    """Predict --warmup + --repeat times; return the last outputs and the milliseconds of every predict.

    The ranks start every predict together, and its time is the slowest rank's.
    """
    times, count = [], args.warmup + args.repeat
    for index in range(count):
        ranks.step(f"predict {index + 1} of {count}")
        comm.Barrier()
        start = time.perf_counter()
        outputs = model.predict(tensors)
        times.append((time.perf_counter() - start) * 1e3)
        if args.backend == "gpu" and index < 3:  # the outputs are in two places in turn
            memory.lock_pages([output.get_data_to_numpy() for output in outputs])
    return outputs, np.max(comm.allgather(np.array(times)), axis=0)


def print_outputs(comm, outputs):
    """Print every rank's outputs, each rank's together, in the order of the ranks; each line carries its rank."""
    tag = f"rank {comm.rank}: " if comm.size > 1 else ""
    everyone = comm.allgather([tag + line for line in ranks.describe(outputs)])
    if is_first(comm):
        # in one piece, as others may write to the same terminal
        print("".join(f"{line}\n" for lines in everyone for line in lines), end="", flush=True)


def compared(args, comm, reference, arrays, outputs):
    """Return check.check()'s result for these outputs; all ranks call this together."""
    if not reference:
        reason = f"--check {args.check}" if args.check == "off" else f"no {args.model_path}"
        return {"result": "none", "reason": reason}
    expected = comm.bcast(check.unsharded_outputs(reference.path, arrays) if is_first(comm) else None)
    dtypes = [value.dtype for value in reference.outputs]
    tolerances = backends.BACKENDS[args.backend].tolerances
    return check.check(comm, expected, outputs, dtypes, reference.path, tolerances)


def save(args, outputs, report):
    """Write --output and --json."""
    if args.output:
        files.save_outputs(args.output, outputs)
    if args.json:
        report["outputs"] = [
            {"name": output.name.rstrip(), "dtype": ranks.dtype(output), "shape": output.shape} for output in outputs
        ]
        python = sys.version.split()[0]
        report["versions"] = {"mindspore_lite": mslite.__version__, "numpy": np.__version__, "python": python}
        files.save_json(args.json, report)


def main():
    args = parse_arguments()
    comm = communicator(args)

    ranks.step("read")
    model_path, arrays, reference = check_files(args, comm)

    # init context
    context, model = create_context(args, comm)

    # build Model
    ranks.step("build")
    start = time.perf_counter()
    with prepared_files(args, comm, context, model_path) as (path, *configuration):
        try:
            model.build_from_file(path, mslite.ModelType.MINDIR, context, *configuration)
        except mindir.MindIRError:
            shards.check_count(args.model_path, comm.size)  # a missing shard says more
            raise
        except RuntimeError as error:
            message = f"{model_path}: {error} ([ERROR] lines above say why)"
            raise ranks.Stop(ranks.FAILED, message) from None
    build_ms = (time.perf_counter() - start) * 1e3

    # set model input
    tensors, arrays = fill_inputs(args, comm, model, reference, arrays)

    # execute inference
    outputs, times = timed_predict(args, comm, model, tensors)

    # get output and print
    print_outputs(comm, outputs)
    p50, p90, p99 = np.percentile(times[args.warmup :], [50, 90, 99])
    figures = {"p50": p50, "p90": p90, "p99": p99, "mean": np.mean(times[args.warmup :])}
    if is_first(comm) and args.repeat > 1:
        text = "  ".join(f"{name} {value:.3f}" for name, value in figures.items())
        print(f"predict: {text} ms  (the slowest rank's in each of {args.repeat})")

    # check
    ranks.step("check")
    found = compared(args, comm, reference, arrays, outputs)
    if is_first(comm):
        report = {"model_path": args.model_path, "backend": args.backend, "ranks": comm.size, "build_ms": build_ms}
        report.update(first_predict_ms=times[0], predict_ms=figures, warmup=args.warmup, repeat=args.repeat)
        save(args, outputs, {**report, "check": found})
        print(check.verdict(found), flush=True)
    if found["result"] == "FAIL":
        raise ranks.Stop(ranks.DIFFERENT, found["reason"])


if __name__ == "__main__":
    ranks.run(main)
