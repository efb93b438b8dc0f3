"""What the tests share: ranks under the real mpirun, and the suite's files to damage."""

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

pytest_plugins = ["ascend_server", "double_jobs", "sessions", "split_runs"]  # fixtures of several files
ROOT = Path(__file__).resolve().parent.parent
MODEL = ROOT / "models" / "Matmul.mindir"
sys.path.insert(0, str(ROOT))

# if they were started in the background of a script, they and all that they start would ignore Ctrl-C
signal.signal(signal.SIGINT, signal.default_int_handler)
ENVIRONMENT = dict(os.environ, OMPI_ALLOW_RUN_AS_ROOT="1", OMPI_ALLOW_RUN_AS_ROOT_CONFIRM="1", GLOG_v="3")
ENVIRONMENT.pop("PYTHON", None)
ENVIRONMENT.pop("PYTHONUNBUFFERED", None)  # as most users have it


def command(*words, timeout=200, cwd=ROOT, **environment):
    """Run a command to its end; return the CompletedProcess with its text."""
    return subprocess.run(
        [str(word) for word in words],
        capture_output=True,
        stdin=subprocess.DEVNULL,
        text=True,
        timeout=timeout,
        cwd=str(cwd),
        env={**ENVIRONMENT, **environment},
    )


def run_ranks(count, *words, **options):
    """Run `python WORDS` on `count` ranks under mpirun."""
    mpirun = Path(sys.executable).with_name("mpirun")
    start = (mpirun, "--quiet", "--bind-to", "none", "--oversubscribe", "-n", count)
    return command(*start, sys.executable, *words, **options)


def run_main(count, model_path, *words, **options):
    """Run main.py on `count` CPU ranks."""
    return run_ranks(count, ROOT / "main.py", "--backend=cpu", f"--model_path={model_path}", *words, **options)


def count_gpus():
    """Return how many NVIDIA GPUs are here."""
    try:
        return command("nvidia-smi", "-L").stdout.count("GPU ")
    except OSError:
        return 0


def lines(text):
    """Return the lines of a text that aren't blank."""
    return [line for line in text.splitlines() if line.strip()]


def assert_refused(done, status, *texts):
    """Make sure that a run ended with this status and one line on stderr that contains these texts."""
    assert done.returncode == status, done.stderr + done.stdout
    assert len(lines(done.stderr)) == 1, done.stderr
    for text in texts:
        assert text in done.stderr
    assert "tensor's name is" not in done.stdout


@pytest.fixture
def model(tmp_path):
    """Copies of the shipped files in a folder of the test's own; the path of the unsharded one."""
    for name in ("Matmul.mindir", "Matmul0.mindir", "Matmul1.mindir"):
        shutil.copy(str(MODEL.with_name(name)), str(tmp_path))
    return tmp_path / "Matmul.mindir"
