"""The steps that every back end shares: find the rank's shard, fill the inputs, predict, print, check the result.

A script of one back end needs this file beside it and nothing else of the suite (the CPU's: ranks.py, mindir/ too).
`comm` is the ranks' communicator, mpi4py's COMM_WORLD or, for a process that knows of no others, `alone()`.
"""

import argparse
import ctypes
import faulthandler
import mmap
import os
import re
import signal
import sys
import tempfile
import time
import traceback
import types

import mindspore_lite as mslite
import numpy as np

OK, FAILED, REFUSED, UNAVAILABLE, DIFFERENT = 0, 1, 2, 3, 4  # exit statuses
# largest allowed |result - expected| / max |expected| by the dtype that the file gives an output; others must be equal
TOLERANCE = {"float16": 1e-2, "bfloat16": 1e-2, "float32": 1e-5, "float64": 1e-5}  # float64 is computed in float32
# what marks the processes that each starts; launch.py's own comes last, for what says nothing else (srun with PMIx)
LAUNCHERS = {"OMPI_COMM_WORLD_": "Open MPI", "PMI_": "MPICH or a relative", "LAUNCH_": "srun"}


STEP, WITHIN = 96, 128  # bytes of the page shared with launch.py: the rank's step, where in it, then how it failed


def _shared_page():
    """Return the page of memory that launch.py reads, if that started this process."""
    if "LAUNCH_PAGE" not in os.environ:
        return bytearray(4096)
    return mmap.mmap(int(os.environ.pop("LAUNCH_PAGE")), 4096)  # popped: not for this process's children


PAGE = _shared_page()


class Stop(Exception):
    """A failure that was foreseen: what is wrong, where, and what to do, in one line, and the exit status.

    `agreed` says that every rank stops here with the same words, so that only one needs to say them.
    """

    def __init__(self, status, message, agreed=False):
        super().__init__(message)
        self.status, self.agreed = status, agreed


