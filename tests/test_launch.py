"""What run.sh shows and keeps: output, logs, the reason for a refusal."""

import os
import re
import subprocess
import time
import uuid

from conftest import ENVIRONMENT, MODEL, ROOT, assert_refused, command
from jobs import Job, lines_of_ranks, living_pids


def test_a_log_that_cannot_be_written_is_refused(tmp_path):
    (tmp_path / "logs" / "rank_1.stdout.log").mkdir(parents=True)
    done = Job(tmp_path).end()
    assert done.returncode == 2, done.stderr
    assert [rank for rank, _ in lines_of_ranks(done.stderr)] == [1]
    assert "rank_1.stdout.log" in done.stderr


def test_no_log_folder_nothing_starts(tmp_path):
    (tmp_path / "file").touch()
    done = command("./run.sh", "--backend=cpu", "--log_dir", tmp_path / "file" / "logs")
    assert_refused(done, 2, "--log_dir", "can't be written: Not a directory")


def test_a_current_folder_that_has_been_removed(tmp_path):
    (tmp_path / "gone").mkdir()
    done = command("bash", "-c", 'rmdir "$PWD" && exec "$0"', ROOT / "run.sh", cwd=tmp_path / "gone")
    assert done.returncode == 2
    assert "has been removed" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_closed_stdout_of_run_sh(tmp_path):
    done = command("bash", "-c", f"./run.sh --backend=cpu --log_dir={tmp_path} >&-")
    assert_refused(done, 2, "stdout is closed")
    job = Job(tmp_path, "--repeat=100000000")
    job.wait_for("predict")
    job.process.stdout.close()  # as with `run.sh | head`
    job.process.stdout = None
    job.process.terminate()
    job.end()


def test_reading_only_the_first_line_ends_the_job(tmp_path):
    name, value = "MS_TEST", uuid.uuid4().hex
    text = f"set -o pipefail; ./run.sh --backend=cpu --log_dir={tmp_path} --verbose | (read -r line; echo $line)"
    done = command("bash", "-c", text, GLOG_v="1", **{name: value})
    assert done.returncode in (0, 1), done.stderr  # it may have been done before
    assert "stdout: Broken pipe" in done.stderr or not done.returncode
    assert not living_pids(f"{name}={value}")


def test_a_wrong_option_is_refused_before_anything_is_made(tmp_path):
    for words in (["--foo"], ["--repeat=0"], ["--ranks=0"], ["--timeout=x"], ["--repeat=2", str(ROOT / "main.py")]):
        done = command(ROOT / "run.sh", "--backend=cpu", *words, cwd=tmp_path)
        assert_refused(done, 2, "run.sh: ", words[0].split("=")[0])
        assert not list(tmp_path.iterdir())


TALK = """
import importlib.abc, importlib.util, os, sys
if "LAUNCH_FOLDER" in os.environ:
    rank = os.environ["LAUNCH_RANK"]
    {}
"""


def folder_that_runs(folder, text):
    """Return a folder for the PYTHONPATH with which every rank runs this text when it starts."""
    (folder / "talk").mkdir()
    (folder / "talk" / "sitecustomize.py").write_text(TALK.format(text))
    return str(folder / "talk")


def test_what_ranks_write_at_the_same_time_is_not_mixed(tmp_path):
    (tmp_path / "say.py").write_text(
        "import os\nfor _ in range(5000):\n    for number in (1, 2):\n"
        "        os.write(number, (os.environ['LAUNCH_RANK'] * 100 + chr(10)).encode())\n"
    )
    done = Job(tmp_path, "--verbose", "--ranks=2", tmp_path / "say.py").end()
    assert done.returncode == 0, done.stderr
    for text in (done.stdout, done.stderr):
        shown = [line for line in text.splitlines() if line[-90:] in ("0" * 90, "1" * 90)]
        assert sorted(shown) == ["rank 0: " + "0" * 100] * 5000 + ["rank 1: " + "1" * 100] * 5000


def test_a_line_without_an_end_takes_no_longer_than_another(tmp_path):
    """30 MB of it: all is in the log."""
    text = "[os.write(2, b'x' * 65536) for _ in range(480)]"
    done = Job(tmp_path, "--start_timeout=30", PYTHONPATH=folder_that_runs(tmp_path, text)).end()
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "logs" / "rank_1.stderr.log").stat().st_size >= 480 * 65536


