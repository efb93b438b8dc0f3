"""Do sets of shards run on the GPUs here, start after start? A table of every set's starts, errors and times.

    .venv/bin/python benchmarks/gpu.py models/Matmul.mindir tests/fixtures/splits/*_2/Net.mindir --starts=5
    .venv/bin/python benchmarks/gpu.py FOLDER/decode/Matmul.mindir --starts=1 --engine_cache=engines    # and once more

Each start is one of run.sh, ended when it takes longer than --timeout (120 seconds): TensorRT runs collectives while it
builds, where ranks that don't do the same wait for each other for ever. In a model's folder, in.npz is its input, and
out.npz what its outputs are compared with besides run.sh's own check. Options that aren't listed are run.sh's.
"""

import argparse
import sys
import tempfile
from pathlib import Path

import numpy as np
import work

FIGURES = {  # column: (how it's shown, where it stands in run.sh's report)
    "max error": ("{:.1e}", lambda report: report["check"].get("max_error", np.nan)),
    "in all s": ("{:.1f}", lambda report: report["seconds"]),
    "build s": ("{:.1f}", lambda report: report["build_ms"] / 1e3),
    "first predict ms": ("{:.0f}", lambda report: report["first_predict_ms"]),
    "p50 ms": ("{:.3f}", lambda report: report["predict_ms"]["p50"]),
    "p90 ms": ("{:.3f}", lambda report: report["predict_ms"]["p90"]),
    "p99 ms": ("{:.3f}", lambda report: report["predict_ms"]["p99"]),
}


def difference(found, right):
    """Return the largest difference of two .npz files' outputs, and the smallest cosine of any of their rows."""
    pairs = [(a.astype(np.float64), b) for a, b in zip(np.load(str(found)).values(), np.load(str(right)).values())]
    cosines = [np.sum(a * b, -1) / np.linalg.norm(a, axis=-1) / np.linalg.norm(b, axis=-1) for a, b in pairs]
    return f"{max(np.max(np.abs(a - b)) for a, b in pairs):.1e}, {min(map(np.min, cosines)):.6f}"


def row(model, starts, words):
    """Return the cells of so many starts of a set."""
    given, right = model.with_name("in.npz"), model.with_name("out.npz")
    with tempfile.TemporaryDirectory(prefix="gpu-") as folder:
        output = Path(folder, "out.npz")
        words = [f"--output={output}", *[f"--input={given}"] * given.exists(), *words]
        reports = [work.run_sh(model, *words) for _ in range(starts)]
        against = difference(output, right) if right.exists() and output.exists() else ""
    failed = [report["failed"] for report in reports if report["failed"]]
    figures = []
    for form, figure in FIGURES.values():
        values = sorted(figure(report) for report in reports if "predict_ms" in report)
        figures.append(" to ".join(dict.fromkeys(form.format(value) for value in (*values[:1], *values[-1:]))))
    return [model, starts, starts - len(failed), against, *figures, "; ".join(sorted(set(failed)))]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--starts", type=int, default=5, help="of each set (5)")
    args, others = parser.parse_known_args()
    words = ["--backend=gpu", "--timeout=120", "--warmup=10", "--repeat=50"]
    words += [word for word in others if word.startswith("-")]
    models = [Path(word).resolve() for word in others if not word.startswith("-")]
    head = ["set", "starts", "ended well", "against out.npz, cosine", *FIGURES, "what failed"]
    rows = work.table(head, (row(model, args.starts, words) for model in models))
    sys.exit(any(ended != starts for _, starts, ended, *_ in rows))


main()
