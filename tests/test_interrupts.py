"""run.sh when it, or what it started, is ended from outside: by a signal, by its terminal, by a kill."""

import contextlib
import json
import os
import pty
import re
import signal
import subprocess
import sys
import time
import uuid
from pathlib import Path

import pytest
from conftest import ENVIRONMENT, ROOT
from jobs import FAULTS, Job, cmdline, lines_of_ranks, living_pids, shared_memory


@pytest.mark.parametrize(
    "number, status", [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)], ids=["INT", "TERM", "HUP"]
)
@pytest.mark.parametrize("step", ["start", "predict"])
def test_an_interrupt_ends_everything(tmp_path, number, status, step):
    job = Job(tmp_path, "--repeat=100000000")
    try:
        job.wait_for(step)
        start = time.time()
        job.process.send_signal(number)
        done = job.end()
    finally:
        job.kill()
    assert done.returncode == status
    assert f"interrupted ({signal.Signals(number).name})" in done.stderr
    assert job.ended_at - start < 5


def test_after_an_interrupt_what_the_reader_takes_at_once_is_shown():
    """If all processes have ended when the launcher looks, it shows why it ends and nothing more."""
    code = "from launch.screen import Screen; screen = Screen(); screen.show_message('interrupted' + 'x' * {})\n"
    code += "screen.flush_all(lambda: True)"
    for length, shown in ((0, 1), (1 << 20, 0)):  # more than a pipe holds, which nobody reads
        reading, writing = os.pipe()
        start = [sys.executable, "-c", code.format(length)]
        subprocess.run(start, cwd=str(ROOT), stderr=writing, check=True, timeout=30)
        os.close(writing)
        with open(reading, "rb") as file:
            assert file.read().endswith(b"interrupted\n") == shown


def test_a_stubborn_rank_is_killed_at_last(tmp_path):
    """A stopped rank neither ends at SIGTERM nor goes on."""
    job = Job(
        tmp_path,
        "--repeat=100000000",
        "--predict_timeout=60",
        MS_FAULT="1:before:stop",
        MS_FAULT_FIRED=str(tmp_path / "fired"),
        PYTHONPATH=str(FAULTS),
    )
    try:
        while not job.fired.exists():
            time.sleep(0.1)
        start = time.time()
        job.process.terminate()
        assert job.end().returncode == 143
        assert job.ended_at - start < 5
    finally:
        job.kill()


@pytest.mark.parametrize("how", ["Ctrl-C", "closed"])
def test_the_terminal(tmp_path, how):
    """run.sh in a terminal: Ctrl-C in it, and closing it."""
    name, value = "MS_TEST", uuid.uuid4().hex
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    environment = {**ENVIRONMENT, name: value, "TMPDIR": str(temporary)}
    pid, terminal = pty.fork()
    if not pid:
        words = ("./run.sh", "--backend=cpu", f"--log_dir={tmp_path / 'logs'}", "--repeat=100000000")
        os.chdir(str(ROOT))
        os.execve(words[0], words, environment)
    mark = f"{name}={value}"
    try:
        deadline = time.time() + 60
        while len([pid for pid in living_pids(mark) if b"main.py" in cmdline(pid)]) < 2 and time.time() < deadline:
            time.sleep(0.05)
        time.sleep(1)
        start = time.time()
        if how == "Ctrl-C":
            os.write(terminal, b"\x03")
            with contextlib.suppress(OSError):
                while os.read(terminal, 1000):
                    pass
        os.close(terminal)
        status = os.waitpid(pid, 0)[1]
        assert time.time() - start < 5
        assert os.WIFEXITED(status)
        assert os.WEXITSTATUS(status) == {"Ctrl-C": 130, "closed": 129}[how] or how == "closed"
        assert not living_pids(mark)
        assert not list(temporary.iterdir())
    finally:
        for left in living_pids(mark):
            os.kill(left, signal.SIGKILL)


