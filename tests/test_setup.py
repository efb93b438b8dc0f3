"""What run.sh does if nothing, or something else, is prepared. (The tests themselves run in what it set up.)"""

import os
import shutil
import subprocess
import sys

import pytest
from ascend_server import Server
from conftest import ENVIRONMENT, ROOT, assert_refused, command, lines

NAMES = (
    *("run.sh", "requirements.txt", "main.py", "ranks.py", "cpu_mpi_distributed.py"),
    *("mindir", "suite", "launch", "ascend", "models"),
)


@pytest.fixture
def clone(tmp_path):
    """The suite's files in a folder where nothing is prepared."""
    folder = tmp_path / "suite"
    folder.mkdir()
    for name in NAMES:
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(str(ROOT / name), str(folder / name))
    return folder


def test_a_python_that_has_mindspore_lite_is_used_and_nothing_is_installed(clone):
    done = command("./run.sh", cwd=clone, PYTHON=sys.executable)
    assert done.returncode == 0, done.stderr
    assert "check: PASS" in done.stdout
    assert sorted(file.name for file in clone.iterdir() if file.name not in ("__pycache__", "logs")) == sorted(NAMES)


AARCH64 = """
import os, platform, sysconfig
found = os.uname()
os.uname = lambda: type(found)((*found[:4], "aarch64"))
platform.machine = lambda: "aarch64"
sysconfig.get_platform = lambda: "linux-aarch64"
"""


@pytest.fixture
def aarch64(clone):
    """An environment in which the shell and Python take this processor for an Ascend server's."""
    tools, folder = clone.parent / "tools", clone.parent / "python"
    for made in (tools, folder):
        made.mkdir()
    (folder / "sitecustomize.py").write_text(AARCH64)
    (tools / "uname").write_text('#!/bin/sh\n[ "$1" = -m ] && echo aarch64 || exec /bin/uname "$@"\n')
    (tools / "pip").write_text("#!/bin/sh\nexit 9\n")
    for tool in tools.iterdir():
        tool.chmod(0o755)
    return {"PATH": f"{tools}:{os.environ['PATH']}", "PYTHONPATH": str(folder)}


def test_on_aarch64_the_vendors_python_is_taken_and_nothing_is_installed(clone, aarch64):
    server = Server(clone.parent)
    server.write_table(2)
    shutil.copy(str(ROOT / "ascend_ge_distributed.py"), str(clone))
    python = clone.parent / "tools" / "python3"
    python.write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n')
    python.chmod(0o755)
    path = f"{aarch64['PYTHONPATH']}:{server.environment['PYTHONPATH']}"
    done = command(
        *("./run.sh", "--backend=ascend", f"--config_file={server.config}"),
        cwd=clone,
        **{**server.environment, **aarch64, "PYTHONPATH": path},
    )
    assert done.returncode == 0, done.stderr
    assert "check: PASS" in done.stdout
    assert not (clone / ".venv").exists()
    done = command(python, "-c", "import platform; print(platform.machine())", **aarch64)
    assert done.stdout == "aarch64\n"


def test_on_aarch64_nothing_is_installed_that_pypi_has_not(clone, aarch64):
    done = command("./run.sh", "--backend=cpu", cwd=clone, **aarch64)
    assert_refused(done, 3, "aarch64", "PYTHON")
    assert not (clone / ".venv").exists()


def test_without_any_python_37_one_message_names_the_ways_to_get_one(clone):
    """uv finds no network, or no Python: here it is one that fails."""
    tools = clone.parent / "bin"
    tools.mkdir()
    for name in ("bash", "cmp", "dirname", "flock", "id", "python3", "readlink", "timeout"):
        if name == "python3":
            (tools / name).write_text("#!/bin/sh\nexit 1\n")
            (tools / name).chmod(0o755)
        else:
            (tools / name).symlink_to(shutil.which(name))
    done = command("bash", clone / "run.sh", PATH=str(tools), HOME=str(clone.parent), PYENV_ROOT="/none")
    assert done.returncode == 3
    for way in ("pyenv install 3.7", "conda create", "uv python install 3.7", "PYTHON=", "vendor's mindspore_lite"):
        assert way in lines(done.stderr)[-1]
    assert not (clone / ".venv").exists()


def test_a_folder_with_a_space_in_its_path_is_refused_before_anything_is_fetched(clone):
    spaced = clone.with_name("a suite")
    clone.rename(spaced)
    done = command("bash", spaced / "run.sh")
    assert done.returncode == 3
    assert "has a space in it" in lines(done.stderr)[-1]


def test_an_environment_that_others_share_by_a_link_is_never_cleared(clone):
    theirs = clone.parent / "theirs"
    theirs.mkdir()
    (theirs / "installed").write_text("another version\n")
    (clone / ".venv").symlink_to(theirs)
    done = command("./run.sh", "--backend=cpu", cwd=clone)
    assert_refused(done, 3, f"{clone}/.venv", str(theirs), "requirements.txt")
    assert (theirs / "installed").exists()


def test_a_prepared_start_installs_nothing():
    """Without pip and the network: one file tells that the environment is complete."""
    program = ". ./run.sh; install_venv() { exit 9; }; find_python37() { exit 9; }; set_up_python; echo $python"
    done = subprocess.run(
        ["bash", "-c", program], cwd=str(ROOT), env=ENVIRONMENT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == str(ROOT / ".venv" / "bin" / "python")
    assert os.access(done.stdout.strip(), os.X_OK)


def test_another_users_python_that_cannot_be_read_is_named_with_the_reason(clone):
    """As if root had installed it and others started it."""
    hidden = clone.parent / "hidden"
    hidden.mkdir(0o700)
    (hidden / "python").symlink_to(sys.executable)
    (clone / ".venv" / "bin").mkdir(parents=True)
    (clone / ".venv" / "bin" / "python").symlink_to(hidden / "python")
    shutil.copy(str(clone / "requirements.txt"), str(clone / ".venv" / "installed"))
    for folder in (clone, *clone.parents):
        if folder == folder.parent or folder.stat().st_mode & 0o001:
            continue
        folder.chmod(folder.stat().st_mode | 0o055)
    user = ("setpriv", "--reuid=12345", "--regid=12345", "--clear-groups")
    done = command(*user, clone / "run.sh", "--backend=cpu", cwd="/")
    assert done.returncode == 3, done.stderr
    (line,) = lines(done.stderr)
    assert "12345" in line
    assert "ermission denied" in line


def test_the_benchmarks_take_functions_that_run_sh_has():
    text = (ROOT / "benchmarks" / "run.sh").read_text().split("\nset_up_python\n")[0]
    functions = "set_up_python set_up_gpu make_environment"
    done = command("bash", "-c", f"{text}\ndeclare -F {functions}; echo $backend", "benchmarks/run.sh")
    assert done.returncode == 0, done.stderr
    assert lines(done.stdout)[:3] == functions.split()
