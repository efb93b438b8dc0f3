"""Many inputs in one start of run.sh: --input 'batches/*.npz' --output results."""

import os
import pty
import subprocess

import nets
import numpy as np
import pytest
from ascend_server import Server
from conftest import ENVIRONMENT, ROOT, assert_refused, command, lines
from jobs import FAULTS

from launch.progress import Progress

NET = ROOT / "tests" / "fixtures" / "two_inputs" / "2" / "Net.mindir"


def write(folder, count=5):
    """Write so many files of inputs; the third, if there is one, lacks an input."""
    (folder / "batches").mkdir()
    for index in range(count):
        given = nets.inputs("two_inputs", index)
        if index == 2:
            del given["ids"]
        np.savez(str(folder / "batches" / f"b{index}.npz"), **given)


def words(folder, *more):
    return [
        *("./run.sh", "--backend=cpu", f"--model_path={NET}", f"--log_dir={folder / 'logs'}"),
        *("--input", f"{folder}/batches/*.npz", "--output", folder / "results", *more),
    ]


def assert_right(folder, *numbers):
    """Make sure that there are complete results of these files, and no others."""
    assert sorted(os.listdir(str(folder / "results"))) == [f"b{number}.npz" for number in numbers]
    for number in numbers:
        found = np.load(str(folder / "results" / f"b{number}.npz")).values()
        for array, right in zip(found, nets.expected("two_inputs", nets.inputs("two_inputs", number), 2)):
            assert np.max(np.abs(array - right)) <= 1e-5 * np.max(np.abs(right))


def test_each_file_has_its_outputs_and_a_wrong_one_is_named_at_the_end(tmp_path):
    write(tmp_path)
    (tmp_path / "batches" / "b1.npz").write_bytes(b"no archive")
    (tmp_path / "batches" / "b5.npz").symlink_to("none")
    os.mkfifo(str(tmp_path / "batches" / "b6.npz"))
    (tmp_path / "batches" / "b7.npz").mkdir()  # no file, as a pattern such as * may find
    done = command(*words(tmp_path))
    assert done.returncode == 2
    assert_right(tmp_path, 0, 3, 4)
    assert "3 of 7" in done.stdout
    assert all(f"b{number}.npz" in lines(done.stderr)[-1] for number in (1, 2, 5, 6))
    assert "\r" not in done.stderr  # it is no terminal


def test_stop_at_first(tmp_path):
    write(tmp_path)
    done = command(*words(tmp_path, "--stop_at_first"))
    assert done.returncode == 2
    assert_right(tmp_path, 0, 1)
    assert "b2.npz" in lines(done.stderr)[-1]


@pytest.mark.parametrize(
    "seconds, text",
    [
        (1, "2000 of 9000 files, 2000 a second, 0:04 left"),
        (300, "2000 of 9000 files, 6.67 a second, 17:30 left"),
        (40000, "2000 of 9000 files, 0.05 a second, 38:53:20 left"),
    ],
)
def test_count_rate_and_time_left(monkeypatch, seconds, text):
    progress, now = Progress(), [0]
    monkeypatch.setattr("launch.progress.time.monotonic", lambda: now[0])
    assert progress.text("build") == ""
    assert progress.text("predict 1 of 9000") == "0 of 9000 files"
    now[0] += seconds
    assert progress.text("predict 2001 of 9000") == text


def test_progress_on_a_terminal(tmp_path):
    write(tmp_path, 2)
    for number in range(2, 2000):
        (tmp_path / "batches" / f"c{number}.npz").symlink_to("b0.npz")
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [str(word) for word in words(tmp_path, "--check=off")],
        cwd=str(ROOT),
        env=ENVIRONMENT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=theirs,
    )
    os.close(theirs)
    shown = b""
    try:
        while True:
            shown += os.read(ours, 1 << 16)
    except OSError:  # the end of a terminal
        os.close(ours)
    assert b"2000 of 2000" in process.communicate()[0]
    assert process.returncode == 0
    assert b"of 2000 files, " in shown, shown
    assert b" left" in shown
    assert shown.endswith(b"\x1b[K")  # nothing stays


@pytest.mark.parametrize(
    "more, text",
    [
        (["--output="], "--output"),
        (["--repeat=3"], "--repeat"),
        (["--json=x.json"], "--json"),
        (["--input=none/*.npz"], "none/*.npz"),
        (["--output={folder}/batches"], "b0.npz"),
        (["--output={folder}/batches/b0.npz"], "b0.npz"),
        (["--input={folder}/*/b*.npz"], "b0.npz"),
        (["--input={folder}/batches/b0.npz", "--stop_at_first"], "--stop_at_first"),
        (["--input", "{folder}/batches/b0.npz", "{folder}/batches/b1.npz"], "quote the pattern"),
    ],
)
def test_what_is_refused_before_anything_starts(tmp_path, more, text):
    write(tmp_path, 2)
    (tmp_path / "other").mkdir()
    np.savez(str(tmp_path / "other" / "b0.npz"), x=np.ones(3))
    done = command(*words(tmp_path, *[word.format(folder=tmp_path) for word in more]))
    assert_refused(done, 2, text)
    assert not (tmp_path / "logs").exists()


def test_the_check_is_a_step_of_its_own(tmp_path):
    """So it has the time that a build has, not a predict's; nothing is written before."""
    write(tmp_path, 2)
    fault = {"PYTHONPATH": str(FAULTS), "MS_FAULT": "0:check:raise", "MS_FAULT_FIRED": str(tmp_path / "fired")}
    done = command(*words(tmp_path), **fault)
    assert done.returncode == 1
    assert "in check" in done.stderr
    assert not os.listdir(str(tmp_path / "results"))


def test_a_result_that_cannot_be_written_ends_the_job(tmp_path):
    write(tmp_path, 2)
    (tmp_path / "results" / "b1.npz").mkdir(parents=True)
    done = command(*words(tmp_path))
    assert done.returncode == 1
    assert "b1.npz" in done.stderr
    assert not [name for name in os.listdir(str(tmp_path / "results")) if "tmp" in name]


def test_a_pipeline(tmp_path):
    folder = ROOT / "tests" / "fixtures" / "splits" / "pipe_2"
    (tmp_path / "batches").mkdir()
    given, right = (dict(np.load(str(folder / name))) for name in ("in.npz", "out.npz"))
    np.savez(str(tmp_path / "batches" / "b0.npz"), **given)
    done = command(*words(tmp_path, f"--model_path={folder / 'Net.mindir'}"))
    assert done.returncode == 0, done.stderr
    assert "check: PASS" in done.stdout
    for array, expected in zip(np.load(str(tmp_path / "results" / "b0.npz")).values(), right.values()):
        assert np.max(np.abs(array - expected)) <= 1e-5 * np.max(np.abs(expected))


def test_on_ascend(tmp_path):
    server = Server(tmp_path)
    server.write_table(2)
    write(tmp_path, 2)
    given = ("--input", f"{tmp_path}/batches/*.npz", "--output", tmp_path / "results")
    done = server.run(f"--model_path={NET}", *given)
    assert done.returncode == 0, done.stderr
    assert_right(tmp_path, 0, 1)
