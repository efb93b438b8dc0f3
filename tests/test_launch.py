"""run.sh when something fails: every rank, every step, every way, and nothing may be left of it.

A fault happens in a real rank (faults/sitecustomize.py). What belongs to a job is found by a variable in its processes'
environments, and its temporary files by a TMPDIR of its own.
"""

import contextlib
import itertools
import json
import os
import pty
import re
import shutil
import signal
import subprocess
import sys
import time
import uuid
from pathlib import Path

import pytest
from conftest import ENVIRONMENT, MODEL, ROOT, assert_refused, command

from launch import processes
from launch.guard import GRACE

FAULTS = ROOT / "tests" / "faults"
# step: how the launcher names it
STEPS = {
    "start": "start",
    "read": "read",
    "build": "build",
    "before": "predict 1 of 3",
    "inside": "predict 1 of 3",
    "after": "predict 1 of 3",
    "check": "check",
    "exit": "exit",
}
# action: (status, what the launcher's line about the rank has in it); with 124 a time limit ends it
ACTIONS = {
    "raise": (1, "RuntimeError: a fault on demand"),
    "exit7": (7, "7"),
    "exit0": (1, "status 0"),
    "kill": (137, "SIGKILL"),
    "segv": (139, "SIGSEGV"),
    "rt": (168, "signal 40"),
    "orphan": (137, "SIGKILL"),
    "yes": (7, "7"),
    "stop": (124, "stopped"),
    "busy": (124, "_timeout"),
    "hang": (124, "_timeout"),
}
RANKS = [(size, rank) for size in (2, 3, 4) for rank in range(size)]
ROWS = []  # fault, step, seconds from it to the job's end, status


class Job:
    """One run.sh with a TMPDIR and a mark of its own."""

    def __init__(self, folder, *words, cwd=ROOT, **environment):
        self.mark, self.folder, self.fired = f"MS_TEST={uuid.uuid4().hex}", folder, folder / "fired"
        self.temporary = folder / "tmp"
        self.temporary.mkdir(exist_ok=True)
        self.folders = [self.temporary]
        self.shared = shared_memory()
        name, value = self.mark.split("=")
        self.environment = {**ENVIRONMENT, name: value, "TMPDIR": str(self.temporary), **environment}
        self.words = [str(ROOT / "run.sh"), "--backend=cpu", f"--log_dir={folder / 'logs'}", *map(str, words)]
        self.process = subprocess.Popen(
            self.words,
            cwd=str(cwd),
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            universal_newlines=True,
        )

    def end(self, timeout=150):
        """Wait for the end; make sure that nothing is left; return the CompletedProcess."""
        stdout, stderr = self.process.communicate(timeout=timeout)
        self.ended_at = time.time()
        self.nothing_left()
        return subprocess.CompletedProcess(self.words, self.process.returncode, stdout, stderr)

    def nothing_left(self):
        assert not alive(self.mark)
        assert not [path for folder in self.folders for path in folder.iterdir()]
        for _ in range(10):  # another job's may be between its first file and its first process
            left = shared_memory() - self.shared
            if not left:
                break
            time.sleep(0.2)
        assert not left

    def kill(self):
        for pid in alive(self.mark):
            with contextlib.suppress(OSError):
                os.kill(pid, signal.SIGKILL)

    def wait_for(self, step, ranks=2):
        """Wait until so many ranks are in a step: they write it to a page of memory that their guards read."""
        deadline = time.time() + 60
        while True:
            pages = [each.read_bytes() for folder in self.folders for each in folder.glob("launch-*-*/step")]
            if len([page for page in pages if page.startswith(step.encode())]) >= ranks:
                return
            assert time.time() < deadline and self.process.poll() is None, self.process.communicate()
            time.sleep(0.05)