def argument_parser(text):
    """Return a parser with the idea and the usage in its help: the first two paragraphs of a script's text."""
    idea, usage = text.split("\n\n")[:2]
    return argparse.ArgumentParser(
        description=idea,
        epilog=f"example:\n{usage}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )


# The ranks


def step(text):
    """Tell launch.py what this rank does now, such as "build" or "predict 3 of 10": it has a time limit for each."""
    PAGE[:WITHIN] = text.encode()[:STEP].ljust(WITHIN, b"\0")


def say(status, message):
    """Tell launch.py why this process ends with this status: of several that end with the same words it shows one."""
    said = f"{status} {message}".encode()[: len(PAGE) - WITHIN]
    PAGE[WITHIN:] = said.ljust(len(PAGE) - WITHIN, b"\0")


def within(place):
    """Tell launch.py where in its step this rank is, in 32 bytes, so that who hangs is told from who waits for it."""
    PAGE[STEP:WITHIN] = place


def launched(what):
    """Return the rank ("RANK") or number of ranks ("SIZE") that mpirun gave this process; None if none started it."""
    return next((int(os.environ[mark + what]) for mark in LAUNCHERS if mark + what in os.environ), None)


def refuse(status, message):
    """End this process before the ranks know each other: one line on stderr, from the first rank of each server."""
    if isinstance(PAGE, mmap.mmap) or not int(os.environ.get("OMPI_COMM_WORLD_LOCAL_RANK", launched("RANK") or 0)):
        print(message, file=sys.stderr, flush=True)
    say(status, message)
    sys.exit(status)


def world(MPI):
    """Start MPI (mpi4py's module, not initialised yet) and return COMM_WORLD.

    Ends the process where mpirun is another MPI's than mpi4py's: every process would be rank 0 of 1.
    """
    size, vendor = launched("SIZE"), MPI.get_vendor()[0]
    starter = next((name for mark, name in LAUNCHERS.items() if f"{mark}SIZE" in os.environ), vendor)
    stranger = (starter == "Open MPI") != (vendor == "Open MPI") and "SLURM_PROCID" not in os.environ
    orted = os.path.join(sys.prefix, "bin", "orted")
    if starter == vendor == "Open MPI" and os.path.exists(orted):
        os.environ.setdefault("OPAL_PREFIX", sys.prefix)  # where PyPI's Open MPI is: it knows from mpirun only
    if not stranger and not MPI.Is_initialized():
        MPI.Init_thread(MPI.THREAD_FUNNELED)
    seen = 1 if stranger else MPI.COMM_WORLD.size
    if size in (None, seen):
        return MPI.COMM_WORLD
    if starter == "srun":
        advice = "set SLURM_MPI_TYPE (srun --mpi=list shows which there are), or leave --launcher srun out"
        message = f"srun started {size} ranks, but mpi4py would see {seen}: Slurm and its {vendor} don't meet: {advice}"
        return refuse(UNAVAILABLE, message)
    mpirun = os.path.join(os.path.dirname(sys.executable), "mpirun")
    mine = f" ({mpirun})" if os.path.exists(mpirun) else ""
    return refuse(
        UNAVAILABLE,
        f"mpirun started {size} ranks, but mpi4py would see {seen}: that mpirun is {starter}'s, mpi4py was built "
        f"with {vendor}: start with the mpirun of {vendor}{mine}",
    )


def alone(rank=0, size=1):
    """Return what stands for a communicator in a process that can't talk to the other ranks."""
    return communicator(rank, size, [rank], lambda value: [value])


def joined(rank, size, here, folder):
    """Return what stands for a communicator among the ranks `here`, those of one server, that launch.py started.

    The first of them listens on a socket in the folder and hands round what they send. Where one is lost the others
    wait until launch.py ends them.
    """
    from multiprocessing import connection

    path = f"/proc/self/fd/{os.open(folder, os.O_RDONLY)}/hub"  # a socket's path has 108 bytes at most
    peers = []

    def allgather(value):
        try:
            if not peers and rank == here[0]:
                with connection.Listener(path, "AF_UNIX", len(here)) as listener:
                    peers.extend(listener.accept() for _ in here[1:])
            while not peers and rank != here[0]:
                try:
                    peers.append(connection.Client(path, "AF_UNIX"))
                except (FileNotFoundError, ConnectionRefusedError):
                    time.sleep(0.02)  # the first isn't there yet
            if rank != here[0]:
                peers[0].send((here.index(rank), value))
                return peers[0].recv()
            values = dict(peer.recv() for peer in peers)
            values[0] = value
            for peer in peers:
                peer.send([values[index] for index in range(len(here))])
            return [values[index] for index in range(len(here))]
        except (EOFError, ConnectionError):
            while True:  # one is lost, and launch.py says which
                signal.pause()

    return communicator(rank, size, here, allgather if len(here) > 1 else lambda value: [value])


def communicator(rank, size, here, allgather):
    """Return an object with what is used here of mpi4py's communicators, among the ranks `here` of all `size`."""
    return types.SimpleNamespace(
        rank=rank,
        size=size,
        here=here,
        allgather=allgather,
        bcast=lambda value: allgather(value)[0],
        Barrier=lambda: allgather(None),
        Abort=sys.exit,
    )


def first(comm):
    """Return whether this rank is the one that prints, checks and writes, for those that it can talk to."""
    return comm.rank == getattr(comm, "here", [0])[0]


def together(comm, function, *arguments):
    """Return function(*arguments), called on every rank; all raise the first failure of any, so that none waits."""
    result = failure = None
    try:
        result = function(*arguments)
    except Exception as error:
        if not hasattr(error, "status"):  # unforeseen: run() ends all ranks
            raise
        failure = error.status, line(comm.rank, error)
    everyone = comm.allgather(failure)
    failures = [each for each in everyone if each]
    if failures:
        raise Stop(*failures[0], agreed=len(everyone) > 1)
    return result


def line(rank, error):
    """Return the one line that says what failed, with the rank that it failed on."""
    message = " ".join(str(error).split())
    return message if message.startswith("rank ") else f"rank {rank}: {message}"


def run(main, comm):
    """Call main(comm) and end the process: any failure is one line on stderr and its exit status, and no rank waits."""
    agreed, status, message = False, OK, None
    if isinstance(PAGE, mmap.mmap):  # launch.py asks so what a rank does that takes too long
        faulthandler.register(signal.SIGUSR1)
    try:
        main(comm)
    except KeyboardInterrupt:
        status, message = 130, "interrupted"
    except SystemExit as error:
        if error.code not in (None, 0):
            status = error.code if isinstance(error.code, int) else FAILED
            message = f"exit {error.code}"
        elif isinstance(PAGE, mmap.mmap):  # before its work is done: launch.py says in which step
            os._exit(OK)
    except Exception as error:
        agreed, status, message = getattr(error, "agreed", False), getattr(error, "status", None), error
        if status is None:
            traceback.print_exc()
            status, message = FAILED, f"{type(error).__name__}: {error}"
    try:
        sys.stdout.flush()
    except OSError as error:  # what was printed is lost: a failure, unless there was one already
        status, message = status or FAILED, message or f"{type(error).__name__}: {error}"
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # Python flushes once more, and would end with 120
    if message and (first(comm) or not agreed):
        print(line(comm.rank, message), file=sys.stderr, flush=True)
    if message and isinstance(PAGE, mmap.mmap):  # launch.py ends the others, without MPI's waiting for any of them
        say(status, line(comm.rank, message))
        os._exit(status)
    if message and not agreed and comm.size > 1:
        comm.Abort(status)
    step("exit")
    sys.exit(status)


# The files


def insert(model_path, text):
    """Return "X1.mindir" for "X.mindir" and 1; only the final .mindir takes the rank's number."""
    stem, ending = (model_path[:-7], model_path[-7:]) if model_path.endswith(".mindir") else (model_path, "")
    if not ending:
        raise Stop(REFUSED, f"--model_path {model_path}: must end in .mindir")
    if stem.endswith("_graph"):
        stem, ending = stem[: -len("_graph")], "_graph" + ending
    return f"{stem}{text}{ending}"


def existing(path):
    """Return the file of the model X.mindir, which is X_graph.mindir for a large export; None if there is neither."""
    return next((each for each in (path, path[: -len(".mindir")] + "_graph.mindir") if os.path.isfile(each)), None)


def shard_path(model_path, comm):
    """Return the path of the rank's shard, `models/Matmul1.mindir` for `models/Matmul.mindir` on rank 1.

    Raises Stop, on every rank, unless there are exactly as many shards as ranks.
    """
    return together(comm, _shard_path, model_path, comm.rank, comm.size)


def _shard_path(model_path, rank, size):
    count = 0
    while existing(insert(model_path, count)):
        count += 1
    missing = f"{insert(model_path, count)}: no such file"
    later = [each for each in range(count + 1, size) if existing(insert(model_path, each))]
    if later:
        raise Stop(REFUSED, f"{missing}, but {insert(model_path, later[0])} is there: copy it beside the others")
    if not count:
        number = re.search(r"\d+(_graph)?\.mindir$", model_path)
        hint = ", which is given without a rank's number" if number and existing(model_path) else ""
        raise Stop(REFUSED, f"{missing}: export one shard a rank, or correct --model_path ({model_path}){hint}")
    if count != size:
        shards, ranks = f"{count} shard{'s'[: count != 1]}", f"{size} rank{'s'[: size != 1]}"
        raise Stop(REFUSED, f"{model_path}: {shards}, started with {ranks}: start {count}, or export {size}")
    return existing(insert(model_path, rank))


def load_arrays(file):
    """Return {name: array} of an .npz file, {None: array} of an .npy file, None for no file."""
    if not file:
        return None
    try:
        data = np.load(file, allow_pickle=False)
        arrays = {None: data} if isinstance(data, np.ndarray) else dict(data)
        if not arrays or not all(isinstance(array, np.ndarray) for array in arrays.values()):
            raise ValueError("no arrays, or not arrays alone, are in it")
    except Exception as error:  # NumPy lets through whatever zipfile, ast and tokenize raise for a damaged file
        raise Stop(REFUSED, f"--input {file}: can't be read as .npy or .npz: {error}") from None
    for name, array in arrays.items():
        if array.dtype.kind == "f" and np.isnan(array).any():
            count = np.count_nonzero(np.isnan(array))
            raise Stop(REFUSED, f"--input {file}: {name or 'the array'} has {count} NaN among {array.size} values")
    return arrays


def check_readable(*files):
    """Make sure that the files are there to be read; None or "" stands for no file."""
    for file in filter(None, files):
        try:
            with open(file, "rb"):
                pass
        except OSError as error:
            raise Stop(REFUSED, f"{file}: can't be read: {error.strerror}") from None


def check_writable(*files):
    """Make sure that the files can be written when the work is done; None stands for no file."""
    for file in filter(None, files):
        try:
            file = os.path.realpath(file)
            if os.path.isdir(file):
                raise IsADirectoryError(0, "is a directory")
            tempfile.TemporaryFile(dir=os.path.dirname(file) or ".").close()
        except OSError as error:
            raise Stop(REFUSED, f"{file}: can't be written: {error.strerror or error}") from None


def write(file, save):
    """Write `file` as a whole or not at all: save(open file) writes it under another name first."""
    file = os.path.realpath(file)
    special = os.path.exists(file) and not os.path.isfile(file)  # a device or a pipe is written to, not replaced
    temporary = file if special else f"{file}.{os.getpid()}.tmp"
    try:
        with open(temporary, "wb") as opened:
            save(opened)
        if not special:
            os.replace(temporary, file)
    except OSError as error:
        raise Stop(FAILED, f"{file}: can't be written: {error.strerror or error}") from None
    finally:
        if not special and os.path.exists(temporary):
            os.remove(temporary)


# The walk


def dtype_of(tensor):
    """Return the NumPy dtype of a mindspore_lite Tensor."""
    return np.dtype(tensor.dtype.name.lower())


def new_tensor(array, name=""):
    """Return a mindspore_lite Tensor that holds the C-contiguous `array` without copying it."""
    tensor = mslite.Tensor()
    tensor.name, tensor.dtype, tensor.shape = name, mslite.DataType[array.dtype.name.upper()], list(array.shape)
    tensor.set_data_from_numpy(array.view(array.dtype.name))  # one of NumPy's two 64-bit integers isn't taken
    return tensor


def short_name(name):
    """Return an input's name without what MindSpore may put before it: a scope up to ':' and the letter \u0444."""
    return name.rstrip().rsplit(":", 1)[-1].lstrip("\u0444")


def fill_inputs(model, inputs, arrays=None):
    """Fill the model's inputs with ones, each in its own dtype, or with `arrays` as load_arrays() returns them.

    Returns the inputs and the arrays, in the inputs' order. Raises Stop where a name, dtype or shape doesn't fit.
    """
    arrays = dict(arrays or {})
    names = [short_name(each.name) for each in inputs]
    if None in arrays and len(inputs) == 1:
        arrays = {names[0]: arrays[None]}
    elif None in arrays:
        raise Stop(REFUSED, f"--input: one array, but the inputs are {', '.join(names)}: give an .npz with them")
    if arrays and set(arrays) != set(names):
        given = ", ".join(sorted(arrays))
        raise Stop(REFUSED, f"--input has {given}, the model takes {', '.join(names)}: name the arrays so")
    filled = []
    for name, tensor in zip(names, inputs):
        dtype, shape = dtype_of(tensor), tensor.shape
        if not arrays and -1 in shape:
            raise Stop(REFUSED, f"input {name} has the open shape {shape}: give its data with --input")
        array = np.ascontiguousarray(arrays[name]) if arrays else np.ones(shape, dtype)
        array = array.reshape(arrays[name].shape) if arrays else array  # ascontiguousarray makes 0 dimensions 1
        fits = len(shape) == array.ndim and all(want in (-1, got) for want, got in zip(shape, array.shape))
        if array.dtype != dtype or not fits or not array.size:
            given = f"{array.dtype} {list(array.shape)}"
            raise Stop(REFUSED, f"--input: {name} is {given}, the model takes {dtype} {shape}")
        filled.append(array)
    if any(-1 in tensor.shape for tensor in inputs):
        model.resize(inputs, [list(array.shape) for array in filled])
        inputs = model.get_inputs()
    for tensor, array in zip(inputs, filled):
        tensor.set_data_from_numpy(array.view(array.dtype.name))  # one of NumPy's two 64-bit integers isn't taken
    return inputs, filled


def keep_memory():
    """Have malloc keep what is freed: fresh pages for every stage's outputs cost more than the stage itself."""
    libc = ctypes.CDLL(None)
    if hasattr(libc, "mallopt"):  # glibc
        libc.mallopt(-1, -1)  # M_TRIM_THRESHOLD: never give memory back ...
        libc.mallopt(-4, 0)  # M_MMAP_MAX: ... and take none that has to be


def timed_predict(model, inputs, comm, warmup=0, repeat=1, lock=None):
    """Predict `warmup` + `repeat` times; return the last outputs and the milliseconds of every predict.

    The ranks start every predict together, and its time is the slowest rank's. `lock` is called with the arrays of the
    first outputs, which come to lie in two places in turn.
    """
    times = []
    for index in range(warmup + repeat):
        step(f"predict {index + 1} of {warmup + repeat}")
        comm.Barrier()
        start = time.perf_counter()
        outputs = model.predict(inputs)
        times.append((time.perf_counter() - start) * 1e3)
        if lock and index < 3:
            lock([each.get_data_to_numpy() for each in outputs])
    return outputs, np.max(comm.allgather(np.array(times)), axis=0)


def statistics(times):
    """Return p50, p90, p99 and mean of the times."""
    p50, p90, p99 = np.percentile(times, [50, 90, 99])
    return {"p50": p50, "p90": p90, "p99": p99, "mean": np.mean(times)}


def describe(outputs):
    """Return the lines that show the outputs: name, size in bytes, number of elements, the first ten values."""
    lines = []
    for output in outputs:
        name, size, count = output.name.rstrip(), output.data_size, output.element_num
        lines.append(f"tensor's name is:{name} data size is:{size} tensor elements num is:{count}")
        data = output.get_data_to_numpy().ravel()
        lines.append("output data is: " + "".join(f"{value} " for value in data[:10]))
    return lines


def print_outputs(outputs, comm):
    """Print every rank's outputs, each rank's together, in the order of the ranks; each line carries its rank."""
    tag = f"rank {comm.rank}: " if comm.size > 1 else ""
    everyone = comm.allgather([tag + each for each in describe(outputs)])
    if first(comm):
        # in one piece, as others may write to the same terminal
        print("".join(f"{each}\n" for lines in everyone for each in lines), end="", flush=True)


# The check


def run_unsharded(path, arrays):
    """Return the outputs, as arrays, of the unsharded model on this process's CPU, given the inputs in order.

    mindspore_lite's CPU takes float16 as float32 and int64 as int32; the arrays are converted to what it takes.
    """
    context = mslite.Context()
    context.target = ["cpu"]
    context.cpu.thread_num = len(os.sched_getaffinity(0))
    model = mslite.Model()
    try:
        model.build_from_file(path, mslite.ModelType.MINDIR, context)
    except RuntimeError as error:
        message = f"{os.path.basename(path)}: the unsharded model doesn't build on the CPU: {error}"
        raise Stop(FAILED, f"{message} ([ERROR] lines above say why): correct it or --check=off") from None
    inputs = model.get_inputs()
    arrays = [np.ascontiguousarray(array, dtype_of(tensor)) for tensor, array in zip(inputs, arrays)]
    inputs, _ = fill_inputs(model, inputs, {short_name(tensor.name): array for tensor, array in zip(inputs, arrays)})
    return [output.get_data_to_numpy().copy() for output in model.predict(inputs)]


def compare(outputs, expected, dtypes, tolerances=TOLERANCE):
    """Compare arrays with the expected ones; return (largest error, its tolerance, what is wrong or None).

    The error of an output is max |output - expected| / max |expected|: relative to the output's largest value, as the
    ranks sum in another order than the unsharded model. Of several outputs, the one nearest to its tolerance is told.
    Integers and booleans have to be equal: their error is the share of elements that aren't.
    """
    if len(outputs) != len(expected):
        return float("inf"), 0.0, f"{len(outputs)} outputs, the unsharded model has {len(expected)}"
    worst = (0.0, tolerances.get(dtypes[0], 0.0) if dtypes else 0.0, None)
    for index, (output, right, dtype) in enumerate(zip(outputs, expected, dtypes)):
        tolerance, where = tolerances.get(dtype, 0.0), f"output {index}"
        if output.shape != right.shape:
            return float("inf"), tolerance, f"{where} has the shape {output.shape}, the unsharded model's {right.shape}"
        if output.dtype != ("float32" if dtype == "bfloat16" else dtype):  # which NumPy hasn't
            return float("inf"), tolerance, f"{where} is {output.dtype}, the unsharded model's {dtype}"
        exact = float(np.count_nonzero(output != right)) / max(output.size, 1)  # the share that isn't equal
        output, right = output.astype(np.float64), right.astype(np.float64)
        for values, whose in ((output, where), (right, f"{where} of the unsharded model")):
            if not np.isfinite(values).all():
                count = np.count_nonzero(~np.isfinite(values))
                return float("nan"), tolerance, f"{whose} has {count} values that aren't finite among {values.size}"
        error = float(np.max(np.abs(output - right), initial=0) / (np.max(np.abs(right), initial=0) or 1))
        error = error if tolerance else exact
        if not error <= tolerance:
            return error, tolerance, f"{where} differs: max error {error:.1e} (tolerance {tolerance:.0e})"
        if error * (worst[1] or 1) >= worst[0] * (tolerance or 1):
            worst = (error, tolerance, None)
    return worst


def check(comm, expected, outputs, dtypes, path, tolerances=TOLERANCE):
    """Compare every rank's outputs with those expected of the unsharded model `path`, whose file says their dtypes.

    Returns, on every rank, {"result": "PASS" or "FAIL", "max_error", "tolerance", "against", "reason"}, of the rank
    that is furthest off.
    """
    mine = compare([each.get_data_to_numpy() for each in outputs], expected, dtypes, tolerances)
    everyone = comm.allgather((comm.rank, mine))
    results = [each for _, each in everyone]
    wrong = [(rank, each) for rank, each in everyone if each[2]]
    rank, (error, tolerance, reason) = (
        wrong[0] if wrong else (0, max(results, key=lambda each: each[0] / (each[1] or 1)))
    )
    if reason:
        reason = f"rank {rank}: {reason}: the result isn't that of {path}"
    result = "FAIL" if wrong else "PASS"
    return {"result": result, "max_error": error, "tolerance": tolerance, "against": path, "reason": reason}


def verdict(check):
    """Return the line that ends a run."""
    if check["result"] == "none":
        return f"check: none  ({check['reason']})"
    figures = f"max error {check['max_error']:.1e} (tolerance {check['tolerance']:.0e})"
    return f"check: {check['result']}  {figures} against {check['against']}"
