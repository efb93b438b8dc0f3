"""This suite and what a user would pick instead, on the same work, in one run: benchmarks/run.sh calls this.

    compare.py --models=FOLDER --plot=FILE.png [--ranks=2] [--works=WORK,...] [--peers=suite,eager] [--turns=12]

FOLDER has WORK/Model.mindir, as benchmarks/run.sh exports them. $PYTHON is the suite's, $PEERS one that has
benchmarks/requirements.txt; with GPU=1 in the environment they run on GPUs. --works takes some of the folders, --peers
those whose name has one of these words.

Of each piece of work, all peers are started, their results compared with float64, and then they predict in turn: A B C
A B C ..., a fraction of a second each, the other ones asleep. A predict goes from the inputs in the host's memory to
the result there, on every rank; its time is its slowest rank's. Memory is that of the rank that has most. The ratio is
a peer's time over the first one's in the same turn, the median; above 1 the first one is faster.
"""

import json
import os
import subprocess
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas
import work

SUITE, OTHERS, GPU = os.environ["PYTHON"], os.environ["PEERS"], bool(os.environ.get("GPU"))
SECONDS, MOST = 0.25, 100  # of a peer's turn: its length, and predicts in it at most
PEERS = {  # name: (Python, script, how)
    "suite": (SUITE, "peer_suite.py", "suite"),
    "plain script": (SUITE, "peer_suite.py", "plain"),
    "PyTorch eager": (OTHERS, "peers.py", "eager"),
    "PyTorch compiled": (OTHERS, "peers.py", "compiled"),
    "ONNX Runtime + mpi4py": (OTHERS, "peers.py", "onnx"),
    "NumPy + mpi4py": (OTHERS, "peers.py", "numpy"),  # the products only
    "unsharded, all cores": (SUITE, "peer_suite.py", "unsharded"),
    "unsharded, one thread": (SUITE, "peer_suite.py", "one"),
}
ON_GPUS = list(PEERS)[:4]
HEAD = ["work", "peer", "error", "p50 ms", "p90", "p99", "ratio", "start s", "peak MiB", "GPU MiB"]


def command(python, script, ranks, *words):
    return [*work.mpirun(python, ranks), work.ROOT / "benchmarks" / script, *words]


class Peer:
    """The ranks of a peer: asked by a pipe each, they answer through mpirun's output."""

    def __init__(self, peer, args, name, pipe):
        python, script, how = peer
        ranks = 1 if how in ("unsharded", "one") else args.ranks
        for rank in range(ranks):
            os.mkfifo(f"{pipe}.{rank}")
        self.pipes = [os.open(f"{pipe}.{rank}", os.O_RDWR) for rank in range(ranks)]  # reading, too: without waiting
        before, start = work.gpu_mib(), time.monotonic()
        words = command(python, script, ranks, args.models, name, how, pipe)
        self.process, self.turns = subprocess.Popen(words, stdout=subprocess.PIPE, text=True), []
        answer = self.answer()
        seconds, gpu_mib = time.monotonic() - start, max(np.subtract(work.gpu_mib(), before), default=np.nan)
        self.error, mib = answer.get("error", np.nan), answer.get("mib", np.nan)
        self.costs = [f"{seconds:.1f}", f"{mib:.0f}", f"{gpu_mib:.0f}"]
        tolerance = 5e-3 if GPU else 5e-5 if name.startswith("minilm") else 1e-5  # TF32; mindspore_lite's GELU
        self.is_right = self.error <= tolerance  # no time for a wrong result
        if self.is_right:
            self.count = int(np.clip(SECONDS * 1e3 / np.median(self.predict(3)), 3, MOST))

    def answer(self):
        return json.loads(next((line for line in self.process.stdout if line.startswith("{")), "{}"))

    def predict(self, count):
        """Return the milliseconds of so many predicts, after two that find cold caches."""
        for pipe in self.pipes:
            os.write(pipe, b"%d\n" % (count + 2))
        return self.answer()["ms"][2:]

    def end(self):
        for pipe in self.pipes:
            os.close(pipe)
        self.process.wait()


def measured(name, args, folder):
    """Return {peer's name: Peer}, each with the times of its turns at this piece of work."""
    subprocess.run(command(OTHERS, "peers.py", 1, args.models, name, "expected", f"{folder}/{name}"), check=True)
    labels = [label for label in (ON_GPUS if GPU else PEERS) if any(word in label for word in args.peers.split(","))]
    if name.startswith("minilm"):
        labels = [label for label in labels if not label.startswith("NumPy")]
    peers = {label: Peer(PEERS[label], args, name, f"{folder}/{name}-{labels.index(label)}") for label in labels}
    running = [peer for peer in peers.values() if peer.is_right]
    for turn in range(args.turns):
        for peer in running[:: 1 if turn % 2 else -1]:
            peer.turns.append(peer.predict(peer.count))
    for peer in peers.values():
        peer.end()
    return peers


def rows(peers, ratios):
    """Yield the peers' cells in the table; have ratios[label] take their ratios."""
    first = next(iter(peers.values()))
    for label, peer in peers.items():
        ratios[label] = np.median([np.median(a) / np.median(b) for a, b in zip(peer.turns, first.turns)] or np.nan)
        times = [f"{ms:.3f}" for ms in np.percentile(np.concatenate(peer.turns or [[np.nan]]), [50, 90, 99])]
        error = f"{peer.error:.0e}" if peer.is_right else f"failed: {peer.error:.0e}, status {peer.process.returncode}"
        yield [label, error, *times, f"{ratios[label]:.2f}", *peer.costs]


def draw(ratios, path):
    """Plot {work: {peer: ratio}} as bars from 1, up or down."""
    frame = pandas.DataFrame(ratios).T
    axes = (frame.iloc[:, 1:] - 1).plot.bar(bottom=1, width=0.8, rot=20, figsize=(11, 4.5))
    axes.axhline(1, color="black", linewidth=1)
    axes.set_yscale("log", base=2)
    axes.yaxis.set_major_formatter("{x:g}")
    axes.set_ylabel(f"time ÷ that of: {frame.columns[0]} (above 1: slower)")
    axes.legend(fontsize=8, loc="lower center", bbox_to_anchor=(0.5, 1), ncols=4, frameon=False)
    axes.figure.savefig(path, dpi=110, bbox_inches="tight")


def main():
    args = work.options(__doc__, models=Path, plot=Path, ranks=2, works="", peers="", turns=12)
    there = sorted(path.parent.name for path in args.models.glob("*/Model.mindir"))
    names = args.works.split(",") if args.works else there
    ratios = {name: {} for name in names}
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        limits = command(OTHERS, "peers.py", args.ranks, args.models, "", "limits", f"{folder}/limits")
        subprocess.run(limits, check=True)
        print(f"\n![Times divided by those of the first]({args.plot.name})\n")
        found = ([name, *row] for name in names for row in rows(measured(name, args, folder), ratios[name]))
        work.table(HEAD, found)
    draw(ratios, args.plot)


main()