def cmdline(pid):
    try:
        return b" ".join(Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")[1:2])
    except OSError:
        return b""


def alive(mark):
    """Return the processes that have the mark in their environment, and aren't zombies."""
    found = []
    for each in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if mark.encode() in (each / "environ").read_bytes():
                found.append(int(each.name))
    return found


def shared_memory():
    """Return what lies in shared memory and belongs to no process (other jobs may run at the same time)."""
    there = {str(each) for each in Path("/dev/shm").iterdir() if each.name.startswith(("launch", "vader"))}
    for each in Path("/proc").glob("[0-9]*") if there else ():
        with contextlib.suppress(OSError):
            text = (each / "maps").read_text() + (each / "cmdline").read_text()
            there = {path for path in there if os.path.basename(path) not in text}
    return there


def fail(folder, size, rank, step, action, models, *words, limit=2):
    """Run with a fault; return (CompletedProcess, seconds from the fault to the end)."""
    limits = [f"--{name}_timeout={limit}" for name in ("start", "build", "predict") if ACTIONS[action][0] == 124]
    if ACTIONS[action][0] == 124:
        limits[0] = "--start_timeout=4" if step == "start" else "--start_timeout=30"  # it counts the imports, too
    job = Job(
        folder,
        *(f"--model_path={models[size]}", "--repeat=3", *limits, *words),
        MS_FAULT=f"{rank}:{step}:{action}",
        MS_FAULT_FIRED=str(folder / "fired"),
        PYTHONPATH=str(FAULTS),
    )
    try:
        done = job.end()
    finally:
        job.kill()
    return done, job.ended_at - float((folder / "fired").read_text())


@pytest.fixture(scope="module")
def models():
    """The unsharded file of a net by the number of ranks."""
    return {size: ROOT / "tests" / "fixtures" / "skip" / str(size) / "Net.mindir" for size in (2, 3, 4)}


@pytest.fixture(scope="module", autouse=True)
def table():
    """Write what was measured, the slowest of all ranks, to the file that LAUNCH_TABLE names, if any."""
    yield
    if os.environ.get("LAUNCH_TABLE") and ROWS:
        worst = {}
        for action, step, seconds, _ in ROWS:
            worst[action, step] = max(seconds, worst.get((action, step), 0))
        text = [f"| fault | status | {' | '.join(STEPS)} | left-overs |", "|---" * (len(STEPS) + 3) + "|"]
        for action, (status, _) in ACTIONS.items():
            cells = [f"{worst[action, step]:.2f}" if (action, step) in worst else "" for step in STEPS]
            text.append(f"| {action} | {status} | {' | '.join(cells)} | 0 |")
        text.append(f"\n{len(ROWS)} runs")
        Path(os.environ["LAUNCH_TABLE"]).write_text("\n".join(text) + "\n")


def check_fault(folder, size, rank, step, action, models):
    done, seconds = fail(folder, size, rank, step, action, models)
    status, code = ACTIONS[action]
    assert done.returncode == status, done.stderr
    named = lines_of_ranks(done.stderr)
    assert f"{STEPS[step]}" in named[0][1]
    if not (step in ("start", "exit") and action == "raise"):  # there nobody says more than Python itself
        assert code in named[0][1]
    if status == 124:  # the limit, the window for others to be late, and what it takes to end them
        assert rank in [number for number, _ in named]
        assert (0 if step == "start" else 2) <= seconds < 2 + 5, seconds
    else:
        assert [number for number, _ in named] == [rank], done.stderr
        assert seconds < 4 * max(1, os.getloadavg()[0] / os.cpu_count()), seconds  # other tests run at the same time
    ROWS.append((action, step, seconds, done.returncode))


def lines_of_ranks(text):
    """Return [(rank, line)] of the launcher's lines that say how a rank failed."""
    found = [(re.match(r"rank (\d+):? (?!.*\.\.\. \d+ s$)", line), line) for line in text.splitlines()]
    return [(int(match.group(1)), line) for match, line in found if match]


POSSIBLE = [
    (step, action)
    for step, action in itertools.product(STEPS, ACTIONS)
    if not (step == "inside" and action in ("raise", "exit7", "busy", "hang"))  # in C, where signals alone come
    and (step, action) != ("exit", "exit0")  # as it should be
]


# in every test run: each step with a quarter of the faults that are seen at once, and half of the steps with one that
# a limit ends
QUICK = [
    (step, action)
    for step, action in POSSIBLE
    if (list(STEPS).index(step) + list(ACTIONS).index(action)) % (6 if ACTIONS[action][0] == 124 else 4) == 0
]


@pytest.mark.parametrize("index", range(len(QUICK)), ids=["-".join(each) for each in QUICK])
def test_a_fault_ends_the_job_by_name(tmp_path, models, index):
    """The ranks in turn."""
    size, rank = RANKS[(index * 4 + 1) % len(RANKS)]
    check_fault(tmp_path, size, rank, *QUICK[index], models)


@pytest.mark.slow
@pytest.mark.parametrize("size, rank", RANKS)
@pytest.mark.parametrize("step, action", POSSIBLE)
def test_every_rank_in_turn(tmp_path, models, size, rank, step, action):
    check_fault(tmp_path, size, rank, step, action, models)


@pytest.mark.parametrize("rank, status", [(0, 1), (1, 0)])
@pytest.mark.parametrize("action", ["closed", "full"])
def test_a_rank_whose_stdout_takes_nothing(tmp_path, models, action, rank, status):
    """Rank 0 can't show the result any more; rank 1 has nothing to show."""
    job = Job(
        tmp_path,
        f"--model_path={models[2]}",
        MS_FAULT=f"{rank}:before:{action}",
        MS_FAULT_FIRED=str(tmp_path / "fired"),
        PYTHONPATH=str(FAULTS),
    )
    done = job.end()
    assert done.returncode == status, done.stderr
    if status:
        ((rank, line),) = lines_of_ranks(done.stderr)
        assert rank == 0
        assert "Errno" in line


def test_a_rank_by_itself_whose_stdout_takes_nothing(tmp_path):
    shutil.copy(str(MODEL), str(tmp_path / "Net0.mindir"))
    start = [sys.executable, "main.py", "--backend=cpu", f"--model_path={tmp_path / 'Net.mindir'}"]
    with open("/dev/full", "w") as full:
        done = subprocess.run(start, cwd=str(ROOT), env=ENVIRONMENT, stdout=full, stderr=subprocess.PIPE, timeout=60)
    assert done.returncode == 1, done.stderr
    assert b"[Errno 28]" in done.stderr


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


def test_a_closed_stdout_of_run_sh(tmp_path):
    done = command("bash", "-c", f"./run.sh --backend=cpu --log_dir={tmp_path} >&-")
    assert_refused(done, 2, "stdout is closed")
    job = Job(tmp_path, "--repeat=100000000")
    job.wait_for("predict")
    job.process.stdout.close()  # as `run.sh | head` has it
    job.process.stdout = None
    job.process.terminate()
    job.end()


def test_who_reads_only_the_first_line_ends_the_job(tmp_path):
    name, value = "MS_TEST", uuid.uuid4().hex
    text = f"set -o pipefail; ./run.sh --backend=cpu --log_dir={tmp_path} --verbose | (read -r line; echo $line)"
    done = command("bash", "-c", text, GLOG_v="1", **{name: value})
    assert done.returncode in (0, 1), done.stderr  # it may have been done before
    assert "stdout: Broken pipe" in done.stderr or not done.returncode
    assert not alive(f"{name}={value}")


# interrupts


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


def test_a_stubborn_rank_is_killed_at_last(tmp_path):
    """It neither ends at SIGTERM nor runs: stopped."""
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
        while len([each for each in alive(mark) if b"main.py" in cmdline(each)]) < 2 and time.time() < deadline:
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
        assert not alive(mark)
        assert not list(temporary.iterdir())
    finally:
        for each in alive(mark):
            os.kill(each, signal.SIGKILL)


def test_when_the_launcher_itself_is_killed_its_ranks_end(tmp_path):
    job = Job(tmp_path, "--repeat=100000000")
    try:
        job.wait_for("predict")
        job.process.kill()
        job.process.communicate()
        deadline = time.time() + 10
        while alive(job.mark) and time.time() < deadline:
            time.sleep(0.1)
        job.nothing_left()
    finally:
        job.kill()


def test_a_guard_that_is_killed_is_told(tmp_path):
    job = Job(tmp_path, "--repeat=100000000")
    try:
        job.wait_for("predict")
        guards = [each for each in alive(job.mark) if b"guard.py" in Path(f"/proc/{each}/cmdline").read_bytes()]
        guards = [
            each for each in guards if b"mpirun" not in Path(f"/proc/{each}/cmdline").read_bytes().split(b"\0")[0]
        ]
        rank = int(re.search(rb"OMPI_COMM_WORLD_RANK=(\d)", Path(f"/proc/{guards[-1]}/environ").read_bytes()).group(1))
        time.sleep(1.5)  # a guard tells the step once a second
        os.kill(guards[-1], signal.SIGKILL)
        done = job.end()
    finally:
        job.kill()
    assert done.returncode == 137, done.stderr
    assert [number for number, _ in lines_of_ranks(done.stderr)] == [rank]


def test_who_starts_run_sh_from_a_rank_gets_a_job_of_its_own(tmp_path):
    variables = {"LAUNCH_RANK": "0", "LAUNCH_LOCAL_RANK": "0", "LAUNCH_SIZE": "1", "LAUNCH_FOLDER": "/nonexistent"}
    done = Job(tmp_path, **variables).end()
    assert done.returncode == 0, done.stderr
    assert "rank 1: tensor's name is:" in done.stdout


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


def talking(folder, text):
    """Return a folder for the PYTHONPATH that has every rank do this as it starts."""
    (folder / "talk").mkdir()
    (folder / "talk" / "sitecustomize.py").write_text(TALK.format(text))
    return str(folder / "talk")


def test_what_ranks_say_at_the_same_time_is_not_mixed(tmp_path):
    (tmp_path / "say.py").write_text(
        "import os\nfor _ in range(5000):\n    for number in (1, 2):\n"
        "        os.write(number, (os.environ['LAUNCH_RANK'] * 100 + chr(10)).encode())\n"
    )
    done = Job(tmp_path, "--verbose", "--ranks=2", tmp_path / "say.py").end()
    assert done.returncode == 0, done.stderr
    for text in (done.stdout, done.stderr):
        said = [line for line in text.splitlines() if line[-90:] in ("0" * 90, "1" * 90)]
        assert sorted(said) == ["rank 0: " + "0" * 100] * 5000 + ["rank 1: " + "1" * 100] * 5000


def test_a_line_without_an_end_takes_no_longer_than_another(tmp_path):
    """30 MB of it: all in the log."""
    text = "[os.write(2, b'x' * 65536) for _ in range(480)]"
    done = Job(tmp_path, "--start_timeout=30", PYTHONPATH=talking(tmp_path, text)).end()
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "logs" / "rank_1.stderr.log").stat().st_size >= 480 * 65536


