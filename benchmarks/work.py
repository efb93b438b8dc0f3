"""What is computed in every benchmark, and how every peer is timed: read by all peers' Pythons, with NumPy alone.

A peer's rank makes a function predict() -> array and gives it to serve(). compare.py then asks all its ranks at once
for so many predicts, and goes on to the next peer, again and again, so that what slows the machine down meets all.
"""

import argparse
import json
import os
import subprocess
import tempfile
import time
from multiprocessing import connection
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
MATMULS = {  # name: (M, K, N) of x (M, K) w (K, N), w's columns over two ranks, the result whole on each of them
    "small": (4, 256, 128),
    "large": (256, 4096, 4096),
    "large_gpu": (2048, 8192, 8192),
    "decode": (16, 16384, 8192),
}
# name: (batch, tokens) of all-MiniLM-L6-v2, sums over the ranks after attention and feed-forward
MINILMS = {"minilm_8x128": (8, 128), "minilm_8x32": (8, 32), "minilm_1x128": (1, 128), "minilm_1x32": (1, 32)}
VOCABULARY = 30522


def options(text, others=False, **defaults):
    """Return the command line's --name=value as attributes, and as `others`, where they may be, all others.

    A default that is a type says that the option has to be given. `text` is the help.
    """
    form = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=text, formatter_class=form, allow_abbrev=False)
    for name, default in defaults.items():
        kind = default if isinstance(default, type) else type(default)
        parser.add_argument(f"--{name}", type=kind, default=default, required=kind is default, help=f"({default})")
    known, known.others = parser.parse_known_args()
    if known.others and not others:
        parser.error(f"no such option: {' '.join(known.others)}")
    return known


def run_sh(model_path, *words):
    """Start run.sh once; return (seconds in all, its report, why it failed or "")."""
    with tempfile.TemporaryDirectory(prefix="run-") as folder:
        report, start = Path(folder, "report.json"), time.monotonic()
        command = [f"{ROOT}/run.sh", f"--model_path={model_path}", f"--json={report}", f"--log_dir={folder}/logs"]
        done = subprocess.run([*command, *words], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, check=False)
        seconds, lines = time.monotonic() - start, done.stderr.decode(errors="replace").splitlines()
        found = json.loads(report.read_text()) if report.exists() else {"check": {}}
    of_ranks = [line for line in lines if line.startswith("rank ")]
    why = found["check"].get("reason") or "".join(of_ranks[:1] or lines[-1:])
    return seconds, found, f"{done.returncode}: {why}" if done.returncode else ""


def in_turns(title, unit, rounds, **peers):
    """Call the peers in turn, each of which returns a figure; print the medians, and the first one's against others."""
    found = {name: [] for name in peers}
    for _ in range(rounds):
        for name, measure in peers.items():
            found[name].append(measure())
    first, mine = next(iter(found.items()))
    for name, theirs in found.items():
        more, ratio = np.median(np.subtract(mine, theirs)), np.median(np.divide(mine, theirs))
        against = "" if name == first else f"; {first} {more:+.3f} {unit}, {ratio:.3f} times that"
        print(f"{title}: {name} {np.median(theirs):.3f} {unit}{against}")
    print(f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores", flush=True)


def mpirun(python, ranks):
    """Return the words that start this Python on so many ranks, by the mpirun that was installed with it."""
    own = Path(python).with_name("mpirun")
    more = ["--oversubscribe"] * (ranks > os.cpu_count())
    return [str(own if own.exists() else "mpirun"), "--quiet", *more, "--bind-to", "none", "-n", str(ranks), python]


def model_path(folder, work):
    """Return the path of the model X.mindir whose shards are X0.mindir, X1.mindir, ..."""
    return Path(folder, work, f"{'MiniLM' if work in MINILMS else 'Matmul'}.mindir")


def columns(work, rank):
    """Return the columns (K, N / 2) of w that a rank of two has."""
    _, k, n = MATMULS[work]
    return np.random.default_rng(10 + rank).standard_normal((k, n // 2), dtype=np.float32)


def inputs(work):
    """Return the model's inputs in their order."""
    if work in MATMULS:
        return [np.random.default_rng(1).standard_normal(MATMULS[work][:2], dtype=np.float32)]
    batch, length = MINILMS[work]
    random = np.random.RandomState(2)
    mask = (np.arange(length) < random.randint(length // 2, length + 1, (batch, 1))).astype(np.int32)
    return [(random.randint(1000, VOCABULARY, (batch, length)) * mask).astype(np.int32), mask]


def pin(rank, ranks):
    """Give this rank a core of its own, and one thread, as all peers have; of one rank alone it is the first core."""
    cores = sorted(os.sched_getaffinity(0))
    if ranks <= len(cores):
        os.sched_setaffinity(0, {cores[rank]})


def serve(address, rank, barrier, predict, about=""):
    """Show compare.py this rank's result, then predict as often as it asks, until it hangs up."""
    for _ in range(3):  # compiled in the first ones
        result = np.ascontiguousarray(predict())
    line = connection.Client(address, "AF_UNIX")
    line.send((rank, about, result))
    while True:
        try:
            count = line.recv()
        except EOFError:
            return
        seconds = []
        for _ in range(count):
            barrier()
            start = time.perf_counter()
            predict()
            seconds.append(time.perf_counter() - start)
        line.send(seconds)
