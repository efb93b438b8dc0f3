"""Builds, the engine cache, failures and refusals on two NVIDIA GPUs: python3 benchmarks/gpu.py OUTPUT.md

Each run is bounded in time; a run that fails is written down as it failed. Times beside those of others are
compare.py's. It takes about 8 minutes.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import mindspore_lite as mslite
import numpy as np
from products import resized

ROOT = Path(__file__).resolve().parent.parent

MPIRUN = Path(sys.executable).with_name("mpirun")
ENVIRONMENT = dict(os.environ, OMPI_ALLOW_RUN_AS_ROOT="1", OMPI_ALLOW_RUN_AS_ROOT_CONFIRM="1", GLOG_v="3")
out = []


def say(text=""):
    text = text.replace(f"{ROOT}/", "").replace(f"{tempfile.gettempdir()}/", "")
    print(text, flush=True)
    out.append(text)


def mpirun(*words, limit=120, ranks=2, **environment):
    """Run `python3 WORDS` on the ranks; return (exit status, stdout, stderr, seconds)."""
    start = time.monotonic()
    command = ["timeout", "-k", "5", str(limit), str(MPIRUN), "--quiet", "--bind-to", "none", "-n", str(ranks)]
    done = subprocess.run(
        [*command, sys.executable, *map(str, words)],
        capture_output=True,
        text=True,
        cwd=str(ROOT),
        env={**ENVIRONMENT, **environment},
    )
    return done.returncode, done.stdout, done.stderr, time.monotonic() - start


def run(model, *words, limit=120, **environment):
    """Run main.py on two GPUs; return (status, its report, stderr's last line, seconds)."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.json"
        status, _, stderr, seconds = mpirun(
            *("main.py", "--backend=gpu", f"--model_path={model}", "--json", report, *words), limit=limit, **environment
        )
        errors = stderr.strip().splitlines()
        report = json.loads(report.read_text()) if report.exists() else {}
        return status, report, errors[-1] if errors else "", seconds


def row(name, status, report, error, seconds):
    if not report:
        return f"| {name} | status {status} after {seconds:.1f} s: {error} | | | | | |"
    check, times = report["check"], report["predict_ms"]
    checked = f"{check['result']}, {check['max_error']:.1e}" if "max_error" in check else check["result"]
    figures = " | ".join(
        f"{each:.3f}" for each in (report["first_predict_ms"], times["p50"], times["p90"], times["p99"])
    )
    return f"| {name} | {checked} | {report['build_ms'] / 1e3:.2f} | {figures} |"


def speed(folder):
    say("| run | check, max error | build s | first predict ms | p50 ms | p90 ms | p99 ms |")
    say("|---|---|---|---|---|---|---|")
    builds = {}
    for name, shape, words in (
        ("4×256×128", None, ["--warmup=50", "--repeat=1000"]),
        ("16×16384×8192", (16, 16384, 8192), ["--warmup=20", "--repeat=200"]),
        ("2048×8192×8192", (2048, 8192, 8192), ["--warmup=10", "--repeat=100"]),
    ):
        model = ROOT / "models" / "Matmul.mindir"
        if shape:
            halves = np.split(np.random.RandomState(0).standard_normal(shape[1:]).astype(np.float32), 2, axis=1)
            model = resized(*shape, halves, folder / name)
        cache = folder / f"cache {name}"
        for how in ("cold", "from the cache", "one engine damaged"):
            if how.startswith("one") and shape:
                continue
            if how.startswith("one"):
                engine = sorted(cache.glob("*.bin_0"))[0]
                engine.write_bytes(engine.read_bytes()[:-1])
            result = run(model, "--engine_cache", cache, *words, limit=150)
            builds[name, how] = result[1].get("build_ms")
            say(row(f"{name}, {how}", *result))
    say()
    for (name, how), build in builds.items():
        if how == "cold" and build and builds[name, "from the cache"]:
            say(f"{name}: cold build ÷ build from the cache = {build / builds[name, 'from the cache']:.1f}")


def collectives():
    say("\n## The test nets, shards as the CPU runs them\n")
    for name in ("mlp-all_reduce", "mlp-reduce_scatter", "branches", "skip"):
        status, report, error, _ = run(ROOT / "tests" / "fixtures" / name / "2" / "Net.mindir")
        say(f"- {name}: status {status}, check {report.get('check', {}).get('result')}, "
            f"max error {report.get('check', {}).get('max_error')} {error if status else ''}")  # fmt: skip


def mixed_precision(folder):
    say("\n## Mixed precision with collectives (main.py refuses it: here without its checks)\n")
    config = folder / "fp16.ini"
    config.write_text("[gpu_context]\nprecision_mode=preferred_fp16\n")
    for name, model in (
        ("AllGather (models/Matmul)", ROOT / "models" / "Matmul.mindir"),
        ("ReduceScatter + AllGather (mlp-reduce_scatter)", ROOT / "tests/fixtures/mlp-reduce_scatter/2/Net.mindir"),
    ):
        values = []
        for words in ([], [f"--config_file={config}"]):
            status, stdout, _, seconds = mpirun("gpu_trt_distributed.py", f"--model_path={model}", *words, limit=40)
            values.append([line for line in stdout.splitlines() if line.startswith("output data is")])
            say(f"- {name}, {'preferred_fp16' if words else 'fp32'}: status {status} after {seconds:.1f} s")
        if all(values):
            say(f"  - fp32: {values[0][0][:90]}\n  - fp16: {values[1][0][:90]}")


def failures(folder):
    say("\n## Failures\n")
    model = ROOT / "models" / "Matmul.mindir"
    for name, words, environment in (
        ("2 ranks, CUDA_VISIBLE_DEVICES=0", [], {"CUDA_VISIBLE_DEVICES": "0"}),
        ("--precision fp16", ["--precision=fp16"], {}),
    ):
        status, _, error, seconds = run(model, *words, **environment)
        say(f"- {name}: status {status} after {seconds:.1f} s: `{error}`")
    wrong = folder / "wrong"
    wrong.mkdir()
    for to, source in (("", ""), ("0", "0"), ("1", "0")):
        shutil.copy(str(ROOT / f"models/Matmul{source}.mindir"), str(wrong / f"Matmul{to}.mindir"))
    status, _, error, seconds = run(wrong / "Matmul.mindir")
    say(f"- rank 1 with a wrong shard: status {status} after {seconds:.1f} s: `{error}`")
    program = (
        "import os, sys, mindspore_lite as m, main, ranks\n"
        "predict, count = m.Model.predict, [0]\n"
        "def broken(self, inputs):\n"
        "    count[0] += 1\n"
        "    if count[0] == 20 and os.environ['OMPI_COMM_WORLD_RANK'] == '1':\n"
        "        print('raised', file=sys.stderr, flush=True)\n"
        "        raise RuntimeError('predict failed!')\n"
        "    return predict(self, inputs)\n"
        "m.Model.predict = broken\n"
        "ranks.run(main.main)\n"
    )
    words = ("-c", program, "--backend=gpu", f"--model_path={model}", "--repeat=100000000")
    status, _, stderr, seconds = mpirun(*words, PYTHONPATH=str(ROOT))
    last = stderr.strip().splitlines()[-1]
    say(f"- rank 1 raises in its 20th predict: status {status} after {seconds:.1f} s in all: `{last}`")
    command = [str(MPIRUN), "--quiet", "-n", "2", sys.executable, "main.py", "--backend=gpu", f"--model_path={model}"]
    job = subprocess.Popen([*command, "--repeat=100000000"], cwd=str(ROOT), env=ENVIRONMENT)
    time.sleep(25)
    ranks = subprocess.check_output(["pgrep", "-P", str(job.pid)], universal_newlines=True).split()
    start = time.monotonic()
    os.kill(int(ranks[1]), signal.SIGKILL)
    try:
        status = job.wait(timeout=60)
    except subprocess.TimeoutExpired:
        job.kill()
        status = "none: hung"
    ended = time.monotonic() - start
    time.sleep(10)
    left = [rank for rank in ranks if Path(f"/proc/{rank}").exists()]
    say(f"- kill -9 of rank 1 while they predict: status {status} after {ended:.1f} s, processes left: {len(left)}")


def main():
    lite, python = mslite.__version__, sys.version.split()[0]
    smi = ["nvidia-smi", "--query-gpu=name,driver_version,memory.total", "--format=csv,noheader"]
    cards = subprocess.check_output(smi, universal_newlines=True).strip().splitlines()
    say(f"# {len(cards)} × {cards[0]}\n")
    pins = [line.strip() for line in (ROOT / "requirements-gpu.txt").open() if "==" in line]
    versions = f"mindspore_lite {lite}, NumPy {np.__version__}, Python {python}, {', '.join(pins)}"
    say(f"{time.strftime('%Y-%m-%d')}, {versions}.")
    say("Written by `benchmarks/gpu.py`: two ranks, float32 computed with TF32; a predict includes the copies from and")
    say("to host memory; its time is the slowest rank's; the check compares with the unsharded model on the CPU.\n")
    with tempfile.TemporaryDirectory() as folder:
        speed(Path(folder))
        collectives()
        failures(Path(folder))
        mixed_precision(Path(folder))
    Path(sys.argv[1]).write_text("\n".join(out) + "\n")


if __name__ == "__main__":
    main()