def test_a_terminal_that_is_not_read_does_not_keep_the_job(tmp_path):
    """As `run.sh | less` that waits: the ranks wait, too, no limit is counted, and SIGTERM ends them."""
    text = "[os.write(1, b'y' * 99 + bytes([10])) for _ in range(100000)]"
    job = Job(tmp_path, "--start_timeout=3", PYTHONPATH=talking(tmp_path, text))
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


def test_help_shows_all_options():
    done = command("./run.sh", "--help")
    assert done.returncode == 0
    for option in ("--predict_timeout", "--hostfile", "--log_dir", "--repeat", "--engine_cache", "--check"):
        assert option in done.stdout


def test_an_mpirun_that_is_killed_is_no_success(tmp_path):
    """The guards then end their ranks, and nobody has failed by itself."""
    job = Job(tmp_path, "--repeat=100000000")
    try:
        job.wait_for("predict")
        (mpirun,) = [each for each in alive(job.mark) if b"guard.py" in Path(f"/proc/{each}/cmdline").read_bytes()
                     and b"mpirun" in Path(f"/proc/{each}/cmdline").read_bytes().split(b"\0")[0]]  # fmt: skip
        os.kill(mpirun, signal.SIGKILL)
        done = job.end()
    finally:
        job.kill()
    assert done.returncode == 137, done.stderr
    assert "SIGKILL" in done.stderr


