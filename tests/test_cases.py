"""Reported cases: each folder of cases/ that has a `run` is run, and its output has to match the lines of `right`.

A line of `right` is a regular expression, which has to match after the match of the line before; one that begins with
`! ` must not match anywhere. A case that takes several jobs says that it is slow.
"""

import re
import sys

import pytest
from conftest import ROOT, command

from launch import around, hostfile
from ranks import Stop

CASES = sorted(path.parent for path in (ROOT / "tests" / "cases").glob("*/run"))


def case_parameter(case):
    return pytest.param(case, id=case.name, marks=[pytest.mark.slow] * ("(slow: " in (case / "run").read_text()))


@pytest.mark.parametrize("case", map(case_parameter, CASES))
def test_the_right_answer(case):
    text = command("bash", "-c", 'exec "$0" "$1" 2>&1', case / "run", ROOT).stdout
    at = 0
    for line in (case / "right").read_text().splitlines():
        if line.startswith("! "):
            assert not re.search(line[2:], text, re.M), text
            continue
        found = re.compile(line, re.M).search(text, at)
        assert found, f"{line}\n\nnot in\n\n{text}"
        at = found.end()


@pytest.mark.parametrize(
    "text, lines",
    [
        ("a slots=2\nb max_slots = 4  # here\n", []),  # as it is
        ("a\na\n10.0.0.1\nfe80::1\nuser@b\n^c\n+n0\n", []),
        ("\ufeffa:2\r\nb slots=1\r\n", ["a slots=2", "b slots=1"]),
        ("a slots=1\rb slots=1\r", ["a slots=1", "b slots=1"]),
        ("node[01-03,7],login", ["node01", "node02", "node03", "node7", "login"]),
        ("n[1-2].example:4", None),
        ("# nothing\n", None),
        ("a b\n", None),
        ("[servers]\na\n", None),
        ("n[3-1]", None),
        ("n[0-99999999]", None),
        ("n[1-9][1-9]", None),
    ],
)
def test_lists_of_servers(tmp_path, text, lines):
    (tmp_path / "hosts").write_bytes(text.encode())
    if lines is None:
        with pytest.raises(Stop, match=r"hosts(:\d+)?: "):
            hostfile.read(str(tmp_path / "hosts"), "--hostfile")
    else:
        assert hostfile.read(str(tmp_path / "hosts"), "--hostfile") == lines


@pytest.mark.parametrize(
    "environment, found",
    [
        ({}, None),
        ({"SLURM_NTASKS": "2", "SLURM_PROCID": "0"}, None),  # a batch script
        ({"SLURM_NTASKS": "2", "SLURM_PROCID": "1"}, ("srun", "1", 2, False)),
        ({"SLURM_STEP_NUM_TASKS": "1", "SLURM_PROCID": "0"}, None),
        (
            {"SLURM_STEP_NUM_TASKS": "2", "SLURM_STEP_TASKS_PER_NODE": "1(x2)", "SLURM_PROCID": "0"},
            ("srun", "0", 2, True),
        ),
        ({"OMPI_COMM_WORLD_SIZE": "1", "OMPI_COMM_WORLD_RANK": "0"}, ("mpirun", "0", 1, False)),
        ({"OMPI_COMM_WORLD_SIZE": "2", "OMPI_COMM_WORLD_LOCAL_SIZE": "1"}, ("mpirun", "", 2, True)),
        ({"PMI_SIZE": "2", "PMI_RANK": "1"}, ("mpiexec", "1", 2, False)),
        ({"WORLD_SIZE": "2", "RANK": "0"}, None),  # in a pod, for what it starts
        ({"WORLD_SIZE": "2", "RANK": "0", "LOCAL_RANK": "0"}, ("torchrun", "0", 2, False)),
        ({"MS_WORKER_NUM": "2", "MS_ROLE": "MS_WORKER", "RANK_ID": "1"}, ("msrun", "1", 2, False)),
    ],
)
def test_launchers_around_ours(environment, found):
    assert around.find_launcher(environment) == found


def test_what_is_another_pythons_is_left_out():
    script = ROOT / "launch" / "python_path.py"
    kept = "/suite:/opt/python3/x:/usr/lib/python3.7/site-packages:/python3.11x"
    done = command(sys.executable, "-IS", script, PYTHONPATH=f"{kept}:/opt/lib/python3.11/site-packages:")
    assert (done.returncode, done.stdout) == (0, kept)
    assert "/opt/lib/python3.11/site-packages" in done.stderr
    assert "3.7" in done.stderr
