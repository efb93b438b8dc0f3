"""One rank on any back end: what run.sh starts.

    mpirun -n 2 python3 main.py --model_path=models/Matmul.mindir

Each rank inserts its number into the path (models/Matmul0.mindir, models/Matmul1.mindir), loads that shard, predicts
and prints its outputs; they are compared with those of the unsharded model where models/Matmul.mindir is there.
"""

import contextlib
import functools
import glob
import json
import os
import sys
import tempfile
import time

import mindspore_lite as mslite
import numpy as np

import inference
import mindir

READS = mindir.readable_by(mslite.__version__)  # the highest mind_ir_version that this engine reads
DEV = os.environ.get("LAUNCH_DEV", "/dev")  # as in launch.py
DEVICES = {"ascend": f"{DEV}/davinci[0-9]*", "gpu": f"{DEV}/nvidia[0-9]*"}  # what the driver makes, one a device


def parse_arguments():
    parser = inference.argument_parser(__doc__)
    parser.error = lambda message: inference.refuse(inference.REFUSED, f"main.py: {message} (main.py --help)")

    model = parser.add_argument_group("model")
    path = "X.mindir where the shards are X0.mindir, X1.mindir, ..."
    model.add_argument("--model_path", metavar="X.mindir", required=True, help=path)
    config = "mindspore_lite's configuration file (default: none)"
    model.add_argument("--config_file", metavar="FILE", default="", help=config)
    model.add_argument("--input", metavar="FILE", help=".npz by input name, or .npy for a single input (default: ones)")
    model.add_argument("--output", metavar="FILE", help="write rank 0's outputs to this .npz (default: none)")

    back_end = parser.add_argument_group("back end")
    which = "auto: that of this machine's devices, cpu where there are none (default: auto)"
    back_end.add_argument("--backend", choices=("auto", "cpu", "gpu", "ascend"), default="auto", help=which)
    back_end.add_argument("--device_id", metavar="N", type=int, help="Ascend: this rank's device (default: rank_id)")
    rank = "Ascend: this rank, from 0 (default: none; on cpu and gpu mpirun gives it)"
    back_end.add_argument("--rank_id", metavar="N", type=int, help=rank)
    precision = "GPU: what TensorRT computes in (default: fp32)"
    back_end.add_argument("--precision", choices=("fp32", "fp16"), help=precision)
    cache = "GPU: keep the engines there for the next start (default: none)"
    back_end.add_argument("--engine_cache", metavar="DIR", help=cache)

    run = parser.add_argument_group("run")
    run.add_argument("--warmup", type=int, default=0, metavar="N", help="predicts that aren't timed (default: 0)")
    run.add_argument("--repeat", type=int, default=1, metavar="N", help="predicts that are timed (default: 1)")
    run.add_argument("--json", metavar="FILE", help="write times, check and versions to FILE (default: none)")
    check = "compare with the unsharded model X.mindir; auto: if it is there (default: auto)"
    run.add_argument("--check", choices=("auto", "on", "off"), default="auto", help=check)
    args = parser.parse_args()
    if not args.model_path.endswith(".mindir"):
        parser.error(f"--model_path {args.model_path}: must end in .mindir")
    if args.warmup < 0 or args.repeat < 1:
        parser.error(f"--warmup {args.warmup} --repeat {args.repeat}: at least 0 and 1")
    if args.backend == "auto":
        args.backend = next((name for name, device in DEVICES.items() if glob.glob(device)), "cpu")
    elif args.backend in DEVICES and not glob.glob(DEVICES[args.backend]):
        advice = "install its driver or take --backend cpu"
        inference.refuse(
            inference.UNAVAILABLE, f"--backend {args.backend}: no device here (no {DEVICES[args.backend]}): {advice}"
        )
    if args.backend != "ascend" and (args.rank_id is not None or args.device_id is not None):
        parser.error(f"--rank_id and --device_id are for ascend: on {args.backend} they come from mpirun")
    if args.backend != "gpu" and (args.precision or args.engine_cache):
        parser.error(f"--precision and --engine_cache are for gpu, this is {args.backend}")
    if args.backend == "ascend" and (args.rank_id is None or args.rank_id < 0):
        parser.error(f"--rank_id {args.rank_id}: on ascend it says which rank this is, from 0")
    return args


