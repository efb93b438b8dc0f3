"""What run.sh is started by: another launcher, which would run the whole job once for each of its own ranks; and Open
MPI's settings in the environment."""

import os
import re
import time

from ranks import REFUSED, Stop

# where a launcher says a process's rank, how many ranks there are, and how many of them are on this server
LAUNCHERS = {
    "mpirun": ("OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_LOCAL_SIZE"),
    "srun": ("SLURM_PROCID", "SLURM_STEP_NUM_TASKS", "SLURM_STEP_TASKS_PER_NODE"),  # no batch script has the second
    "mpiexec": ("PMI_RANK", "PMI_SIZE", "MPI_LOCALNRANKS"),  # MPICH's
    "torchrun": ("RANK", "WORLD_SIZE", "LOCAL_WORLD_SIZE"),
    "msrun": ("RANK_ID", "MS_WORKER_NUM", ""),
}
HOSTFILE = "OMPI_MCA_orte_default_hostfile"  # names the list of servers in a pod of Kubeflow's mpi-operator
# settings of how and where ranks start, which this launcher decides; the others only with other servers
PLACING = re.compile(r"OMPI_MCA_(ess|hwloc_base_binding_policy|odls|ras|rmaps|schizo)(_.*)?|" + HOSTFILE)
REACHING = re.compile(r"OMPI_MCA_(orte|plm|rml|routed)(_.*)?")
# needed, too: some pods set the sizes for programs that start ranks themselves
SIGNS = {"srun": "SLURM_PROCID", "torchrun": "LOCAL_RANK", "msrun": "MS_ROLE"}


def find_launcher(environment=os.environ):
    """Return (launcher, its rank as text, number of ranks, whether it has one per server); None if there is none.

    A single process doesn't count: it may be an allocation's shell. One of mpirun's does, as no mpirun starts in it.
    """
    for launcher, (rank, size, local_size) in LAUNCHERS.items():
        number = environment.get(size, "")
        if launcher == "srun" and not number and environment.get(rank, "0") != "0":  # an old srun; a batch script is 0
            number = environment.get("SLURM_NTASKS", "")
        if number.isdigit() and int(number) > (launcher != "mpirun") and SIGNS.get(launcher, size) in environment:
            spread = re.fullmatch(r"1(\(x\d+\))?", environment.get(local_size, ""))
            return launcher, environment.get(rank, ""), int(number), bool(spread)
    return None


def mpi_settings(is_shown=bool):
    """Return the settings of Open MPI, PMIx and PRRTE in the environment, as text: "" for none."""
    names = [name for name in sorted(os.environ) if re.match(r"(OMPI|PMIX|PRTE)_MCA_", name) and is_shown(name)]
    return ", ".join(f"{name}={os.environ[name]}" for name in names)


def is_taken(name, has_servers):
    """Return whether this variable of the environment is passed to mpirun."""
    return not PLACING.fullmatch(name) and (has_servers or not REACHING.fullmatch(name))


def check(backend, session=""):
    """Raise Stop (status 2) in one of the processes, and end the others, where a launcher has started this one.

    On Ascend one run.sh per server is right. A `session` is a program's own job: it says why in whatever process.
    """
    launcher, rank, size, spread = find_launcher() or ("", "", 0, True)
    if not launcher or spread and backend == "ascend":
        return
    if rank not in ("", "0") and LAUNCHERS[launcher][1] in os.environ and not session:  # process 0 prints the reason
        time.sleep(1)
        raise SystemExit(REFUSED)
    times = f"{size} time{'s'[: size != 1]}"
    if session:
        started = f"{launcher} has started the program {times}, but a Session starts the ranks itself"
        raise Stop(REFUSED, f"{started}: leave {launcher} out")
    started = f"{launcher} has started run.sh {times}, but run.sh starts the ranks itself"
    other = f"mpirun -n {max(size, 2)} python3 main.py" if backend != "ascend" else "one run.sh per server"
    other = "./run.sh --launcher=srun" if launcher == "srun" and backend != "ascend" else other
    raise Stop(REFUSED, f"{started}: leave {launcher} out, or use {other}")
