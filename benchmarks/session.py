"""What does a Session cost? Its predict beside the same loop in the ranks, in turns, and a copy of the same bytes.

    python3 benchmarks/session.py
    python3 benchmarks/session.py --minilm models/MiniLM.mindir --rounds 9

Each round takes both once, on CPU ranks; the medians of all rounds are shown. The ranks of the one that waits sleep.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

root = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(root))
from suite import Session  # noqa: E402  (found only now)

LARGE = root / "tests" / "fixtures" / "dynamic" / "2" / "Net.mindir"  # 8 columns in, 8 out, any number of rows
ROWS = (64 << 20) // 8 // 4  # 64 MiB


def in_ranks(model_path, given, count, warmup, folder):
    """Return the median milliseconds of a predict in run.sh's own loop."""
    np.savez(f"{folder}/in.npz", **given)
    words = [f"--input={folder}/in.npz", f"--json={folder}/out.json", f"--log_dir={folder}/logs", "--check=off"]
    words += [f"--model_path={model_path}", "--backend=cpu", f"--repeat={count}", f"--warmup={warmup}"]
    subprocess.run([str(root / "run.sh"), *words], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    with open(f"{folder}/out.json") as file:
        return json.load(file)["predict_ms"]["p50"]


def in_session(model, given, count, warmup):
    """Return the median milliseconds of a Session's predict."""
    times = []
    for _ in range(warmup + count):
        start = time.perf_counter()
        model.predict(given)
        times.append((time.perf_counter() - start) * 1e3)
    return float(np.median(times[warmup:]))


def copying(given, count):
    """Return the median milliseconds that a copy of the inputs takes, into memory that is there."""
    arrays, times = [(array, array.copy()) for array in given.values()], []
    for _ in range(count):
        start = time.perf_counter()
        for array, copy in arrays:
            np.copyto(copy, array)
        times.append((time.perf_counter() - start) * 1e3)
    return float(np.median(times))


def compare(name, model_path, given, count, warmup, rounds):
    """Print the medians for a model, and what the Session takes more."""
    found = []
    with Session(model_path, backend="cpu", check=False) as model, tempfile.TemporaryDirectory() as folder:
        for _ in range(rounds):
            ranks = in_ranks(model_path, given, count, warmup, folder)
            found.append((ranks, in_session(model, given, count, warmup), copying(given, count)))
    ranks, session, copy = np.median(found, axis=0)
    more = np.median([theirs - mine for mine, theirs, _ in found])
    print(
        f"{name}: in the ranks {ranks:.3f} ms, Session {session:.3f} ms: {more:+.3f} ms, {session / ranks:.3f} of it;"
    )
    print(
        f"    a copy of the inputs {copy:.3f} ms; load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores", flush=True
    )


def main():
    idea, usage = __doc__.split("\n\n")[:2]
    form = {"formatter_class": argparse.RawDescriptionHelpFormatter, "allow_abbrev": False}
    parser = argparse.ArgumentParser(description=idea, epilog=f"examples:\n{usage}", **form)
    parser.add_argument("--minilm", metavar="X.mindir", default="", help="two shards of MiniLM, too (default: none)")
    parser.add_argument("--rounds", type=int, default=5, metavar="N", help="of each (default: 5)")
    args = parser.parse_args()
    draw = np.random.RandomState(1)
    product = {"x": draw.standard_normal((4, 256)).astype(np.float32)}
    compare("product 4x256x128", root / "models" / "Matmul.mindir", product, 1000, 100, args.rounds)
    if args.minilm:
        with Session(args.minilm, backend="cpu", check=False) as model:
            shapes = {value.name: value.shape for value in model.inputs}
        given = {name: draw.randint(0, 2, shape).astype(np.int32) for name, shape in shapes.items()}
        compare(f"MiniLM {shapes}", args.minilm, given, 20, 3, args.rounds)
    large = {"x": draw.standard_normal((ROWS, 8)).astype(np.float32)}
    compare("64 MiB in and out", LARGE, large, 10, 2, args.rounds)


if __name__ == "__main__":
    main()
