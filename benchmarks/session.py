"""What does a Session's predict cost? Beside the same loop in the ranks, in turns, and a copy of the same bytes.

    python3 benchmarks/session.py
    python3 benchmarks/session.py --minilm=models/MiniLM.mindir --rounds=9

CPU ranks. --minilm measures two shards of MiniLM as well. The ranks of the one that waits sleep.
"""

import sys
import tempfile

import numpy as np
import work

sys.path.insert(0, str(work.ROOT))
from suite import Session

LARGE = work.ROOT / "tests" / "fixtures" / "dynamic" / "2" / "Net.mindir"  # 8 columns in, 8 out, any number of rows


def in_ranks(model_path, given, count):
    """Return the median milliseconds of a predict in run.sh's own loop."""
    with tempfile.TemporaryDirectory() as folder:
        np.savez(f"{folder}/in.npz", **given)
        repeat = [f"--repeat={count}", f"--warmup={count // 10}", f"--input={folder}/in.npz"]
        report = work.run_sh(model_path, "--backend=cpu", "--check=off", *repeat)
    return report["predict_ms"]["p50"]


def median_ms(function, count):
    """Return the median milliseconds of a call."""
    return float(np.median([work.ms(function) for _ in range(count // 10 + count)][-count:]))


def measure(title, model_path, given, count, rounds):
    with Session(str(model_path), backend="cpu", check=False) as model:
        given = given or {value.name: np.ones(value.shape, value.dtype) for value in model.inputs}
        pairs = [(array.copy(), array) for array in given.values()]
        peers = {
            "Session": lambda: median_ms(lambda: model.predict(given), count),
            "in the ranks": lambda: in_ranks(model_path, given, count),
            "a copy of the inputs": lambda: median_ms(lambda: [np.copyto(*pair) for pair in pairs], count),
        }
        work.compare(title, "ms", rounds, **peers)


def main():
    args, draw = work.options(__doc__, minilm="", rounds=5), np.random.RandomState(1)
    product, large = (draw.standard_normal(shape).astype(np.float32) for shape in ((4, 256), (2 << 20, 8)))
    measure("product 4x256x128", work.ROOT / "models" / "Matmul.mindir", {"x": product}, 1000, args.rounds)
    if args.minilm:
        measure("MiniLM", args.minilm, {}, 20, args.rounds)
    measure("64 MiB in and out", LARGE, {"x": large}, 10, args.rounds)


main()
