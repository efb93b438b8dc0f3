"""Ranks on several servers, and ranks that Slurm starts."""

import os
import shutil
import subprocess
import sys
import time
import uuid
from pathlib import Path

import pytest
from conftest import ENVIRONMENT, MODEL, ROOT, assert_refused, command
from jobs import ACTIONS, FAULTS, Job, cmdline, lines_of_ranks, living_pids, shared_memory

from launch import processes
from launch.guard import GRACE


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
    """The environment inside an allocation; its srun is SRUN."""
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
    job = Job(tmp_path, "--launcher=srun", "--start_timeout=6", NEVER="1", **slurm)
    try:
        done = job.end()
    finally:
        job.kill()
    assert done.returncode == 124, done.stderr
    assert "rank 1: never appeared" in done.stderr
    assert "not heard from yet: rank 1" in done.stderr  # while the others wait


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
    """The fault's variables do reach it. There, only the guard can end a rank that doesn't end by itself."""
    status, text = ACTIONS[action]
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
            pid for pid in living_pids(job.mark) if b"main.py" in cmdline(pid) and server_of(pid) == f"{servers}2"
        ] or [0]
        done = job.end()
    finally:
        job.kill()
    assert done.returncode == status, done.stderr
    named = lines_of_ranks(done.stderr)
    assert 1 in [number for number, _ in named] if status == 124 else [number for number, _ in named] == [1]
    assert any(text in line for _, line in named)
    assert job.ended_at - float(job.fired.read_text()) < (10 if status == 124 else 6)


def test_a_server_that_is_cut_off(tmp_path, servers):
    """The job ends within its limit, and nothing is left on either side."""
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