def communicator(args):
    """Return what this rank talks to the others with."""
    if args.backend == "ascend":  # its ranks are processes of their own, joined by launch.py
        if "LAUNCH_HUB" in os.environ:
            here = [int(each) for each in os.environ["LAUNCH_HERE"].split(",")]
            return inference.joined(args.rank_id, int(os.environ["LAUNCH_SIZE"]), here, os.environ["LAUNCH_HUB"])
        count = 0  # started by hand: as many as there are shards
        while inference.existing(inference.insert(args.model_path, count)):
            count += 1
        return inference.alone(args.rank_id, max(count, args.rank_id + 1))
    try:
        import mpi4py

        mpi4py.rc.initialize, mpi4py.rc.finalize = False, True  # inference.world() starts it
        from mpi4py import MPI
    except ImportError as error:
        advice = f"{sys.executable} -m pip install mpi4py, with the MPI's mpicc on the PATH"
        inference.refuse(inference.UNAVAILABLE, f"--backend {args.backend} needs mpi4py: {error}: {advice}")
    return inference.world(MPI)


def check_shards(args, comm, model_path):
    """Make sure that the shards of all ranks are one set. All ranks call this together."""
    mine = inference.together(comm, mindir.load, model_path, READS).summary()
    summaries = dict(comm.allgather((comm.rank, mine)))

    def check():
        for rank in range(comm.size if inference.first(comm) else 0):
            if rank not in summaries:  # on Ascend, a rank of another server, or started by hand
                path = inference.existing(inference.insert(args.model_path, rank))
                summaries[rank] = mindir.load(path, READS).summary()
        if inference.first(comm):
            mindir.check_set([summaries[rank] for rank in range(comm.size)])

    inference.together(comm, check)


def create_context(args, comm):
    """Return the Context of the back end and the Model that takes it: all that differs between back ends."""
    if args.backend == "cpu":
        import cpu_mpi_distributed as backend

        return backend.create_context(comm), backend.Model(comm)
    if args.backend == "gpu":
        import gpu_trt_distributed as backend

        return backend.create_context(comm), mslite.Model()
    import ascend_ge_distributed as backend

    device_id = args.rank_id if args.device_id is None else args.device_id
    return backend.create_context(device_id, args.rank_id), mslite.Model()


def pages_locked(arrays):
    """Let the GPU read the inputs where they are; return what lets it write the outputs where they are."""
    from gpu_trt_distributed import lock

    lock(arrays)
    inference.keep_memory()
    return lock


def prepared_files(args, comm, context, model_path):
    """Return what gives, in a with statement, the model and configuration to build from."""
    if args.backend == "gpu":
        import trt_engine

        return trt_engine.prepared(comm, context, model_path, args.config_file, args.precision, args.engine_cache)
    if args.backend == "ascend" and args.config_file:
        import config_file

        table = inference.together(comm, config_file.rank_table_file, args.config_file)
        options = {"ascend_context": {"rank_table_file": table}} if table else {}
        return contextlib.nullcontext((model_path, args.config_file, options))
    return contextlib.nullcontext((model_path, args.config_file))


def unsharded(args, comm):
    """Return, on the first rank, what the unsharded model's file holds; None where nothing is to be checked."""
    if not inference.first(comm):
        return None
    if args.check == "off" or args.check == "auto" and not inference.existing(args.model_path):
        return None
    return mindir.load(args.model_path, READS).summary()


def unsharded_outputs(comm, reference, arrays):
    """Return the outputs of the unsharded model on the first rank; None on the others."""
    if not inference.first(comm):
        return None
    with tempfile.TemporaryDirectory(prefix="unsharded-") as folder:
        path = mindir.save(mindir.repair(mindir.load(reference.path, READS)), folder)
        return inference.run_unsharded(path, arrays)


def tolerance(args):
    """Return the errors allowed, by dtype, for what the back end computes in."""
    if args.backend == "gpu":
        from gpu_trt_distributed import TOLERANCE
    elif args.backend == "ascend":
        from ascend_ge_distributed import TOLERANCE
    else:
        from inference import TOLERANCE
    return TOLERANCE


def same_inputs(reference, inputs):
    """Make sure that the unsharded model takes what the shards take."""
    mine = [(inference.dtype_of(each), tuple(each.shape)) for each in inputs]
    if reference and mine != [(each.dtype, each.shape) for each in reference.inputs]:
        takes = ", ".join(f"{each.dtype} {each.shape}" for each in reference.inputs)
        given = ", ".join(f"{dtype} {shape}" for dtype, shape in mine)
        advice = "it isn't the model that they were made from: remove it or --check off"
        raise inference.Stop(inference.REFUSED, f"{reference.path}: takes {takes}, the shards {given}: {advice}")