# logs


def test_logs_have_everything_and_the_terminal_what_matters(tmp_path):
    """The engine's chatter is in the log, with --verbose on the terminal, too, each line with its rank."""
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
    next(each for each in message.primitives if each.op_type == "MatMul").op_type = "NoSuchOperator"
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
    made = sorted(each.name for each in (tmp_path / "logs").iterdir())
    assert len(made) == 3
    assert made[-1] == "latest"
    assert os.readlink(str(tmp_path / "logs" / "latest")) == made[1]
    assert f"logs in logs/{made[1]}" in done.stderr
    names = {f"rank_{rank}.{name}.log" for rank in (0, 1) for name in ("stdout", "stderr")}
    assert {each.name for each in (tmp_path / "logs" / "latest").iterdir()} == names


def test_long_steps_show_that_they_live(tmp_path, models):
    done, _ = fail(tmp_path, 2, 1, "build", "busy", models, limit=8)
    assert re.search(r"^ranks? (0, )?1: build\.\.\. [5-9] s$", done.stderr, re.M), done.stderr


# more than one job, more than one server


def test_two_jobs_at_once(tmp_path):
    """In one folder, started in the same second: other logs, and both right."""
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


@pytest.mark.parametrize(
    "environment, expected",
    [
        ({"OMPI_COMM_WORLD_RANK": "3", "OMPI_COMM_WORLD_LOCAL_RANK": "1", "OMPI_COMM_WORLD_SIZE": "4"}, (3, 1, 4)),
        ({"SLURM_PROCID": "5", "SLURM_LOCALID": "1", "SLURM_NTASKS": "6"}, (5, 1, 6)),
        ({"PMI_RANK": "1", "MPI_LOCALRANKID": "0", "PMI_SIZE": "2"}, (1, 0, 2)),
        ({"LAUNCH_RANK": "7", "LAUNCH_LOCAL_RANK": "3", "LAUNCH_SIZE": "8"}, (7, 3, 8)),
        ({"PMIX_RANK": "2", "SLURM_PROCID": "2", "SLURM_LOCALID": "0", "SLURM_NTASKS": "3"}, (2, 0, 3)),
        (  # mpirun in a batch script
            {
                "SLURM_PROCID": "0",
                "SLURM_LOCALID": "0",
                "SLURM_NTASKS": "1",
                "OMPI_COMM_WORLD_RANK": "1",
                "OMPI_COMM_WORLD_LOCAL_RANK": "1",
                "OMPI_COMM_WORLD_SIZE": "2",
            },
            (1, 1, 2),
        ),
        ({"SLURM_PROCID": "0"}, None),
        ({}, None),
    ],
)
def test_rank_local_rank_and_size_come_from_who_started_the_process(environment, expected):
    assert processes.identity(environment) == expected


