"""The GPU back end on two GPUs; skipped if there are none."""

import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import nets
import numpy as np
import pytest
from conftest import ENVIRONMENT, MODEL, ROOT, assert_refused, command, count_gpus, run_ranks

FIXTURES = ROOT / "tests" / "fixtures"
pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(count_gpus() < 2, reason=f"needs 2 NVIDIA GPUs, here are {count_gpus()}"),
]


def run_gpu(count, model_path, *words, **options):
    return run_ranks(count, "main.py", "--backend=gpu", f"--model_path={model_path}", *words, **options)


@pytest.mark.parametrize("name", ["mlp-all_reduce", "mlp-reduce_scatter", "branches", "skip"])
def test_the_cpus_shards_run_on_gpus(tmp_path, name):
    np.savez(str(tmp_path / "in.npz"), **nets.inputs(name))
    words = ("--input", tmp_path / "in.npz", "--output", tmp_path / "out.npz")
    done = run_gpu(2, FIXTURES / name / "2" / "Net.mindir", *words)
    assert done.returncode == 0, done.stderr
    assert "check: PASS" in done.stdout
    (output,) = np.load(str(tmp_path / "out.npz")).values()
    (right,) = nets.expected(name, nets.inputs(name), 2)
    assert np.max(np.abs(output - right)) <= 2e-3 * np.max(np.abs(right))


def test_the_tutorials_command():
    done = run_ranks(2, "main.py", "--model_path=models/Matmul.mindir")
    assert done.returncode == 0, done.stderr
    assert "check: PASS" in done.stdout
    done = run_ranks(2, "gpu_trt_distributed.py", "--model_path=models/Matmul.mindir")
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("tensor's name is:") == 2


def test_run_sh_takes_the_gpus():
    done = command("./run.sh", PYTHON=sys.executable)
    assert done.returncode == 0, done.stderr
    assert "run.sh: back end gpu (/dev/nvidia" in done.stderr
    assert "check: PASS" in done.stdout


def test_an_engine_is_kept_and_a_damaged_one_is_built_again(tmp_path):
    cache = tmp_path / "engines"

    def written():
        """Run once; return when each engine was written."""
        done = run_gpu(2, MODEL, "--engine_cache", cache)
        assert done.returncode == 0, done.stderr
        assert "check: PASS" in done.stdout
        engines = sorted(cache.glob("*.bin_0"))
        assert len(engines) == len(list(cache.glob("*.sha256"))) == 2
        return [engine.stat().st_mtime_ns for engine in engines]

    first = written()
    assert written() == first  # used, not built again
    engine = sorted(cache.glob("*.bin_0"))[1]
    engine.write_bytes(engine.read_bytes()[:-1])  # one rank's engine is damaged: both build again
    second = written()
    assert all(after > before for after, before in zip(second, first))
    assert written() == second


def test_mixed_precision_is_refused_with_collectives(tmp_path):
    assert_refused(run_gpu(2, MODEL, "--precision=fp16"), 2, "AllGather-op", "isn't safe with collectives")
    (tmp_path / "config.ini").write_text("[gpu_context]\nprecision_mode=preferred_fp16\n")
    assert_refused(run_gpu(2, MODEL, f"--config_file={tmp_path / 'config.ini'}"), 2, "isn't safe with collectives")


def test_mixed_precision_works_without_collectives(tmp_path):
    shutil.copy(str(MODEL), str(tmp_path / "Matmul.mindir"))
    shutil.copy(str(MODEL), str(tmp_path / "Matmul0.mindir"))
    done = run_gpu(1, tmp_path / "Matmul.mindir", "--precision=fp16")
    assert done.returncode == 0, done.stderr
    assert "check: PASS" in done.stdout


def test_fewer_cards_than_ranks_says_both_numbers():
    done = run_gpu(2, MODEL, CUDA_VISIBLE_DEVICES="0")
    assert_refused(done, 2, "rank 1", "GPUs")


def test_a_wrong_shard_fails_the_check(tmp_path):
    for name, source in (("Matmul", "Matmul"), ("Matmul0", "Matmul0"), ("Matmul1", "Matmul0")):
        shutil.copy(str(MODEL.with_name(source + ".mindir")), str(tmp_path / f"{name}.mindir"))
    done = run_gpu(2, tmp_path / "Matmul.mindir")
    assert done.returncode == 4, done.stderr
    assert "check: FAIL" in done.stdout


def test_a_killed_rank_ends_the_job():
    mpirun = Path(sys.executable).with_name("mpirun")
    start = [mpirun, "--quiet", "-n", "2", sys.executable, "main.py", "--backend=gpu", f"--model_path={MODEL}"]
    job = subprocess.Popen([*start, "--repeat=100000000"], cwd=str(ROOT), env=ENVIRONMENT)
    try:
        time.sleep(25)  # in its predicts by now
        pids = subprocess.check_output(["pgrep", "-P", str(job.pid)]).split()
        assert len(pids) == 2
        subprocess.check_call(["kill", "-9", pids[1]])
        assert job.wait(timeout=30) == 128 + signal.SIGKILL
        ended = time.monotonic() + 10  # the driver takes a moment to release a card
        while time.monotonic() < ended and any(Path(f"/proc/{int(pid)}").exists() for pid in pids):
            time.sleep(0.1)
        assert not any(Path(f"/proc/{int(pid)}").exists() for pid in pids)
    finally:
        job.kill()
