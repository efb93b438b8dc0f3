"""models/auto_parallel.py: what can't be split is refused, and an interrupted run leaves nothing."""

import shutil
import signal
import subprocess
import sys
import time

import pytest
from conftest import ENVIRONMENT, ROOT, assert_refused, lines
from split_runs import NETS, PYTHON, files, processes_of, split


@pytest.fixture
def before(tmp_path):
    """An earlier set, which has to stay as it is."""
    for name in ("Net.mindir", "Net0.mindir", "Net1.mindir", "Net2.mindir"):
        (tmp_path / name).write_text(name, encoding="utf-8")
    yield tmp_path / "Net.mindir"
    assert files(tmp_path / "Net.mindir") == ["Net.mindir", "Net0.mindir", "Net1.mindir", "Net2.mindir"]
    assert all(file.read_text(encoding="utf-8") == file.name for file in tmp_path.iterdir())


@pytest.mark.parametrize(
    "net, options, words, texts",
    [
        ("none.py:make_net", {}, [], ["none.py: no such file"]),
        ("make_net", {"net": "x"}, [], ["no such function"]),
        ("dense", {"count": 1}, [], ["1 ranks", "at least 2"]),
        ("dense", {"count": 4}, ["--pipeline_stages=3"], ["3 pipeline stages, 4 ranks"]),
        ("dense", {"shape": ["8x64"]}, [], ["--input 8x64"]),
        ("dense", {"shape": ["float33:8,64"]}, [], ["--input float33:8,64"]),
    ],
)
def test_arguments_that_cannot_be_right(before, net, options, words, texts):
    if options.pop("net", ""):
        done = split(f"{NETS}:none", before, *words)
        assert done.returncode == 1
        assert "none" in lines(done.stderr)[-1]
        return
    assert_refused(split(net, before, *words, **options), 2, *texts)


@pytest.mark.parametrize("name", ["Net.onnx", "none/Net.mindir", "a b.mindir", "Net{rank}.mindir"])
def test_paths_that_cannot_be_written(tmp_path, name):
    assert_refused(split("dense", tmp_path / name), 2, name)
    assert not list(tmp_path.iterdir())


def test_a_net_that_cannot_be_built(before):
    assert_refused(split("broken", before), 1, "the unsharded net: KeyError", "no such layer")


def test_without_mindspore(before):
    """In the environment where it would go on, in the ranks', and in the system's Python, which may have no NumPy."""
    for start in (sys.executable, shutil.which("python3", path="/usr/bin:/usr/local/bin")):
        if start:
            done = split("dense", before, start=start, SPLIT_ENVIRONMENT="1")
            assert_refused(done, 3, "no MindSpore for", "requirements-export.txt")


def test_a_newer_mindspore_is_not_taken_for_the_one_that_splits(before, tmp_path_factory):
    """PyPI's 2.10.0 has a GPU plug-in of the same name."""
    folder = tmp_path_factory.mktemp("site") / "mindspore"
    for name in ("libmindspore_gpu.so.11.6", "gpu/libcuda_ops.so.11", "gpu11.6/libnvidia_collective.so"):
        (folder / "lib" / "plugin" / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / "lib" / "plugin" / name).touch()
    (folder / "__init__.py").touch()
    (folder / "version.py").write_text("__version__ = '2.10.0'\n")
    words = {"PYTHONPATH": str(folder.parent), "SPLIT_ENVIRONMENT": "1"}
    assert_refused(split("dense", before, start=sys.executable, **words), 3, "2.10.0", "2.0.0")


