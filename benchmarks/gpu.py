"""Do sets of shards run on the GPUs here, start after start? A table of every set's starts, errors, times and memory.

    .venv/bin/python benchmarks/gpu.py models/Matmul.mindir tests/fixtures/splits/*_2/Net.mindir --starts=5
    .venv/bin/python benchmarks/gpu.py FOLDER/Matmul.mindir --starts=1 --engine_cache=engines    # and once more

Each start is one of run.sh, ended when it takes longer than --timeout (120 seconds): TensorRT runs collectives while it
builds, where ranks that don't do the same wait for each other for ever. In a model's folder, in.npz is its input.
Options that aren't listed are run.sh's. Peaks are those of the rank, or the GPU, that has most.
"""

import argparse
import subprocess
import sys
from pathlib import Path

import numpy as np
import work

FIGURES = {  # column: (how it's shown, where it stands in a start's report)
    "max error": ("{:.1e}", lambda report: report["check"].get("max_error", np.nan)),
    "in all s": ("{:.1f}", lambda report: report["seconds"]),
    "build s": ("{:.1f}", lambda report: report["build_ms"] / 1e3),
    "first predict ms": ("{:.0f}", lambda report: report["first_predict_ms"]),
    "p50 ms": ("{:.3f}", lambda report: report["predict_ms"]["p50"]),
    "peak MiB": ("{:.0f}", lambda report: report["peak_mib"]),
    "GPU MiB": ("{:.0f}", lambda report: report["gpu_mib"]),
}


def start(model, words):
    """Return the report of a start of a set, with the most memory in use on a GPU."""
    given, watch = model.with_name("in.npz"), f"while {' '.join(work.SMI)}; do sleep 1; done"
    with subprocess.Popen(["sh", "-c", watch], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as smi:
        report = work.run_sh(model, *[f"--input={given}"] * given.exists(), *words)
        smi.terminate()
        return {**report, "gpu_mib": max(map(float, smi.stdout.read().split()), default=np.nan)}


def row(model, starts, words):
    """Return the cells of so many starts of a set."""
    reports = [start(model, words) for _ in range(starts)]
    failed = [report["failed"] for report in reports if report["failed"]]
    figures = []
    for form, figure in FIGURES.values():
        values = [figure(report) for report in reports if "predict_ms" in report]
        figures.append(" to ".join(dict.fromkeys(form.format(end(values)) for end in (min, max) if values)))
    return [model, starts, starts - len(failed), *figures, "; ".join(sorted(set(failed)))]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--starts", type=int, default=5, help="of each set (5)")
    args, others = parser.parse_known_args()
    words = ["--backend=gpu", "--timeout=120", "--warmup=10", "--repeat=50"]
    words += [word for word in others if word.startswith("-")]
    models = [Path(word).resolve() for word in others if not word.startswith("-")]
    head = ["set", "starts", "ended well", *FIGURES, "what failed"]
    rows = work.table(head, (row(model, args.starts, words) for model in models))
    sys.exit(any(ended != starts for _, starts, ended, *_ in rows))


main()