SRUN = """#!/bin/bash
# srun, as far as a test can have it: Open MPI's mpirun starts the tasks, and they see Slurm's variables alone
case $1 in --ntasks=*) n=${1#*=} ;; --ntasks-per-node=1) n=1 ;; *) exit 9 ;; esac
shift
exec "$MPIRUN" --quiet --bind-to none --oversubscribe -n $n bash -c '
  export SLURM_PROCID=$OMPI_COMM_WORLD_RANK SLURM_LOCALID=$OMPI_COMM_WORLD_LOCAL_RANK SLURM_NTASKS=$OMPI_COMM_WORLD_SIZE
  unset OMPI_COMM_WORLD_RANK OMPI_COMM_WORLD_SIZE OMPI_COMM_WORLD_LOCAL_RANK
  [ "$SLURM_PROCID" != "$NEVER" ] || exec sleep 100
  exec "$@"' bash "$@"
"""


@pytest.fixture
def slurm(tmp_path):
    """The environment inside an allocation whose srun is SRUN."""
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "srun").write_text(SRUN)
    (tmp_path / "bin" / "srun").chmod(0o755)
    path = f"{tmp_path / 'bin'}:{os.environ['PATH']}"
    return {"PATH": path, "SLURM_JOB_ID": "1", "MPIRUN": str(Path(sys.executable).with_name("mpirun"))}


