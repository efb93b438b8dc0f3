"""README.md and the pages in docs/: their commands are run in a clone, and print what the pages show."""

import os
import re
import shutil
import subprocess
import sys

import pytest
from ascend_server import Server
from conftest import ROOT, command, count_gpus
from documents import ENGLISH, Block, blocks, compare, normalised
from test_servers import SRUN


def test_the_comparison_can_fail():
    def differs(shown, printed, detail=""):
        try:
            compare(Block("output", detail, "", shown, 1), printed)
        except AssertionError:
            return True
        return False

    assert not differs("a 1\n...\nz 2.50\n", ["a 1", "b", "c", "z 2.500001"])
    assert differs("a 1\n...\nz 2.50\n", ["a 1", "b", "c", "z 2.51"])
    assert differs("a 1\n...\nz 2.50\n", ["a 2", "b", "z 2.50"])
    assert differs("a 1\n", ["a 1", "more"])
    assert differs("a 1\nb\n", ["a 1"])
    assert differs("...\nb\n", ["a", "b", "c"])
    assert not differs("p 1.5 x\n", ["p 27.25 x"], "numbers differ")
    assert differs("p 1.5 x\n", ["p 27.25 y"], "numbers differ")
    assert not differs("b\na\n", ["a", "b"], "any order")
    assert differs("b\na\n", ["a", "a"], "any order")


@pytest.fixture(scope="module")
def clone(tmp_path_factory):
    """A fresh clone with uncommitted changes, and the environments and the package that are here already."""
    folder = tmp_path_factory.mktemp("readme") / "suite"
    subprocess.run(["git", "clone", "-q", str(ROOT), str(folder)], check=True)
    changed = subprocess.run(["git", "diff", "--binary", "HEAD"], cwd=str(ROOT), stdout=subprocess.PIPE, check=True)
    if changed.stdout:
        subprocess.run(["git", "apply"], cwd=str(folder), input=changed.stdout, check=True)
    for name in (".venv", ".venv-export"):
        if (ROOT / name).exists():
            (folder / name).symlink_to((ROOT / name).resolve())
    for path in ROOT.glob("models/*.whl"):
        (folder / "models" / path.name).symlink_to(path)
    return folder


def session(folder, platform, before="", **environment):
    """Run the platform's blocks of all pages in one shell; compare what they print with what is shown."""
    everything, script, mine = [], ["set -e", "exec 2>&1"], []
    for page in ENGLISH:
        everything += [(page, block) for block in blocks(page)]
    following = [block for _, block in everything[1:]] + [None]
    for (page, block), after in zip(everything, following):
        if block.kind == "file" and platform.startswith("cpu"):
            script.append(f"cat > {block.detail} <<'@@END'\n{block.code}@@END")
        if block.kind != "runnable" or block.detail.split(", ")[0] != platform:
            continue
        status = int((block.detail.split(", status ") + ["0"])[1])
        mine.append((f"{page}:{block.line}", status, after if after and after.kind == "output" else None))
        script += [before, f"echo '@@ block {len(mine) - 1}'"]
        script.append(f"{block.code}" if not status else f'set +e\n{block.code}echo "@@ status $?"\nset -e')
    assert mine
    (folder.parent / f"{platform}.sh").write_text("\n".join([*script, "echo '@@ end'"]) + "\n", encoding="utf-8")
    done = command("bash", folder.parent / f"{platform}.sh", cwd=folder, timeout=280, **environment)
    printed = re.split(r"^@@ block \d+\n", done.stdout, flags=re.M)[1:]
    assert printed, done.stderr
    assert done.stdout.rstrip().endswith("@@ end"), f"{mine[len(printed) - 1][0]}:\n{printed[-1]}"
    for (where, status, output), text in zip(mine, printed):
        if status:
            text, ended = text.rsplit("@@ status ", 1)
            assert int(ended.split()[0]) == status, text
        if output:
            compare(output, normalised(text.replace("@@ end\n", ""), folder), where)
    assert len(printed) == len(mine)


NO_DEVICES = pytest.mark.skipif(
    any(os.path.exists(path) for path in ("/dev/davinci0", "/dev/nvidia0")), reason="./run.sh takes the device here"
)


@NO_DEVICES
def test_the_commands_for_the_cpu(clone):
    """In order, in the clone. The environments already have what pip is asked to install."""
    session(clone, "cpu", PIP_DISABLE_PIP_VERSION_CHECK="1")