def test_another_python_goes_on_in_the_environment_of_its_own(scripts, before):
    """The environment is MindSpore 2.0.0's that is here, under the name and with the mark of one that was made."""
    made = scripts / ".venv-split"
    made.mkdir()
    for name in ("bin", "lib", "pyvenv.cfg"):
        (made / name).symlink_to(PYTHON.parent.parent / name)
    for name in ("run.sh", "requirements-export.txt"):
        shutil.copy(str(ROOT / name), str(scripts))
    shutil.copy(str(ROOT / "requirements-export.txt"), str(made / "installed"))
    done = split("dense", before, "--timeout=1", start=sys.executable, scripts=scripts)
    assert done.returncode == 124 and "exporting" in done.stdout, done.stderr


def test_an_environment_that_cannot_be_made(scripts, before):
    (scripts / "run.sh").write_text("make_environment() { return 1; }; find_python37() { echo python3; }")
    done = split("dense", before, start=sys.executable, scripts=scripts)
    assert_refused(done, 3, ".venv-split", "2.0.0")


def test_without_a_compiler(before, scripts):
    assert_refused(split("dense", before, scripts=scripts, PATH=str(PYTHON.parent)), 3, "no gcc")
    broken = scripts / "bin"
    broken.mkdir()
    (broken / "gcc").write_text("#!/bin/sh\necho no headers here >&2\nexit 1\n", encoding="utf-8")
    (broken / "gcc").chmod(0o755)
    done = split("dense", before, scripts=scripts, PATH=f"{broken}:{ENVIRONMENT['PATH']}")
    assert_refused(done, 3, "status 1", "no headers here")
    assert not list((scripts / "models" / "device_double" / "built").iterdir())


@pytest.mark.slow
@pytest.mark.parametrize(
    "net, words, status, texts",
    [
        (
            "uneven",
            ["--mode=semi_auto_parallel"],
            1,
            ["rank ", "RuntimeError", "64 cannot be divisible by strategy value 3"],
        ),
        ("fails_on_rank_1", [], 1, ["rank 1: KeyError", "no such layer here"]),
        ("other_on_ranks", [], 1, ["ValueError: parameter"]),
        ("runs_on_the_device", [], 1, ["device double: cuda"]),
        ("crashing", [], 1, ["MindSpore crashed (SIG", "--mode"]),
        ("hangs", ["--timeout=5"], 124, ["5.0 s"]),
    ],
)
def test_a_net_that_cannot_be_split(before, net, words, status, texts):
    done = split(net, before, *words)
    assert_refused(done, status, *texts)
    print(done.stderr)
    log = done.stderr.split("the whole log: ")[1].strip().rstrip(")")
    with open(log, encoding="utf-8", errors="replace") as file:
        assert status == 124 or file.read()


def started(net, path):
    """Start auto_parallel.py; return its process when the net is being built."""
    words = ("--input", "8,64", "--ranks", "2", "--output", path)
    start = [PYTHON, ROOT / "models" / "auto_parallel.py", f"{NETS}:{net}", *words]
    process = subprocess.Popen([str(word) for word in start], env=ENVIRONMENT, stderr=subprocess.PIPE)
    while not processes_of(path, "split_rank.py") or net == "hangs_on_ranks" and not processes_of(path, "mpirun"):
        assert process.poll() is None
        time.sleep(0.1)
    return process


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("net", ["hangs", "hangs_on_ranks"])
def test_one_that_is_ended_leaves_nothing(before, net, number):
    """By a signal such as `kill`'s or Ctrl-C's, while the unsharded net is exported or the ranks work."""
    process = started(net, before)
    process.send_signal(number)
    process.communicate(timeout=60)
    assert process.returncode == (130 if number == signal.SIGINT else 143)
    assert not processes_of(before, "split_rank.py")


@pytest.mark.slow
@pytest.mark.parametrize("net", ["hangs", "hangs_on_ranks"])
def test_one_that_is_killed_leaves_no_process(tmp_path, net):
    process = started(net, tmp_path / "Net.mindir")
    process.kill()
    process.communicate(timeout=60)
    end = time.monotonic() + 20
    while processes_of(tmp_path / "Net.mindir", "split_rank.py"):
        assert time.monotonic() < end
        time.sleep(0.1)