def test_srun_starts_the_ranks(tmp_path, slurm):
    done = Job(tmp_path, "--launcher=srun", **slurm).end()
    assert done.returncode == 0, done.stderr
    assert "rank 1: tensor's name is:" in done.stdout
    assert "check: PASS" in done.stdout


def test_an_interrupt_ends_the_look_at_the_servers(tmp_path, slurm):
    (tmp_path / "bin" / "srun").write_text("#!/bin/sh\nexec sleep 40\n")
    job = Job(tmp_path, "--launcher=srun", **slurm)
    try:
        time.sleep(1.5)
        start = time.time()
        job.process.terminate()
        done = job.end()
    finally:
        job.kill()
    assert done.returncode == 143
    assert job.ended_at - start < 5


def test_hostfile_and_srun_contradict(slurm):
    done = command("./run.sh", "--backend=cpu", "--launcher=srun", "--hostfile=x", **slurm)
    assert_refused(done, 2, "--hostfile and --launcher srun")


def test_srun_needs_an_allocation():
    assert_refused(command("./run.sh", "--backend=cpu", "--launcher=srun"), 2, "no allocation here", "salloc")


def test_a_rank_that_never_appears_is_named(tmp_path, slurm):
    job = Job(tmp_path, "--launcher=srun", "--start_timeout=4", NEVER="1", **slurm)
    try:
        done = job.end()
    finally:
        job.kill()
    assert done.returncode == 124, done.stderr
    assert "rank 1: never appeared" in done.stderr


AGENT = """#!/bin/sh
# what mpirun starts its daemon on another server with: here another network, other process ids, another TMPDIR
number=${1##*.}
shift
exec env -i PATH="$PATH" MS_TEST="$MS_TEST" TMPDIR="$SECOND" \\
  ip netns exec "$NETS$number" unshare -u -p -f --mount-proc sh -c 'hostname "$0"; sh -c "$*"' "$NETS$number" "$@"
"""


@pytest.fixture
def servers(tmp_path):
    """Two servers: network namespaces with a cable between them, and host names. Their files are the same."""
    nets = f"t{uuid.uuid4().hex[:6]}-"
    try:
        made = command("ip", "netns", "add", f"{nets}1").returncode == 0
    except OSError:
        made = False
    if not made:
        pytest.skip("ip netns can't make network namespaces here")
    try:
        command("ip", "netns", "add", f"{nets}2")
        command("ip", "link", "add", "eth0", "netns", f"{nets}1", "type", "veth", "peer", "eth0", "netns", f"{nets}2")
        for number in (1, 2):
            inside = ("ip", "-n", f"{nets}{number}")
            command(*inside, "link", "set", "lo", "up")
            command(*inside, "addr", "add", f"10.77.0.{number}/24", "dev", "eth0")
            assert command(*inside, "link", "set", "eth0", "up").returncode == 0
        (tmp_path / "agent").write_text(AGENT)
        (tmp_path / "agent").chmod(0o755)
        (tmp_path / "hosts").write_text("10.77.0.1 slots=1\n10.77.0.2 slots=1\n")
        # run.sh starts on the first of them
        (tmp_path / "first").write_text(
            f"#!/bin/sh\nexec ip netns exec {nets}1 unshare -u -p -f --kill-child --mount-proc "
            f'sh -c \'hostname {nets}1; exec "$@"\' sh "$@"\n'
        )
        (tmp_path / "first").chmod(0o755)
        yield nets
    finally:
        for number in (1, 2):
            command("ip", "netns", "del", f"{nets}{number}")


def on_servers(folder, nets, *words, **environment):
    job = Job.__new__(Job)
    job.__dict__.update(mark=f"MS_TEST={uuid.uuid4().hex}", folder=folder, fired=folder / "fired")
    job.temporary, job.shared = folder / "tmp", shared_memory()
    job.folders = [job.temporary / "1", job.temporary / "2"]  # each server's TMPDIR
    for temporary in job.folders:
        temporary.mkdir(parents=True)
    name, value = job.mark.split("=")
    agent = {"OMPI_MCA_plm_rsh_agent": str(folder / "agent"), "NETS": nets, name: value}
    agent.update(TMPDIR=str(job.temporary / "1"), SECOND=str(job.temporary / "2"))
    job.words = [
        *(str(folder / "first"), "./run.sh", "--backend=cpu", f"--log_dir={folder / 'logs'}"),
        *(f"--hostfile={folder / 'hosts'}", *words),
    ]
    job.process = subprocess.Popen(
        job.words,
        cwd=str(ROOT),
        env={**ENVIRONMENT, **agent, **environment},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        universal_newlines=True,
    )
    return job