@pytest.mark.slow
def test_the_commands_that_split(clone):
    """Exports and the commands that run them, apart from the others as they take long; python3 is the suite's."""
    path = f"{os.path.dirname(sys.executable)}:{os.environ['PATH']}"
    session(clone, "cpu-split", PIP_DISABLE_PIP_VERSION_CHECK="1", PATH=path)


def test_the_commands_for_slurm(clone, tmp_path):
    """srun is the double of test_servers.py."""
    (tmp_path / "srun").write_text(SRUN)
    (tmp_path / "srun").chmod(0o755)
    mpirun = os.path.join(os.path.dirname(sys.executable), "mpirun")
    session(clone, "srun-double", PATH=f"{tmp_path}:{os.environ['PATH']}", SLURM_JOB_ID="1", MPIRUN=mpirun)


HCCN_TOOL = """#!/bin/sh
# every device of every server has another address
echo x >> "$0.calls"
echo "ipaddr:192.$(wc -l < "$0.calls").$2.6"
echo netmask:255.255.0.0
"""


def test_the_commands_for_ascend(clone, tmp_path):
    """On the double of mindspore_lite's Ascend, with one of hccn_tool; python3 is the suite's."""
    server = Server(tmp_path)
    tools = tmp_path / "tools"
    tools.mkdir()
    (tools / "hccn_tool").write_text(HCCN_TOOL)
    (tools / "hccn_tool").chmod(0o755)
    path = f"{tools}:{os.path.dirname(sys.executable)}:{os.environ['PATH']}"
    environment = {**server.environment, "PATH": path, "GLOG_v": "3"}
    before = f"export ASCEND_DOUBLE_HUB=$(mktemp -d -p {tmp_path})"  # one for each job
    session(clone, "ascend-double", before, **environment)


TO_ASCEND = {  # what docs/programs.md says has to be changed in README.md's program there
    "from cpu_mpi_distributed import create_context": "from ascend_ge_distributed import create_context, rank_table",
    "from suite.cpu_model import Model": "import os",
    "comm = ranks.world()": 'rank, device = int(os.environ["LAUNCH_RANK"]), int(os.environ["LAUNCH_DEVICE"])',
    "Model(comm)": "mslite.Model()",
    "comm.rank, comm.size": 'rank, int(os.environ["LAUNCH_SIZE"])',
    "create_context(comm)": "create_context(device, rank), CONFIG, rank_table(CONFIG)",
    "gathered = comm.gather(np.stack(results))": "gathered = [np.stack(results)]",
    "comm.rank == 0": "True",
}


def test_the_program_in_readme_runs_on_ascend_as_it_says(clone, tmp_path):
    """On the double; there, both ranks print."""
    server = Server(tmp_path)
    server.write_table(2)
    (program,) = [block.code for block in blocks("README.md") if block.detail == "mine.py"]
    for mine, theirs in TO_ASCEND.items():
        assert program.count(mine) == 1, mine
        program = program.replace(mine, theirs.replace("CONFIG", repr(str(server.config))))
    (clone / "ascend_mine.py").write_text(program, encoding="utf-8")
    words = ("--backend=ascend", f"--config_file={server.config}", f"--log_dir={tmp_path}", "ascend_mine.py")
    done = command("./run.sh", *words, cwd=clone, **server.environment)
    assert done.returncode == 0, done.stderr
    assert sorted(done.stdout.splitlines()) == [
        f"rank {rank}: {line}"
        for rank in (0, 1)
        for line in ("ranks agree: True", "ranks, inputs, rows, columns: (1, 20, 4, 128)")
    ]


@pytest.mark.gpu
@pytest.mark.skipif(count_gpus() < 2, reason=f"needs 2 NVIDIA GPUs, here are {count_gpus()}")
def test_the_commands_for_gpus(tmp_path):
    """In a copy, if there is no git; with this interpreter and its mpirun."""
    folder = tmp_path / "suite"
    shutil.copytree(str(ROOT), str(folder), symlinks=True, ignore=shutil.ignore_patterns(".git", ".gpu", "logs"))
    path = f"{os.path.dirname(sys.executable)}:{os.environ['PATH']}"
    session(folder, "gpu", PATH=path, PYTHON=sys.executable)
