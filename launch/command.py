"""What starts the ranks: mpirun or srun for CPU and GPU ranks; on Ascend, the launcher itself."""

import json
import os
import re
import shutil
import subprocess
import sys

import ranks
from launch import around
from launch.processes import die_with_parent, signal
from ranks import REFUSED, UNAVAILABLE, Stop

# variables of this server's environment that are passed to ranks on other servers
PASSED_ON = re.compile(
    r"(ASCEND|CUDA|GLOG|HCCL|MALLOC|MS|NCCL|OMP|UCX)_.*|PYTHON.*|LAUNCH_BACKEND|LD_LIBRARY_PATH|RANK_TABLE_FILE"
)
started = []  # what start_process() has started


def environment(args):
    """Return the environment that ranks are started with."""
    made = {name: value for name, value in os.environ.items() if not name.startswith("LAUNCH_") or name == "LAUNCH_DEV"}
    made = {name: value for name, value in made.items() if around.is_taken(name, args.has_servers)}
    made["LAUNCH_BACKEND"] = args.backend
    made.setdefault("GLOG_v", "2" if args.verbose else "3")  # the engine logs warnings, or errors only
    if os.geteuid() == 0:
        made.update(OMPI_ALLOW_RUN_AS_ROOT="1", OMPI_ALLOW_RUN_AS_ROOT_CONFIRM="1")
    return made


def guarded_command(args, job, log_dir):
    """Return the command that starts a rank with its guard."""
    limits = {name: getattr(args, f"{name}_timeout") for name in ("start", "build", "predict")}
    settings = {"job": job, "log_dir": log_dir and os.path.abspath(log_dir), "limits": limits, "verbose": args.verbose}
    settings["first_step"] = "" if args.program else "start"
    guard = os.path.join(os.path.dirname(os.path.abspath(__file__)), "guard.py")
    return [sys.executable, "-IS", guard, json.dumps(settings), sys.executable, *args.command]


def start_process(command, environment):
    """Start a process whose output is read here until close_pipes() is called."""
    process = subprocess.Popen(
        command,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,  # Ctrl-C is for the launcher, which ends them
        preexec_fn=lambda: die_with_parent(signal.SIGTERM),
    )
    started.append(process)
    return process


def close_pipes():
    """Close the pipes of what start_process() has started: all have ended, and nobody reads their output any more."""
    for process in started:
        process.stdout.close()
        process.poll()  # or Python would warn that it may still run: it doesn't know who else has waited for it


def mpirun(args, environment, job, size):
    """Return the beginning of the command that starts `size` processes, or, with None, one process per server."""
    if args.launcher == "srun":
        return ["srun", f"--ntasks={size}" if size else "--ntasks-per-node=1"]
    here = os.path.dirname(sys.executable)
    program = os.path.join(here, "mpirun")
    program = program if os.access(program, os.X_OK) else shutil.which("mpirun")
    if not program:
        message = f"no mpirun in {here} or on the PATH: install the MPI that mpi4py was built with"
        raise Stop(UNAVAILABLE, message)
    # each rank takes its share of the cores itself (--bind-to none), and there may be fewer of them than ranks
    command = [program, "--bind-to", "none", "--oversubscribe"]
    command += ["-n", str(size)] if size else ["--map-by", "ppr:1:node"]
    if args.hostfile:
        command += ["--hostfile", servers_file(args, job), "--prefix", os.path.dirname(os.path.dirname(program))]
        command += [word for name in sorted(environment) if PASSED_ON.fullmatch(name) for word in ("-x", name)]
    elif not (shutil.which("ssh") or shutil.which("rsh") or "SLURM_JOB_ID" in environment):
        # without this, mpirun refuses to start, though it needs neither on one server; in Slurm it has srun
        command += ["--mca", "plm", "isolated"]
    return [*command, "--mca", "orte_tmpdir_base", job]  # so that its files are found even if it is killed


def servers_file(args, job):
    """Return the file that mpirun reads the servers from: the one given, or a copy in Open MPI's format."""
    if not args.servers:
        return args.hostfile
    path = os.path.join(job, "hostfile")
    with open(path, "w", encoding="utf-8") as file:
        file.writelines(f"{line}\n" for line in args.servers)
    return path


def count_ranks(args):
    """Return how many CPU or GPU ranks to start."""
    if args.program and not args.ranks:
        raise Stop(REFUSED, f"{args.program[0]}: how many ranks? Give --ranks")
    return args.ranks or max(ranks.count_shards(args.model_path), 1)  # if there is none, main.py says what is missing