def test_when_the_launcher_itself_is_killed_its_ranks_end(tmp_path):
    job = Job(tmp_path, "--repeat=100000000")
    try:
        job.wait_for("predict")
        job.process.kill()
        job.process.communicate()
        deadline = time.time() + 10
        while living_pids(job.mark) and time.time() < deadline:
            time.sleep(0.1)
        job.assert_nothing_left()
    finally:
        job.kill()


def test_a_killed_guard_is_reported(tmp_path):
    job = Job(tmp_path, "--repeat=100000000")
    try:
        job.wait_for("predict")
        guards = [pid for pid in living_pids(job.mark) if b"guard.py" in Path(f"/proc/{pid}/cmdline").read_bytes()]
        guards = [pid for pid in guards if b"mpirun" not in Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")[0]]
        rank = int(re.search(rb"OMPI_COMM_WORLD_RANK=(\d)", Path(f"/proc/{guards[-1]}/environ").read_bytes()).group(1))
        time.sleep(1.5)  # a guard reports the step once a second
        os.kill(guards[-1], signal.SIGKILL)
        done = job.end()
    finally:
        job.kill()
    assert done.returncode == 137, done.stderr
    assert [number for number, _ in lines_of_ranks(done.stderr)] == [rank]


def test_run_sh_started_by_a_rank_is_a_job_of_its_own(tmp_path):
    variables = {"LAUNCH_RANK": "0", "LAUNCH_LOCAL_RANK": "0", "LAUNCH_SIZE": "1", "LAUNCH_FOLDER": "/nonexistent"}
    done = Job(tmp_path, **variables).end()
    assert done.returncode == 0, done.stderr
    assert "rank 1: tensor's name is:" in done.stdout


def test_nohup_keeps_a_job(tmp_path):
    job = Job.__new__(Job)
    job.mark, job.temporary, job.shared = f"MS_TEST={uuid.uuid4().hex}", tmp_path / "tmp", shared_memory()
    job.temporary.mkdir()
    job.folders = [job.temporary]
    job.words = ["nohup", "./run.sh", "--backend=cpu", f"--log_dir={tmp_path / 'logs'}", "--repeat=100000000"]
    environment = {**ENVIRONMENT, "MS_TEST": job.mark.split("=")[1], "TMPDIR": str(job.temporary)}
    streams = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    job.process = subprocess.Popen(job.words, cwd=str(ROOT), env=environment, universal_newlines=True, **streams)
    try:
        job.wait_for("predict")
        job.process.send_signal(signal.SIGHUP)
        time.sleep(1)
        assert job.process.poll() is None
        job.process.terminate()
        assert job.end().returncode == 143
    finally:
        job.kill()


def test_an_mpirun_that_is_killed_is_no_success(tmp_path):
    """The guards then end their ranks, none of which has failed by itself."""
    job = Job(tmp_path, "--repeat=100000000")
    try:
        job.wait_for("predict")
        (mpirun,) = [pid for pid in living_pids(job.mark) if b"guard.py" in Path(f"/proc/{pid}/cmdline").read_bytes()
                     and b"mpirun" in Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")[0]]  # fmt: skip
        os.kill(mpirun, signal.SIGKILL)
        done = job.end()
    finally:
        job.kill()
    assert done.returncode == 137, done.stderr
    assert "SIGKILL" in done.stderr


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_two_hundred_runs_leave_nothing(tmp_path):
    """Processes, open files and shared memory are as they were."""

    def state():
        processes = len(list(Path("/proc").glob("[0-9]*")))
        return processes, int(Path("/proc/sys/fs/file-nr").read_text().split()[0]), len(shared_memory())

    before = state()
    for number in range(200):
        job = Job(tmp_path, "--repeat=3" if number % 2 else "--repeat=100000000")
        try:
            if not number % 2:
                job.wait_for("predict")
                job.process.terminate()
            assert job.end().returncode == (0 if number % 2 else 143)
        finally:
            job.kill()
    after = state()
    print(json.dumps({"processes, open files, shared memory": [before, after]}))
    assert after[0] <= before[0] + 3  # others' come and go
    assert after[1] <= before[1] * 1.1 + 200
    assert after[2] <= before[2]
