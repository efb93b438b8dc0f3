"""Every fault at every step on every rank is named, with its status, and leaves nothing behind."""

import itertools
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import ENVIRONMENT, MODEL, ROOT
from jobs import ACTIONS, FAULTS, STEPS, Job, lines_of_ranks, run_with_fault

RANKS = [(size, rank) for size in (2, 3, 4) for rank in range(size)]
ROWS = []  # fault, step, seconds from it to the job's end, status


@pytest.fixture(scope="module")
def models():
    """The unsharded file of a net by the number of ranks."""
    return {size: ROOT / "tests" / "fixtures" / "skip" / str(size) / "Net.mindir" for size in (2, 3, 4)}


@pytest.fixture(scope="module", autouse=True)
def table():
    """Write the slowest of all ranks' times to the file that LAUNCH_TABLE names, if any."""
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
    done, seconds = run_with_fault(folder, size, rank, step, action, models)
    status, code = ACTIONS[action]
    assert done.returncode == status, done.stderr
    named = lines_of_ranks(done.stderr)
    assert f"{STEPS[step]}" in named[0][1]
    if not (step in ("start", "exit") and action == "raise"):  # there, only Python itself prints something
        assert code in named[0][1]
    busy = max(1, os.getloadavg()[0] / os.cpu_count())  # other tests run at the same time
    if status == 124:  # the limit, the time in which others may be late, and the time to end them
        assert rank in [number for number, _ in named]
        assert (0 if step == "start" else 2) <= seconds < 2 + 5 * busy, seconds
    else:
        assert [number for number, _ in named] == [rank], done.stderr
        assert seconds < 4 * busy, seconds
    ROWS.append((action, step, seconds, done.returncode))


POSSIBLE = [
    (step, action)
    for step, action in itertools.product(STEPS, ACTIONS)
    if not (step == "inside" and action in ("raise", "exit7", "busy", "hang"))  # in C, where only signals arrive
    and (step, action) != ("exit", "exit0")  # as it should be
]


# in every test run: each step with a quarter of the faults that are seen at once, and half of the steps with one that a
# time limit ends
QUICK = [
    (step, action)
    for step, action in POSSIBLE
    if (list(STEPS).index(step) + list(ACTIONS).index(action)) % (6 if ACTIONS[action][0] == 124 else 4) == 0
]


@pytest.mark.parametrize("index", range(len(QUICK)), ids=["-".join(case) for case in QUICK])
def test_a_fault_ends_the_job_by_name(tmp_path, models, index):
    """The fault happens on each rank in turn."""
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
    """Rank 0 can no longer show the result; rank 1 has nothing to show."""
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


def test_long_steps_show_that_they_live(tmp_path, models):
    done, _ = run_with_fault(tmp_path, 2, 1, "build", "busy", models, limit=8)
    assert re.search(r"^ranks? (0, )?1: build\.\.\. [5-9] s$", done.stderr, re.M), done.stderr
