"""all-MiniLM-L6-v2 on two GPUs: python3 benchmarks/gpu_minilm.py FOLDER OUTPUT.md

FOLDER has models/export_minilm.py's files for two ranks: 50x48/MiniLM.mindir (--batch=50 --length=48), compared with
Hugging Face transformers, and 8x128/MiniLM.mindir. Every run is `run.sh --backend=gpu`, bounded in time.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
EXPECTED = ROOT / "tests" / "fixtures" / "minilm" / "expected.npz"
out = []


def say(text=""):
    print(text, flush=True)
    out.append(text)


def run(model, *words):
    """Run run.sh on two GPUs; return (its report, seconds in all)."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.json"
        command = [
            "timeout",
            "-k",
            "5",
            "200",
            "./run.sh",
            "--backend=gpu",
            f"--model_path={model}",
            f"--json={report}",
        ]
        start = time.monotonic()
        done = subprocess.run(
            [*command, f"--log_dir={folder}/logs", *map(str, words)],
            cwd=str(ROOT),
            env={**os.environ, "PYTHON": sys.executable},
            capture_output=True,
            text=True,
            check=False,
        )
        seconds = time.monotonic() - start
        if done.returncode:
            say(f"status {done.returncode} after {seconds:.1f} s: {done.stderr[-2000:]}")
            return None, seconds
        return json.loads(report.read_text()), seconds


def main():
    folder = Path(sys.argv[1])
    say("## all-MiniLM-L6-v2, 2 ranks, ReduceScatter + AllGather, the files that CPU ranks run\n")
    say("| batch × tokens | engine | in all s | build s | first predict ms | p50 ms | p90 ms | p99 ms | check |")
    say("|---|---|---|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as temporary:
        expected = np.load(str(EXPECTED))
        given, made = Path(temporary) / "in.npz", Path(temporary) / "out.npz"
        np.savez(str(given), **{name: expected[name] for name in ("input_ids", "attention_mask")})
        for name, words in (
            ("50x48", [f"--input={given}", f"--output={made}", "--warmup=20", "--repeat=200"]),
            ("8x128", ["--warmup=20", "--repeat=300"]),
        ):
            for engine in ("built", "from the cache"):
                cache = Path(temporary) / f"cache-{name}"
                report, seconds = run(folder / name / "MiniLM.mindir", f"--engine_cache={cache}", *words)
                if not report:
                    continue
                times, check = report["predict_ms"], report["check"]
                figures = [seconds, report["build_ms"] / 1e3, report["first_predict_ms"]]
                figures = [f"{each:.1f}" for each in figures] + [f"{times[each]:.2f}" for each in ("p50", "p90", "p99")]
                say(f"| {name} | {engine} | {' | '.join(figures)} | {check['result']} {check['max_error']:.1e} |")
        if made.exists():
            (found,) = np.load(str(made)).values()
            right = expected["embeddings"].astype(np.float64)
            cosine = np.min(
                np.sum(found * right, axis=1) / np.linalg.norm(found, axis=1) / np.linalg.norm(right, axis=1)
            )
            say(
                f"\nAgainst Hugging Face transformers (50 sentences, float32 on a CPU): largest difference "
                f"{np.max(np.abs(found - right)):.1e}, smallest cosine {cosine:.6f}."
            )
    Path(sys.argv[2]).write_text("\n".join(out) + "\n")


if __name__ == "__main__":
    main()