def test_a_terminal_that_is_not_read_does_not_keep_the_job(tmp_path):
    """As with `run.sh | less` that waits: the ranks wait, too, the limits don't run on, and SIGTERM ends the job."""
    text = "[os.write(1, b'y' * 99 + bytes([10])) for _ in range(100000)]"
    job = Job(tmp_path, "--start_timeout=3", PYTHONPATH=folder_that_runs(tmp_path, text))
    try:
        time.sleep(6)
        assert job.process.poll() is None
        start = time.time()
        job.process.terminate()
        job.process.wait(timeout=20)
        assert job.process.returncode == 143
        assert time.time() - start < 5
        job.end()
    finally:
        job.kill()


def test_help_shows_all_options():
    done = command("./run.sh", "--help")
    assert done.returncode == 0
    for option in ("--predict_timeout", "--hostfile", "--log_dir", "--repeat", "--engine_cache", "--check"):
        assert option in done.stdout


# logs


def test_logs_have_everything_and_the_terminal_what_matters(tmp_path):
    """The engine's messages are in the log; with --verbose also on the terminal, each line with its rank."""
    done = Job(tmp_path, GLOG_v="1").end()
    for rank in (0, 1):
        text = (tmp_path / "logs" / f"rank_{rank}.stderr.log").read_text()
        assert "[INFO]" in text or "[WARNING]" in text
    assert "[WARNING]" not in done.stderr
    assert "tensor's name is:" in (tmp_path / "logs" / "rank_0.stdout.log").read_text()
    done = Job(tmp_path, "--verbose", GLOG_v="1").end()
    chatter = [line for line in done.stderr.splitlines() if "[WARNING]" in line or "[INFO]" in line]
    assert {line.split(":")[0] for line in chatter} == {"rank 0", "rank 1"}


def test_the_engines_reason_is_shown_when_a_rank_fails(tmp_path, model):
    import mindir

    path = model.with_name("Matmul1.mindir")
    message = mindir.load(str(path)).model
    next(primitive for primitive in message.primitives if primitive.op_type == "MatMul").op_type = "NoSuchOperator"
    path.write_bytes(message.SerializeToString())
    done = Job(tmp_path, f"--model_path={model}").end()
    assert done.returncode == 1
    assert lines_of_ranks(done.stderr)[0][0] == 1
    assert str(path) in done.stderr
    assert re.search(r"  rank 1 \| .*\[ERROR\].*NoSuchOperator", done.stderr), done.stderr


def test_logs_without_a_folder_given(tmp_path):
    for _ in range(2):
        done = command(ROOT / "run.sh", "--backend=cpu", f"--model_path={MODEL}", cwd=tmp_path)
        assert done.returncode == 0, done.stderr
    made = sorted(file.name for file in (tmp_path / "logs").iterdir())
    assert len(made) == 3
    assert made[-1] == "latest"
    assert os.readlink(str(tmp_path / "logs" / "latest")) == made[1]
    assert f"logs in logs/{made[1]}" in done.stderr
    names = {f"rank_{rank}.{name}.log" for rank in (0, 1) for name in ("stdout", "stderr")}
    assert {file.name for file in (tmp_path / "logs" / "latest").iterdir()} == names


def test_two_jobs_at_once(tmp_path):
    """In one folder, started in the same second: they have different logs, and both are right."""
    start = [str(ROOT / "run.sh"), "--backend=cpu", f"--model_path={MODEL}", "--repeat=200"]
    jobs = [
        subprocess.Popen(start, cwd=str(tmp_path), env=ENVIRONMENT, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        for _ in range(3)
    ]
    folders = set()
    for job in jobs:
        stdout, stderr = job.communicate(timeout=120)
        assert job.returncode == 0, stderr
        assert b"check: PASS" in stdout
        folders.add(re.search(rb"logs in (\S+)", stderr).group(1))
    assert len(folders) == 3


def test_ranks_of_one_server_start_where_neither_ssh_nor_rsh_is(tmp_path):
    for name in os.listdir("/usr/bin"):
        if name not in ("ssh", "rsh"):
            (tmp_path / name).symlink_to(f"/usr/bin/{name}")
    done = command("./run.sh", "--backend=cpu", f"--log_dir={tmp_path / 'logs'}", PATH=str(tmp_path))
    assert done.returncode == 0, done.stderr
    assert "check: PASS" in done.stdout


def test_python_has_nothing_to_warn_of(tmp_path):
    """PYTHONWARNINGS=error reports what a program leaves open at its end, whether it fails or not."""
    for words in ((), ("--ranks=3",), ("--repeat=1000000000", "--timeout=1")):
        done = Job(tmp_path, *words, PYTHONWARNINGS="error").end()
        assert (done.returncode == 0) == (not words), done.stderr
        logs = "".join(path.read_text() for path in (tmp_path / "logs").iterdir())
        assert "Warning" not in done.stderr + logs
