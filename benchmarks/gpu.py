"""Do sets of shards run on the GPUs here, start after start? A table of every set's starts, errors and times.

    .venv/bin/python benchmarks/gpu.py models/Matmul.mindir tests/fixtures/splits/*_2/Net.mindir --starts=5
    .venv/bin/python benchmarks/gpu.py FOLDER/decode/Matmul.mindir --starts=1 --engine_cache=engines    # and once more

Each start is one of run.sh with the GPU back end, ended when it takes longer than --timeout seconds: TensorRT runs
collectives while it builds, where ranks that don't do the same wait for each other for ever. In a model's folder,
in.npz is its input, and out.npz what its outputs are compared with besides run.sh's own check. Options that aren't
listed are run.sh's. Other sizes of the product: products.py.
"""

import sys
import tempfile
from pathlib import Path

import numpy as np
import work

FIGURES = ("max error", "in all s", "build s", "first predict ms", "p50 ms", "p90 ms", "p99 ms")
FORMS = ("{:.1e}", "{:.1f}", "{:.1f}", "{:.0f}", "{:.3f}", "{:.3f}", "{:.3f}")


def difference(found, right):
    """Return the largest difference of two .npz files' outputs, and the smallest cosine of any of their rows."""
    pairs = [(a.astype(np.float64), b) for a, b in zip(np.load(str(found)).values(), np.load(str(right)).values())]
    cosines = [np.sum(a * b, -1) / np.linalg.norm(a, axis=-1) / np.linalg.norm(b, axis=-1) for a, b in pairs]
    return f"{max(np.max(np.abs(a - b)) for a, b in pairs):.1e}, {min(map(np.min, cosines)):.6f}"


def shown(values, form):
    """Return the values as text: one of them, or from the least to the most."""
    least, most = form.format(min(values)), form.format(max(values))
    return least if least == most else f"{least} to {most}"


def row(model, count, words):
    """Return the cells of so many starts of a set, from "starts" on."""
    found, failures, given = [], [], model.with_name("in.npz")
    right, against = model.with_name("out.npz"), ""
    with tempfile.TemporaryDirectory(prefix="gpu-") as folder:
        output = Path(folder, "out.npz")
        words = [f"--output={output}", *[f"--input={given}"] * given.exists(), *words]
        for _ in range(count):
            seconds, report, why = work.run_sh(model, *words)
            failures += [why] * bool(why)
            if "predict_ms" in report:
                times = (report["predict_ms"][key] for key in ("p50", "p90", "p99"))
                error, first = report["check"].get("max_error", np.nan), report["first_predict_ms"]
                found.append([error, seconds, report["build_ms"] / 1e3, first, *times])
        if right.exists() and output.exists():
            against = difference(output, right)
    figures = [shown(values, form) for values, form in zip(zip(*found), FORMS)] or [""] * len(FORMS)
    return [str(count), str(count - len(failures)), against, *figures, "; ".join(sorted(set(failures)))]


def main():
    args = work.options(__doc__, others=True, starts=5, timeout=120.0)
    models = [Path(word).resolve() for word in args.others if not word.startswith("-")]
    options = ["--backend=gpu", f"--timeout={args.timeout}", "--warmup=10", "--repeat=50"]
    options += [word for word in args.others if word.startswith("-")]
    head, failed = ["set", "starts", "ended well", "against out.npz, cosine", *FIGURES, "what failed"], False
    print(f"| {' | '.join(head)} |\n{'|---' * len(head)}|")
    for model in models:
        cells = row(model, args.starts, options)
        failed |= cells[0] != cells[1]
        print(f"| {' | '.join([str(model).replace(f'{work.ROOT}/', ''), *cells])} |", flush=True)
    sys.exit(failed)


if __name__ == "__main__":
    main()