def server_of(pid):
    return command("ip", "netns", "identify", str(pid)).stdout.strip()


def test_two_servers(tmp_path, servers):
    done = on_servers(tmp_path, servers, "--repeat=3").end()
    assert done.returncode == 0, done.stderr
    assert "check: PASS" in done.stdout


@pytest.mark.parametrize("action", ["kill", "orphan", "stop", "raise"])
def test_a_fault_on_the_second_server(tmp_path, servers, action):
    """The ranks' variables reach it, or there would be no fault. Its guard alone can end there what doesn't end."""
    status, said = ACTIONS[action]
    job = on_servers(
        tmp_path,
        servers,
        *("--repeat=3", "--predict_timeout=3"),
        MS_FAULT=f"1:before:{action}",
        MS_FAULT_FIRED=str(tmp_path / "fired"),
        PYTHONPATH=str(FAULTS),
    )
    try:
        while not job.fired.exists():
            assert job.process.poll() is None, job.process.communicate()
            time.sleep(0.05)
        (rank,) = [
            pid for pid in alive(job.mark) if b"main.py" in cmdline(pid) and server_of(pid) == f"{servers}2"
        ] or [0]
        done = job.end()
    finally:
        job.kill()
    assert done.returncode == status, done.stderr
    named = lines_of_ranks(done.stderr)
    assert 1 in [number for number, _ in named] if status == 124 else [number for number, _ in named] == [1]
    assert any(said in line for _, line in named)
    assert job.ended_at - float(job.fired.read_text()) < (10 if status == 124 else 6)


def test_a_server_that_is_cut_off(tmp_path, servers):
    """The job ends within its limit, and on both sides nothing is left."""
    job = on_servers(tmp_path, servers, "--repeat=1000000000", "--predict_timeout=3")
    try:
        job.wait_for("predict")
        command("ip", "-n", f"{servers}2", "link", "set", "eth0", "down")
        start = time.time()
        done = job.end()
    finally:
        job.kill()
    assert done.returncode == 124, done.stderr
    assert "rank 0: still in predict" in done.stderr
    assert job.ended_at - start < 3 + GRACE + 3


def test_what_a_server_lacks_is_named(tmp_path, servers):
    """The second server has another /root (here: another folder mounted over the model's)."""
    folder, empty = tmp_path / "models", tmp_path / "empty"
    empty.mkdir()
    shutil.copytree(str(MODEL.parent), str(folder))
    agent = AGENT.replace("'hostname", f"'mount --bind {empty} {folder}; hostname").replace(
        "unshare -u", "unshare -u -m"
    )
    (tmp_path / "agent").write_text(agent)
    done = on_servers(tmp_path, servers, f"--model_path={folder / 'Matmul.mindir'}").end()
    assert done.returncode == 2, done.stderr
    assert f"{servers}2: {folder / 'Matmul0.mindir'}: no such file: copy it there" in done.stderr.replace(
        "Matmul1", "Matmul0"
    )


def test_a_server_that_does_not_answer(tmp_path, servers):
    command("ip", "-n", f"{servers}2", "link", "set", "eth0", "down")
    job = on_servers(tmp_path, servers, "--start_timeout=4")
    try:
        done = job.end()
    finally:
        job.kill()
    assert done.returncode in (1, 124), done.stderr  # as the network says that it's cut, or not
    assert "can't all be reached" in done.stderr or "not all servers of" in done.stderr


def test_a_hostfile_has_to_be_there():
    done = command("./run.sh", "--backend=cpu", "--hostfile=/nonexistent")
    assert_refused(done, 2, "--hostfile /nonexistent: no such file")


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
