"""Do sets of shards run on the GPUs here, start after start? A table of every set's starts, errors and times.

    .venv/bin/python benchmarks/gpu_sets.py models/Matmul.mindir tests/fixtures/splits/*_2/Net.mindir --starts=5

Each start is one of run.sh with the GPU back end, ended when it takes longer than --timeout: TensorRT runs collectives
while it builds, where ranks that don't do the same wait for each other for ever. An in.npz beside a model is its input.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


def start(model, folder, options, timeout):
    """Start once; return run.sh's status and its report, or its last line on stderr."""
    report, given = os.path.join(folder, "report.json"), os.path.join(os.path.dirname(model), "in.npz")
    words = ["--backend=gpu", f"--model_path={model}", f"--json={report}", f"--timeout={timeout}", *options]
    words += [f"--log_dir={folder}/logs"] + [f"--input={given}"] * os.path.exists(given)
    run = subprocess.run([f"{ROOT}/run.sh", *words], capture_output=True, check=False)
    if os.path.exists(report):
        with open(report) as file:
            return run.returncode, json.load(file)
    lines = run.stderr.decode(errors="replace").splitlines()
    return run.returncode, next((line for line in lines if line.startswith("rank ")), lines[-1] if lines else "")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="+", metavar="X.mindir")
    parser.add_argument("--starts", type=int, default=5, metavar="N")
    parser.add_argument("--timeout", type=float, default=120, metavar="S", help="seconds for a start (default: 120)")
    args, options = parser.parse_known_args()
    print("| set | starts | ended well | max error | build s | p50 ms | what failed |\n|---|---|---|---|---|---|---|")
    failed = 0
    for model in args.models:
        good, errors, builds, times, reasons = 0, [], [], [], []
        for _ in range(args.starts):
            with tempfile.TemporaryDirectory(prefix="gpu-sets-") as folder:
                status, found = start(model, folder, [*options, "--warmup=10", "--repeat=50"], args.timeout)
            if isinstance(found, dict):
                good += status == 0
                errors.append(found["check"].get("max_error", float("nan")))
                builds.append(found["build_ms"] / 1e3)
                times.append(found["predict_ms"]["p50"])
            if status:
                failed += 1
                reasons.append(f"{status}: {found if isinstance(found, str) else found['check'].get('reason')}")
        name = os.path.relpath(model, ROOT).replace("/Net.mindir", "")
        figures = " | | "
        if errors:
            times.sort()
            figures = f"{max(errors):.1e} | {min(builds):.1f} to {max(builds):.1f} | {times[len(times) // 2]:.3f}"
        print(f"| {name} | {args.starts} | {good} | {figures} | {'; '.join(sorted(set(reasons)))} |", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
