"""What a page needs beside it: it finds the rank's shard, fills inputs, prints outputs, and ends all ranks together.

Copy it along with the page. It needs nothing but Python's standard library and what the page passes to it.
"""

import contextlib
import json
import mmap
import os
import re
import sys
import time
import traceback

# exit statuses; run.sh's is that of the rank that failed first
OK, FAILED, REFUSED, UNAVAILABLE, DIFFERENT, TIMEOUT, INTERRUPTED = 0, 1, 2, 3, 4, 124, 130


class Stop(Exception):
    """An expected failure: the exit status, and one line that says what is wrong, where, and what to do."""

    def __init__(self, status, message):
        super().__init__(message)
        self.status = status


def world():
    """Return mpi4py's COMM_WORLD; raise Stop (status 3) if mpirun is another MPI's, which leaves every rank alone."""
    # Open MPI 4 sleeps for a second when it closes its component `ofi`, which only one-sided transfers use
    settings = {} if "OMPI_MCA_btl" in os.environ else {"OMPI_MCA_btl": "^ofi"}
    if "OPAL_PREFIX" not in os.environ and os.path.exists(os.path.join(sys.prefix, "bin", "orted")):
        settings["OPAL_PREFIX"] = sys.prefix  # PyPI's Open MPI learns only from its own mpirun where it is
    os.environ.update(settings)
    try:
        from mpi4py import MPI
    except (ImportError, RuntimeError) as error:  # RuntimeError: its wheels find no MPI
        advice = f"{sys.executable} -m pip install mpi4py, with mpicc on the PATH"
        raise Stop(UNAVAILABLE, f"mpi4py can't be imported: {error}: {advice}") from None
    finally:
        for name in settings:
            del os.environ[name]  # not for this process's children
    names = ("OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "LAUNCH_SIZE", "SLURM_STEP_NUM_TASKS")
    sizes = [os.environ[name] for name in names if name in os.environ]
    if sizes and int(sizes[0]) != MPI.COMM_WORLD.size:
        seen = f"{sizes[0]} ranks were started, but mpi4py sees {MPI.COMM_WORLD.size}"
        advice = f"start with the mpirun of {MPI.get_vendor()[0]}, which mpi4py was built with"
        if "SLURM_PROCID" in os.environ:
            advice += ", or set SLURM_MPI_TYPE to what `srun --mpi=list` has for it"
        raise Stop(UNAVAILABLE, f"{seen}: {advice}")
    for launcher, variable, sign in (("torchrun", "WORLD_SIZE", "LOCAL_RANK"), ("msrun", "MS_WORKER_NUM", "MS_ROLE")):
        size = os.environ.get(variable, "1")
        if not sizes and sign in os.environ and size != "1":
            advice = f"mpirun starts CPU and GPU ranks: ./run.sh, or mpirun -n {size} python3 {sys.argv[0]}"
            raise Stop(REFUSED, f"{launcher} started this ({variable}={size}): {advice}")
    return MPI.COMM_WORLD


def insert(model_path, rank):
    """Return the shard's name, "X1.mindir" for "X.mindir" and rank 1; {rank} in the path says where the number goes."""
    if not model_path.endswith(".mindir"):
        raise Stop(REFUSED, f"--model_path {model_path}: must end in .mindir, as MindSpore exports one file per rank")
    if "{rank}" in model_path:
        return model_path.replace("{rank}", str(rank))
    return re.sub(r"(_graph)?\.mindir$", lambda ending: f"{rank}{ending.group()}", model_path)


def find(path):
    """Return the file of the model X.mindir, which is X_graph.mindir for a large export; "" if neither is there."""
    return next((name for name in (path, f"{path[:-7]}_graph.mindir") if os.path.isfile(name)), "")


def count_shards(model_path):
    """Return how many shards there are, counted from rank 0's up to the first gap."""
    count = 0
    while find(insert(model_path, count)):
        count += 1
    return count


def shard_path(model_path, rank, size):
    """Return the path of this rank's shard; raise Stop (status 2) unless there are exactly as many shards as ranks."""
    started = f"{size} ranks were" if size > 1 else "1 rank was"
    missing = [insert(model_path, number) for number in range(size) if not find(insert(model_path, number))]
    if missing:
        raise Stop(REFUSED, f"{missing[0]}: no such file, and {started} started: each needs its shard")
    if find(insert(model_path, size)):
        more = insert(model_path, size)
        raise Stop(REFUSED, f"{more} is there as well, but {started} started: start one per shard")
    return find(insert(model_path, rank))


def dtype(tensor):
    """Return the dtype of a mindspore_lite Tensor as NumPy names it."""
    return tensor.dtype.name.lower()


def fill(inputs, arrays):
    """Put the arrays, in the inputs' order, into the model's input Tensors, in any version of mindspore_lite.

    Each must have its input's dtype and shape, which mindspore_lite itself doesn't check; Stop (status 2) otherwise.
    The Tensors use the arrays' own memory, not a copy: the next predict sees whatever has changed there.
    """
    if len(inputs) != len(arrays):
        raise Stop(REFUSED, f"{len(arrays)} arrays for {len(inputs)} inputs")
    for tensor, array in zip(inputs, arrays):
        wanted, given = (dtype(tensor), tuple(tensor.shape)), (array.dtype.name, array.shape)
        if wanted != given:
            raise Stop(REFUSED, f"input {tensor.name} takes {wanted[0]} {wanted[1]}, given {given[0]} {given[1]}")
        # in C's order and this machine's byte order; view: NumPy has two 64-bit integer types, and one is refused
        tensor.set_data_from_numpy(array.astype(wanted[0], order="C", copy=False).view(wanted[0]))
    return inputs


def describe(outputs):
    """Return the lines that show the outputs: name, size in bytes, number of elements, and the first ten values."""
    lines = []
    for output in outputs:
        name, size, count = output.name.rstrip(), output.data_size, output.element_num
        lines.append(f"tensor's name is:{name} data size is:{size} tensor elements num is:{count}")
        data = output.get_data_to_numpy().ravel()
        lines.append("output data is: " + "".join(f"{value} " for value in data[:10]))
    return lines


# How run.sh's launcher follows this rank: the rank's step is in a page of memory, the reason for a failure in a file

FOLDER = os.environ.pop("LAUNCH_FOLDER", "")  # popped: not for this process's children
STEP, PLACE = 96, 32  # bytes of the step, and of the place in it


def _open_page():
    if not FOLDER:
        return bytearray(STEP + PLACE)
    with open(os.path.join(FOLDER, "step"), "r+b") as file:
        return mmap.mmap(file.fileno(), STEP + PLACE)


PAGE = _open_page()


def step(text):
    """Say what this rank is doing, such as "build" or "predict 3 of 10": the launcher has a limit for each step."""
    PAGE[:] = text.encode(errors="replace")[:STEP].ljust(STEP + PLACE, b"\0")


def place(text):
    """Say where in its step this rank is, in at most 32 bytes: this tells a rank that hangs from those that wait."""
    PAGE[STEP:] = text[:PLACE].ljust(PLACE, b"\0")


def run(main):
    """Call main() and end the process; a failure is one line on stderr and an exit status, and ends all ranks."""
    status, message = OK, ""
    try:
        main()
    except KeyboardInterrupt:
        status, message = INTERRUPTED, "interrupted"
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else FAILED if end.code else OK
        message = f"exit {end.code}" if status else ""
    except Stop as error:
        status, message = error.status, " ".join(str(error).split())
    except Exception as error:
        _print_error(traceback.format_exc().rstrip())
        status, message = FAILED, " ".join(f"{type(error).__name__}: {error}".split())
    try:
        sys.stdout.flush()
    except (OSError, ValueError) as error:  # what was printed is lost
        status, message = status or FAILED, message or f"stdout: {error}"
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # else Python would fail to flush it once more
    if status:
        fail(status, message)
    step("exit")


def fail(status, message):
    """End all ranks with this status and one line on stderr."""
    if FOLDER:  # the launcher ends the others, and MPI needn't wait for any of them
        _print_error(message)
        with open(os.path.join(FOLDER, "failing"), "w") as file:
            json.dump({"status": status, "message": message, "time": time.time()}, file)
        os.rename(os.path.join(FOLDER, "failing"), os.path.join(FOLDER, "failure"))
        os._exit(status)
    MPI = getattr(sys.modules.get("mpi4py"), "MPI", None)
    joined = bool(MPI) and MPI.Is_initialized() and not MPI.Is_finalized() and MPI.COMM_WORLD.size > 1
    rank = next((os.environ[name] for name in ("OMPI_COMM_WORLD_RANK", "PMI_RANK") if name in os.environ), "")
    if rank not in ("", "0"):  # where all ranks fail alike, rank 0's line is enough: it ends the others meanwhile,
        time.sleep(0.5 if joined else 5)  # at once by Abort, or within a second or two by its exit status
    _print_error(f"rank {rank}: {message}" if rank and not message.startswith("rank ") else message)
    if joined:
        MPI.COMM_WORLD.Abort(status)
    os._exit(status)


def _print_error(text):
    """Write a line to stderr, as bytes since a path in it may not be UTF-8; a closed stderr is no failure."""
    with contextlib.suppress(OSError, ValueError, AttributeError):
        sys.stderr.flush()
    with contextlib.suppress(OSError):
        os.write(2, f"{text}\n".encode(errors="surrogateescape"))
