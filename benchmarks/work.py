"""What the benchmarks share: pieces of work, turns, times and tables. For any Python from 3.7 on, with NumPy."""

import argparse
import contextlib
import itertools
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
SMI = ["nvidia-smi", "--query-gpu=memory.used", "--format=csv,noheader,nounits"]


def options(text, **defaults):
    """Return the command line's --name=value over these defaults; a type has to be given. `text` is the help."""
    form = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=text, formatter_class=form, allow_abbrev=False)
    for name, default in defaults.items():
        kind = default if isinstance(default, type) else type(default)
        parser.add_argument(f"--{name}", type=kind, default=default, required=kind is default, help=f"({default})")
    return parser.parse_args()


def ms(function, *arguments, **options):
    """Return the milliseconds of a call."""
    start = time.perf_counter()
    function(*arguments, **options)
    return 1e3 * (time.perf_counter() - start)


def run_sh(model_path, *words, under=()):
    """Run run.sh; return its --json report, with "seconds", "peak_mib" of its largest process, and "failed", or why."""
    with tempfile.TemporaryDirectory(prefix="run-") as folder, open(f"{folder}/stderr", "w+") as stderr:
        files = [f"--model_path={model_path}", f"--json={folder}/report.json", f"--log_dir={folder}/logs"]
        start, command = time.monotonic(), [*under, f"{ROOT}/run.sh", *files, *words]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=stderr)
        _, status, usage = os.wait4(process.pid, 0)
        found = {"seconds": time.monotonic() - start, "peak_mib": usage.ru_maxrss / 1024, "failed": ""}
        if status:
            lines = Path(stderr.name).read_text().splitlines()
            why = next((line for line in lines if line.startswith("rank ")), lines[-1])
            found["failed"] = f"{os.WEXITSTATUS(status)}: {why}"
            print(found["failed"], file=sys.stderr)
        with contextlib.suppress(FileNotFoundError):
            found.update(json.loads(Path(folder, "report.json").read_text()))
    return found


def in_turns(rounds, peers):
    """Return {name: [result of each round]}: the peers' functions called in turn, A B C A B C ..."""
    found = {name: [] for name in peers}
    for _ in range(rounds):
        for name, measure in peers.items():
            found[name].append(measure())
    return found


def compare(title, unit, rounds, **peers):
    """Print the medians of the peers' figures, taken in turns, and how the first peer's compare with the others'."""
    found = in_turns(rounds, peers)
    first, mine = next(iter(found.items()))
    for name, theirs in found.items():
        more, ratio = np.median(np.subtract(mine, theirs)), np.median(np.divide(mine, theirs))
        against = "" if name == first else f"; {first} {more:+.3f} {unit}, {ratio:.3f} times that"
        print(f"{title}: {name} {np.median(theirs):.3f} {unit}{against}")
    print(f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores", flush=True)


def table(head, rows):
    """Print a Markdown table, each row as it is measured; return the rows."""
    shown = []
    for row in itertools.chain((head, ["---"] * len(head)), rows):
        print(f"| {' | '.join(map(str, row))} |", flush=True)
        shown.append(row)
    return shown[2:]


def mpirun(python, ranks):
    """Return the words that start this Python on so many ranks, by the mpirun that was installed with it."""
    own = Path(python).with_name("mpirun")
    more = ["--oversubscribe"] * (ranks > os.cpu_count())
    return [str(own if own.exists() else "mpirun"), "--quiet", *more, "--bind-to", "none", "-n", str(ranks), python]


def shape(work):
    """Return a piece of work's numbers. matmul_MxKxN: x (M, K) w (K, N), w's columns over the ranks, the result whole
    on each of them; minilm_BxL: all-MiniLM-L6-v2 of B sentences of L tokens, sums after attention and feed-forward.
    """
    return [int(number) for number in work.split("_")[1].split("x")]


def inputs(work):
    """Return the model's inputs in their order: x, or the tokens and their mask."""
    if work.startswith("matmul"):
        return [np.random.default_rng(1).standard_normal(shape(work)[:2], dtype=np.float32)]
    (batch, length), random = shape(work), np.random.RandomState(2)
    mask = (np.arange(length) < random.randint(length // 2, length + 1, (batch, 1))).astype(np.int32)
    return [(random.randint(1000, 30522, (batch, length)) * mask).astype(np.int32), mask]


def gpu_mib():
    """Return the memory in use on each NVIDIA GPU of this server."""
    return [float(mib) for mib in subprocess.check_output(SMI).split()] if shutil.which(SMI[0]) else []


def pin(comm):
    """Give this rank a core of its own, and one thread, as all peers have; of one rank alone it is the first core."""
    cores = sorted(os.sched_getaffinity(0))
    if comm.size <= len(cores):
        os.sched_setaffinity(0, {cores[comm.rank]})


def serve(comm, predict, expected, pipe):
    """Tell compare.py a rank's most memory and largest error; then predict as often as it asks, until it hangs up."""
    result, right = [np.array(predict()) for _ in range(3)][-1], np.load(expected)  # compiled in the first ones
    error = float(np.max(np.abs(result - right)) / np.max(np.abs(right)))
    error, mib = np.max(comm.allgather((error, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)), axis=0)
    if comm.rank == 0:
        print(json.dumps({"error": error, "mib": mib}), flush=True)
    with open(f"{pipe}.{comm.rank}") as counts:
        for count in counts:
            times = []
            for _ in range(int(count)):
                comm.Barrier()
                times.append(ms(predict))
            slowest = np.max(comm.allgather(times), axis=0)
            if comm.rank == 0:
                print(json.dumps({"ms": slowest.tolist()}), flush=True)