def save(args, report, outputs):
    """Write --output and --json, as a whole or not at all."""
    if args.output:
        arrays = {}
        for index, output in enumerate(outputs):
            name = output.name.rstrip()
            arrays[f"{name}.{index}" if name in (*arrays, "file") else name] = output.get_data_to_numpy()
        inference.write(args.output, lambda file: np.savez(file, **arrays))
    if args.json:
        report["outputs"] = [
            {"name": each.name.rstrip(), "dtype": str(inference.dtype_of(each)), "shape": each.shape}
            for each in outputs
        ]
        python = sys.version.split()[0]
        report["versions"] = {"mindspore_lite": mslite.__version__, "numpy": np.__version__, "python": python}
        inference.write(
            args.json, lambda file: file.write(json.dumps(report, indent=1, allow_nan=False).encode() + b"\n")
        )


def main(args, comm):
    everywhere = functools.partial(inference.together, comm)  # what one rank can't do, no rank goes on from

    backends = set(comm.allgather(args.backend))
    if len(backends) > 1:
        message = f"ranks on {' and '.join(sorted(backends))}, as their servers have other devices: give --backend"
        raise inference.Stop(inference.REFUSED, message, agreed=True)

    inference.step("read")
    # files first: nothing is built that couldn't come to its end
    arrays = everywhere(inference.load_arrays, args.input)
    everywhere(inference.check_readable, args.config_file)
    everywhere(inference.check_writable, args.output, args.json)
    model_path = inference.shard_path(args.model_path, comm)
    reference = comm.bcast(everywhere(unsharded, args, comm))
    if args.backend != "cpu":  # whose model does this as it cuts the shard
        check_shards(args, comm, model_path)

    # init context
    context, model = everywhere(create_context, args, comm)

    # build Model
    inference.step("build")
    start = time.perf_counter()
    with prepared_files(args, comm, context, model_path) as (path, *configuration):
        try:
            model.build_from_file(path, mslite.ModelType.MINDIR, context, *configuration)
        except RuntimeError as error:
            message = f"{model_path}: {error} ([ERROR] lines above say why)"
            raise inference.Stop(inference.FAILED, message) from None
    build_ms = (time.perf_counter() - start) * 1e3

    # set model input
    inputs = model.get_inputs()
    everywhere(same_inputs, reference, inputs)
    inputs, arrays = everywhere(inference.fill_inputs, model, inputs, arrays)
    lock = pages_locked(arrays) if args.backend == "gpu" else None

    # execute inference
    outputs, times = inference.timed_predict(model, inputs, comm, args.warmup, args.repeat, lock)

    # get output and print
    inference.print_outputs(outputs, comm)
    figures = inference.statistics(times[args.warmup :])
    if inference.first(comm) and args.repeat > 1:
        text = "  ".join(f"{name} {value:.3f}" for name, value in figures.items())
        print(f"predict: {text} ms  (the slowest rank's in each of {args.repeat})")

    # check
    inference.step("check")
    check = {"result": "none", "reason": f"--check {args.check}" if args.check == "off" else f"no {args.model_path}"}
    if reference:
        expected = comm.bcast(everywhere(unsharded_outputs, comm, reference, arrays))
        dtypes = [each.dtype for each in reference.outputs]
        check = inference.check(comm, expected, outputs, dtypes, reference.path, tolerance(args))
    if inference.first(comm):
        finite = {
            key: value for key, value in check.items() if not (isinstance(value, float) and not np.isfinite(value))
        }
        report = {"model_path": args.model_path, "backend": args.backend, "ranks": comm.size, "build_ms": build_ms}
        report.update(
            first_predict_ms=times[0], predict_ms=figures, warmup=args.warmup, repeat=args.repeat, check=finite
        )
        save(args, report, outputs)
        print(inference.verdict(check), flush=True)
    if check["result"] == "FAIL":
        raise inference.Stop(inference.DIFFERENT, check["reason"], agreed=True)


if __name__ == "__main__":
    arguments = parse_arguments()
    inference.run(functools.partial(main, arguments), communicator(arguments))
