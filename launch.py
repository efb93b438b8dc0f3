"""Start one process a rank, watch over them, and end them together: what run.sh calls once the environment is there.

Every rank gets a guard, which is this file again. Started by mpirun or srun (CPU, GPU) or directly (Ascend), the guard
starts the rank, writes all that it says to its log, and ends it when a step takes longer than its limit: a process of
its own can do that whatever the engine does in the rank's. The guards tell the launcher which step their ranks are in
and how they ended; the first failure ends the job, and its status is the launcher's.

It needs Linux and Python's standard library.
"""

import argparse
import collections
import contextlib
import ctypes
import functools
import glob
import json
import mmap
import os
import re
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
LIBC = ctypes.CDLL(None)
FAILED, REFUSED, UNAVAILABLE, DIFFERENT, TIMEOUT = 1, 2, 3, 4, 124  # exit statuses
DEV = os.environ.get("LAUNCH_DEV", "/dev")  # where drivers make their device files (tests: another folder)
# who starts ranks, and where it tells a process its rank, its number on its server and how many ranks there are
STARTERS = (
    ("LAUNCH_RANK", "LAUNCH_LOCAL_RANK", "LAUNCH_SIZE"),  # this file, on Ascend
    ("OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_LOCAL_RANK", "OMPI_COMM_WORLD_SIZE"),  # Open MPI
    ("SLURM_PROCID", "SLURM_LOCALID", "SLURM_NTASKS"),  # srun
    ("PMI_RANK", "MPI_LOCALRANKID", "PMI_SIZE"),  # MPICH
)
# which limit holds for a step, by its first word (see step() in inference.py)
LIMITS = {
    "start": "start",
    "read": "build",
    "build": "build",
    "predict": "predict",
    "check": "build",
    "exit": "predict",
}
GRACE = 5  # seconds from SIGTERM to SIGKILL
LINE, ROOM = 8192, 64  # bytes of a line that are shown together; messages that may wait for who reads them
SHOWN = 10  # how many lines of a failed rank's log are shown
STEP, WITHIN, PAGE = 96, 128, 4096  # bytes that a rank shares with its guard: its step, where in it, how it failed
MARK = "@launch "  # begins what a guard tells the launcher, in its stderr
PASSED_ON = re.compile(r"(ASCEND|CUDA|GLOG|HCCL|MALLOC|MS|NCCL|OMP|UCX)_.*|PYTHON.*|LD_LIBRARY_PATH|RANK_TABLE_FILE")


def identity(environment=os.environ):
    """Return (rank, number on its server, number of ranks) that this process was started with; None if it wasn't.

    mpirun's word comes before Slurm's, whose variables are the batch script's where mpirun runs in an allocation.
    """
    for names in STARTERS:
        if names[0] in environment and names[2] in environment:
            return tuple(int(environment.get(name, 0)) for name in names)
    return None


# Processes


def die_with_parent(number=signal.SIGKILL):
    """Have the kernel send this process a signal when its parent is gone, in whatever way."""
    LIBC.prctl(1, number)  # PR_SET_PDEATHSIG


def adopt_orphans():
    """Become the parent of all processes below that lose theirs, so that they are found at the end."""
    LIBC.prctl(36, 1)  # PR_SET_CHILD_SUBREAPER


def below():
    """Return the process ids of this process's children, grandchildren, ... that live."""
    children = {}
    for path in glob.glob("/proc/[0-9]*/stat"):
        try:
            with open(path, "rb") as file:
                pid, rest = file.read().split(b" (", 1)
        except OSError:
            continue  # has just ended
        state, parent = rest.rpartition(b") ")[2].split()[:2]
        if state != b"Z":
            children.setdefault(int(parent), []).append(int(pid))
    found = [os.getpid()]
    for each in found:
        found.extend(children.get(each, ()))
    return found[1:]


def end_all_below():
    """Kill every process below this one; return when none is left (2 s later at most)."""
    for _ in range(100):
        for pid in below():
            with contextlib.suppress(OSError):  # it may have just ended
                os.kill(pid, signal.SIGKILL)
        try:
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        except ChildProcessError:
            return
        time.sleep(0.02)


# The guard of one rank


def guard(options, command):
    """Run the rank's command and tell the launcher of its steps and its end. Returns the exit status."""
    die_with_parent(signal.SIGTERM)
    adopt_orphans()
    folder = tempfile.mkdtemp(prefix=os.path.basename(options["job"]) + "-")  # the rank's TMPDIR
    launcher_gone = []
    try:
        return guard_in(folder, options, command, launcher_gone)
    finally:
        end_all_below()
        shutil.rmtree(folder, ignore_errors=True)
        if launcher_gone:
            remove_job(options["job"])


def guard_in(folder, options, command, launcher_gone):
    rank, local_rank, size = identity()
    log_path = os.path.join(options["log_dir"], f"rank_{rank}.log")
    log, asked, kill_at, expired = None, False, None, None

    # messages to the launcher wait here while it doesn't read: this process never does
    waiting = collections.deque()
    if options["socket"]:
        channel = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        channel.connect(short(options["job"], "messages"))
        channel.setblocking(False)
        head, tail, put, out, most = b"", b"", channel.send, channel.fileno(), 4 * LINE
    else:  # on another server: through mpirun, which mixes long messages of several ranks
        os.set_blocking(2, False)
        head, tail, put, out, most = MARK.encode(), b"\n", functools.partial(os.write, 2), 2, 0

    def tell(**what):
        waiting.append(head + json.dumps({"rank": rank, **what}).encode() + tail)
        flush()

    def flush():
        while waiting:
            try:
                sent = put(waiting[0])
            except BlockingIOError:
                return
            except OSError:
                waiting.clear()
                launcher_gone.append(True)
                ask()
                return
            if sent < len(waiting[0]):
                waiting[0] = waiting[0][sent:]
            else:
                waiting.popleft()

    def ask(*_):
        """End the rank: the launcher, or whoever started this process, wants it."""
        nonlocal asked, kill_at
        asked = True
        if kill_at is None:
            kill_at = time.monotonic() + GRACE
            child.send_signal(signal.SIGTERM)
            child.send_signal(signal.SIGCONT)  # a stopped process hears nothing else

    with open(os.path.join(folder, "page"), "w+b") as file:
        file.truncate(PAGE)
        page = mmap.mmap(file.fileno(), PAGE)  # where the rank writes its step
        page[:5] = b"start"
        environment = dict(os.environ, TMPDIR=folder, PYTHONFAULTHANDLER="1", LAUNCH_PAGE=str(file.fileno()))
        environment.update(zip(STARTERS[0], (str(rank), str(local_rank), str(size))))
        child = subprocess.Popen(
            command,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            pass_fds=[file.fileno()],
            start_new_session=True,  # signals that mpirun sends to its processes are for the guard alone
            preexec_fn=die_with_parent,
        )
    for number in (signal.SIGUSR1, signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, ask)
    tell(pid=os.getpid())

    # what it says: all of it to the log, stdout to the terminal, too
    try:
        os.makedirs(options["log_dir"], exist_ok=True)
        log = open(log_path, "wb", 0)  # noqa: SIM115  (for as long as the rank runs)
    except OSError as error:
        tell(warning=f"{log_path}: can't be written: {error.strerror}")
    last, errors = collections.deque(maxlen=SHOWN), collections.deque(maxlen=SHOWN)
    shown_on = {child.stdout.fileno(): 1, child.stderr.fileno(): 2 if options["verbose"] else None}
    unfinished = dict.fromkeys(shown_on, b"")  # the line that isn't whole yet

    def hear(source, data):
        nonlocal log
        try:
            if log:
                log.write(data)
        except OSError as error:
            log = None
            tell(warning=f"{log_path}: can't be written from here on: {error.strerror}")
        if not data and unfinished[source]:  # the end
            data = b"\n"
        *lines, unfinished[source] = (unfinished[source] + data).split(b"\n")
        if len(unfinished[source]) > LINE:
            lines, unfinished[source] = [*lines, unfinished[source]], b""
        on, together, size = shown_on[source], [], 0
        for piece in [line[begin : begin + LINE] for line in lines for begin in range(0, len(line) or 1, LINE)]:
            text = piece.decode(errors="replace")
            last.append(text)
            if "[ERROR]" in text:
                errors.append(text)
            if on:
                together.append(text if re.match(r"rank \d+: ", text) else f"rank {rank}: {text}")
                size += len(together[-1])
            if size > most:
                tell(show="\n".join(together), on=on)
                together, size = [], 0
        if together:
            tell(show="\n".join(together), on=on)

    sources = list(shown_on)
    for source in sources:
        os.set_blocking(source, False)
    step, since, told, told_at, looked_at = "start", time.monotonic(), None, 0, time.monotonic()
    ended = False
    while True:
        if not ended and child.poll() is not None:
            ended = True
            end_all_below()  # what it leaves could go on writing for ever
        crowded = len(waiting) > ROOM and not launcher_gone  # the terminal isn't read: let the rank wait, too
        readable, _, _ = select.select(
            [] if crowded else sources, [out] if waiting else [], [], 0 if ended and not crowded else 0.2
        )
        for source in readable:
            data = read(source)
            hear(source, data)
            if not data:
                sources.remove(source)
        flush()
        if ended and not crowded and not readable:
            break
        if not sources and not ended:
            time.sleep(0.05)  # it has closed them, and goes on
        now, text = time.monotonic(), page[:STEP].rstrip(b"\0").decode(errors="replace")
        if text != step:
            step, since = text, now
        elif crowded:
            since += now - looked_at  # not its fault
        looked_at = now
        if step != told and (now - told_at > 1 or ended):
            told, told_at = step, now
            tell(step=step)
        option = LIMITS.get(step.split(" ")[0], "predict")
        limit = options["limits"][option]
        if now - since > limit and kill_at is None and not ended:
            with open(f"/proc/{child.pid}/stat") as file:
                stopped = file.read().rpartition(") ")[2].startswith("T")
            place = page[STEP:WITHIN].rstrip(b"\0").decode(errors="replace")
            where = f"{step} ({place})" if place else step
            expired = f"{'stopped by a signal' if stopped else 'still'} in {where} after {limit:g} s"
            expired += f" (--{option}_timeout)"
            child.send_signal(signal.SIGUSR1)  # writes where it is into the log: run() in inference.py
            kill_at = now + 0.5
        if kill_at and now > kill_at and not ended:
            child.kill()
    for source in shown_on:
        hear(source, b"")
    step = page[:STEP].rstrip(b"\0").decode(errors="replace")
    tell(step=step)

    # how it ended
    code = child.returncode
    status, _, said = page[WITHIN:].rstrip(b"\0").decode(errors="replace").partition(" ")
    failed = None
    if expired:
        failed = {"failed": expired, "status": TIMEOUT, "step": where}
    elif asked and code in (-signal.SIGTERM, -signal.SIGKILL):
        pass  # as asked, and no failure of its own
    elif code < 0:
        failed = {"failed": f"died in {step}: {signal_name(-code)}", "status": 128 - code}
    elif said and int(status) == code:
        failed = {"failed": f"failed in {step}", "status": code, "said": said}
    elif code or step != "exit":  # run() in inference.py comes to its end, or it ended before its work did
        failed = {"failed": f"ended in {step} with status {code}", "status": code or FAILED}
    if failed:
        for line in (*(each for each in errors if each not in last), *last):
            tell(log=line[:300])
        tell(**failed)
    elif code == 0:  # and not what was only asked to end
        tell(ended=True)
    wait_until = time.monotonic() + 10
    while waiting and time.monotonic() < wait_until:
        select.select([], [out], [], 0.2)
        flush()
    while failed and not asked and time.monotonic() < wait_until:  # mpirun would end the others a second later
        time.sleep(0.05)
    return failed["status"] if failed and not asked else 0


def read(source):
    """Return what there is to read; b"" at the end, or when there is nothing."""
    try:
        return os.read(source, 65536)
    except BlockingIOError:
        return b""


def short(folder, name):
    """Return a path of the socket `name` in the folder that is as short as a socket's has to be (108 bytes)."""
    return f"/proc/self/fd/{os.open(folder, os.O_RDONLY | os.O_DIRECTORY)}/{name}"


def signal_name(number):
    """Return SIGKILL for 9; real-time signals have no names."""
    return signal.Signals(number).name if number in set(signal.Signals) else f"signal {number}"


def remove_job(job):
    """Remove what a job, or a part of it that was killed, left in temporary folders."""
    for path in (*glob.glob(f"{glob.escape(job)}*"), os.path.join("/dev/shm", os.path.basename(job))):
        shutil.rmtree(path, ignore_errors=True)


# The launcher

EXAMPLES = """examples:
    ./run.sh                                                       # models/Matmul, on what this machine has
    ./run.sh --model_path=models/MiniLM.mindir --backend=cpu --warmup=10 --repeat=100
"""


def help_with_main(parser):
    """Return the help of run.sh: its own options and, in the same groups, those that it hands on to main.py."""
    command = [sys.executable, os.path.join(HERE, "main.py"), "--help"]
    theirs = subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout.decode()
    usage, idea, *own, examples = parser.format_help().rstrip().split("\n\n")
    groups, seen = {}, {"-h,", "--rank_id", "--device_id"}  # which the launcher gives itself
    for paragraph in (*own, *theirs.split("\n\n")):
        title, *options = re.split(r"\n(?=  -)", paragraph)
        for option in options:
            name = option.split()[0]
            if name not in seen:
                groups.setdefault(title, []).append(option)
            seen.add(name)
    return "\n\n".join([usage, idea, *("\n".join([title, *each]) for title, each in groups.items()), examples])


def parse_arguments():
    parser = argparse.ArgumentParser(
        prog="run.sh",
        usage="./run.sh [--model_path X.mindir] [--backend BACKEND] [option]...",
        description="Run a distributed model, one process a rank, and check the result against the unsharded model.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
        add_help=False,
    )
    parser.error = lambda message: stop(REFUSED, f"{message} (./run.sh --help)")
    model = parser.add_argument_group("model")
    path = os.path.relpath(os.path.join(HERE, "models", "Matmul.mindir"))
    text = "X.mindir where the shards are X0.mindir, X1.mindir, ... (default: models/Matmul.mindir)"
    model.add_argument("--model_path", metavar="X.mindir", default=path, help=text)
    text = "mindspore_lite's configuration file (default: none, on Ascend config_file.ini)"
    model.add_argument("--config_file", metavar="FILE", help=text)
    text = "how many to start (default: as many as there are shards)"
    model.add_argument("--ranks", metavar="N", type=int, help=text)
    back_end = parser.add_argument_group("back end")
    text = "auto: that of this machine's devices, cpu where there are none (default: auto)"
    back_end.add_argument("--backend", choices=("auto", "cpu", "gpu", "ascend"), required=True, help=text)
    parser.add_argument("--why", default="as asked", help=argparse.SUPPRESS)
    parser.add_argument("-h", "--help", action="store_true", help=argparse.SUPPRESS)
    servers = parser.add_argument_group("several servers")
    text = "CPU, GPU: Open MPI's list of servers, lines `address slots=2` (default: none)"
    servers.add_argument("--hostfile", metavar="FILE", help=text)
    text = "CPU, GPU: who starts the ranks; srun: inside a Slurm allocation (default: mpirun)"
    servers.add_argument("--launcher", choices=("mpirun", "srun"), help=text)
    text = "Ascend: which of the rank table's this is (default: found by its addresses)"
    servers.add_argument("--server_id", metavar="ID", help=text)
    watch = parser.add_argument_group("limits and logs")
    text = "seconds from a rank's start until it knows the others (default: 120)"
    watch.add_argument("--start_timeout", type=float, default=120, metavar="S", help=text)
    text = "seconds for reading the files, for the build and for the check (default: 1800)"
    watch.add_argument("--build_timeout", type=float, default=1800, metavar="S", help=text)
    text = "seconds for each predict, and for the end of a rank (default: 120)"
    watch.add_argument("--predict_timeout", type=float, default=120, metavar="S", help=text)
    text = "a log for each rank, all that it wrote (default: logs/<time>, the last one also logs/latest)"
    watch.add_argument("--log_dir", metavar="DIR", help=text)
    watch.add_argument("--verbose", action="store_true", help="what the engine writes on the terminal, too")
    args, rest = parser.parse_known_args()
    if args.help:
        print(help_with_main(parser))
        sys.exit()
    for name in ("start_timeout", "build_timeout", "predict_timeout"):
        if not getattr(args, name) >= 1:  # guards look five times a second
            parser.error(f"--{name} {getattr(args, name)}: seconds, at least 1")
    if args.ranks is not None and args.ranks < 1:
        parser.error(f"--ranks {args.ranks}: a number of at least 1")
    if args.backend == "ascend" and not args.config_file:
        args.config_file = os.path.relpath(os.path.join(HERE, "config_file.ini"))
    if args.backend == "ascend" and (args.hostfile or args.launcher):
        parser.error("--hostfile and --launcher are for cpu and gpu: on ascend start run.sh on each server")
    if args.backend != "ascend" and args.server_id:
        parser.error(f"--server_id is for ascend, this is {args.backend}: give --hostfile")
    if args.hostfile and args.launcher == "srun":
        parser.error("--hostfile and --launcher srun: Slurm knows its servers: leave --hostfile out")
    if args.launcher == "srun" and "SLURM_JOB_ID" not in os.environ:
        parser.error("--launcher srun: no allocation here (no SLURM_JOB_ID): salloc or sbatch first")
    return args, rest


PENDING = {1: bytearray(), 2: bytearray()}  # what is to be shown on stdout and stderr: watch() never waits for them


def show(line, on=2):
    if on in PENDING:
        PENDING[on] += f"{line}\n".encode()


def say(message):
    show(f"run.sh: {message}")


def pour(seconds):
    """Show what is pending as far as the terminal takes it now; return what happened where nobody reads it any more."""
    full = [number for number in PENDING if PENDING[number]]
    for number in select.select([], full, [], seconds)[1] if full else ():
        try:
            del PENDING[number][: os.write(number, PENDING[number][: select.PIPE_BUF])]
        except OSError as error:
            del PENDING[number]
            return f"{('', 'stdout', 'stderr')[number]}: {error.strerror}"
    return None


def stop(status, message):
    """End the launcher before anything runs."""
    say(message)
    while PENDING.get(2):
        pour(None)
    sys.exit(status)


def count_shards(model_path):
    """Return how many shards lie there; 1 where there is none, since main.py says what is missing."""
    stem = re.sub(r"(_graph)?\.mindir$", "", model_path)
    count = 0
    while any(os.path.exists(f"{stem}{count}{ending}") for ending in (".mindir", "_graph.mindir")):
        count += 1
    return max(count, 1)


def make_log_dir(log_dir, ranks):
    """Make the folder of the logs and return its path; logs/latest is the last one made without --log_dir."""
    try:
        if log_dir:
            os.makedirs(log_dir, exist_ok=True)
            for path in glob.glob(os.path.join(glob.escape(log_dir), "rank_*.log")):
                number = re.search(r"rank_(\d+)\.log$", path)
                if number and int(number.group(1)) >= ranks:  # of a job with more ranks; a guard replaces its own
                    os.remove(path)
            return log_dir
        name, number = time.strftime("%Y-%m-%d_%H%M%S"), 0
        os.makedirs("logs", exist_ok=True)
        while True:  # two jobs may start in the same second
            log_dir = os.path.join("logs", f"{name}.{number}" if number else name)
            try:
                os.mkdir(log_dir)
                break
            except FileExistsError:
                number += 1
        link = f"{log_dir}.latest"
        os.symlink(os.path.basename(log_dir), link)
        os.replace(link, os.path.join("logs", "latest"))
        return log_dir
    except OSError as error:
        return stop(REFUSED, f"--log_dir {log_dir or 'logs'}: can't be written: {error.strerror}: give another")


def mpirun_command(args, environment, job, ranks):
    """Return the start of the mpirun or srun command line that starts `ranks` processes."""
    if args.launcher == "srun":
        return ["srun", f"--ntasks={ranks}" if ranks else "--ntasks-per-node=1"]
    mpirun = os.path.join(os.path.dirname(sys.executable), "mpirun")
    mpirun = mpirun if os.access(mpirun, os.X_OK) else shutil.which("mpirun")
    if not mpirun:
        where = os.path.dirname(sys.executable)
        stop(UNAVAILABLE, f"no mpirun in {where} or on the PATH: install the MPI that its mpi4py was built with")
    # each rank takes its share of the cores itself (--bind-to none), and there may be fewer of them than ranks
    command = [mpirun, "--quiet", "--bind-to", "none", "--oversubscribe"]
    command += ["-n", str(ranks)] if ranks else ["--map-by", "ppr:1:node"]
    if args.hostfile:
        command += ["--hostfile", args.hostfile, "--prefix", os.path.dirname(os.path.dirname(mpirun))]
        command += [word for name in sorted(environment) if PASSED_ON.fullmatch(name) for word in ("-x", name)]
    elif os.access("/dev/shm", os.W_OK):
        shared = os.path.join("/dev/shm", os.path.basename(job))
        os.makedirs(shared, exist_ok=True)
        command += ["--mca", "btl_vader_backing_directory", shared]
    return [*command, "--mca", "orte_tmpdir_base", job]  # what it leaves where it is killed lies where it is found


def check_servers(args, environment, job, caught):
    """Make sure that all servers have what the ranks need, under the same paths."""
    paths = [os.getcwd(), sys.executable, os.path.join(HERE, "main.py"), *filter(None, [args.config_file])]
    stem = re.sub(r"(_graph)?\.mindir$", "", args.model_path)
    paths += glob.glob(f"{glob.escape(stem)}[0-9]*.mindir")
    script = 'for each; do [ -e "$each" ] || echo "missing $(uname -n) $each"; done; echo here'
    command = [*mpirun_command(args, environment, job, None), "sh", "-c", script, "sh", *map(os.path.abspath, paths)]
    process = run(command, environment)
    servers, deadline = args.hostfile or "the allocation", time.monotonic() + args.start_timeout
    while True:
        try:
            said, errors = (text.decode(errors="replace").splitlines() for text in process.communicate(timeout=0.2))
            break
        except subprocess.TimeoutExpired:
            if caught:
                stop(128 + caught[0], f"interrupted ({signal_name(caught[0])})")
            if time.monotonic() > deadline:
                stop(TIMEOUT, f"not all servers of {servers} answered in {args.start_timeout:g} s (--start_timeout)")
    for each in said:
        if each.startswith("missing "):
            stop(REFUSED, "{1}: {2}: no such file: copy it there, under the same path".format(*each.split(" ", 2)))
    if process.returncode or "here" not in said:
        for each in errors[:SHOWN]:
            show(each)
        advice = "ssh to each must work without a password, and Python lie under the same path"
        stop(FAILED, f"the servers of {servers} can't all be reached: {advice}")


def ascend_ranks(args):
    """Return ([(rank, device)] of this server by the rank table, number of all ranks)."""
    import ranks
    from ascend import config, devices, server, table

    try:
        path = config.rank_table_file(args.config_file)
        if not path:
            message = (
                "names no rank table (rank_table_file in [ascend_context]), which joins the ranks: see config_file.ini"
            )
            stop(REFUSED, f"{args.config_file}: {message}")
        content = table.load(path)
        mine = server.local_server(content, args.server_id)
    except ranks.Stop as error:
        stop(REFUSED, str(error))
    everyone = table.ranks(content)
    if args.ranks not in (None, len(everyone)):
        stop(REFUSED, f"{path}: {len(everyone)} ranks, --ranks {args.ranks}: leave it out or make another rank table")
    here = [each for each in everyone if each.server_id == mine]
    try:
        numbers = devices.device_ids(here, path)
    except ranks.Stop as error:
        stop(REFUSED, str(error))
    return list(zip((each.rank_id for each in here), numbers)), len(everyone)


def start(args, rest, job, caught):
    """Start the ranks; return (their processes, the ranks that report here)."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("LAUNCH_")}
    environment["LAUNCH_DEV"] = DEV
    environment.setdefault("GLOG_v", "2" if args.verbose else "3")  # of the engine's log: warnings, or errors alone
    if os.geteuid() == 0:
        environment.update(OMPI_ALLOW_RUN_AS_ROOT="1", OMPI_ALLOW_RUN_AS_ROOT_CONFIRM="1")
    if args.hostfile and not os.path.isfile(args.hostfile):
        stop(REFUSED, f"--hostfile {args.hostfile}: no such file: lines `address slots=2`, one a server")
    if args.backend == "ascend":
        here, size = ascend_ranks(args)
        text = f"{plural(len(here))} of {size}"
    else:
        size = args.ranks or count_shards(args.model_path)
        text = plural(size)
        if args.hostfile or args.launcher == "srun":
            check_servers(args, environment, job, caught)
    log_dir = make_log_dir(args.log_dir, size)
    say(f"back end {args.backend} ({args.why}), {text}, logs in {log_dir}")

    limits = {"start": args.start_timeout, "build": args.build_timeout, "predict": args.predict_timeout}
    options = {"job": job, "log_dir": os.path.abspath(log_dir), "limits": limits, "verbose": args.verbose}
    options["socket"] = not args.hostfile and not args.launcher
    command = [sys.executable, os.path.abspath(__file__), "--guard", json.dumps(options)]
    command += [sys.executable, os.path.join(HERE, "main.py"), f"--backend={args.backend}"]
    command += [f"--model_path={args.model_path}", *([f"--config_file={args.config_file}"] * bool(args.config_file))]
    if args.backend != "ascend":
        return [run([*mpirun_command(args, environment, job, size), *command, *rest], environment)], list(range(size))
    environment["LAUNCH_HUB"] = job
    environment["LAUNCH_HERE"] = ",".join(str(rank) for rank, _ in here)
    processes = []
    for number, (rank, device) in enumerate(here):
        environment.update(zip(STARTERS[0], (str(rank), str(number), str(size))))
        processes.append(run([*command, *rest, f"--rank_id={rank}", f"--device_id={device}"], environment))
    return processes, [rank for rank, _ in here]


def plural(count):
    return f"{count} rank{'s'[: count != 1]}"


def run(command, environment):
    return subprocess.Popen(
        command,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,  # Ctrl-C is for the launcher, which ends them
        preexec_fn=lambda: die_with_parent(signal.SIGTERM),
    )


def watch(args, processes, ranks, messages, caught):
    """Show what the ranks say until all have ended; at the first failure end them. Returns the exit status.

    `messages` is the socket that the guards of this server write to, and `caught` gets the signals that arrive.
    """
    started, steps, ended, failures, logs = time.monotonic(), {}, set(), [], collections.defaultdict(list)
    guards = {}  # rank: its guard's pid, where that is here
    sources = {messages.fileno(): None}  # None, or [1 or 2, the line that isn't whole yet] of a process's output
    for process in processes:
        for stream, on in ((process.stdout, 1), (process.stderr, 2)):
            os.set_blocking(stream.fileno(), False)
            sources[stream.fileno()] = [on, b""]
    status, decide_at, give_up_at, said_at, heard_at = None, None, None, started, started

    def understand(text):
        what = json.loads(text)
        rank = what["rank"]
        if "failed" in what:
            failures.append(what)
        elif "show" in what:
            show(what["show"], what["on"])
        elif "step" in what:
            steps[rank] = what["step"], time.monotonic()
        elif "ended" in what:
            ended.add(rank)
        elif "pid" in what:
            guards[rank] = what["pid"]
            steps.setdefault(rank, ("start", time.monotonic()))
        elif "log" in what:
            logs[rank].append(what["log"])
        elif status is None:
            show(f"rank {rank}: {what['warning']}")

    def hear(source):
        if sources[source] is None:
            with contextlib.suppress(BlockingIOError):
                for _ in range(100):  # there may always be more
                    understand(messages.recv(1 << 20).decode())
            return
        data = read(source)
        on, unfinished = sources[source]
        *lines, rest = (unfinished + data).split(b"\n")
        if len(rest) > 4 * LINE or not data:
            lines, rest = [*lines, rest] if rest else lines, b""
        sources[source][1] = rest
        for line in lines:
            text = line.decode(errors="replace")
            if text.startswith(MARK):
                try:
                    understand(text[len(MARK) :])
                except (ValueError, KeyError):  # mpirun may mix what processes write at the same time
                    say(f"not understood: {text[:200]}")
            else:
                show(text, on)
        if not data:
            del sources[source]

    while True:
        crowded = sum(map(len, PENDING.values())) > LINE * ROOM and status is None  # who reads the terminal is slow
        readable, _, _ = select.select(
            [] if crowded else list(sources), [number for number in PENDING if PENDING[number]], [], 0.1
        )
        for source in readable:
            heard_at = time.monotonic()
            hear(source)
        unread = pour(0)
        if unread:
            failures.append({"failed": f"{unread}: nobody reads the results", "rank": None, "status": FAILED})
        now = time.monotonic()
        over = all(process.poll() is not None for process in processes) and (
            len(sources) == 1 and not readable or now - heard_at > 0.5  # who holds the pipes isn't one of them
        )
        if status is None:
            if not failures and not crowded:
                failures += lost(args, processes, ranks, steps, ended, guards, over, now - started)
            if failures and not decide_at:  # the others of that moment may be heard of yet
                decide_at = now + (0.1 if named_rank(failures[0]) == failures[0]["rank"] else 1)
            if caught:
                status = 128 + caught[0]
                say(f"interrupted ({signal_name(caught[0])})")
            elif failures and (over or now > decide_at):
                status = report(failures, logs, steps, ranks)
            elif over:
                return 0
            if status is not None:
                for process in processes:
                    process.send_signal(signal.SIGUSR1)  # mpirun and srun pass it on to the guards
                give_up_at = now + (GRACE - 2 if caught or status == TIMEOUT else GRACE + 1)
            elif now - said_at > 5 and progress(steps, ended, now):
                said_at = now
        # after a failure mpirun alone takes another second, which does nothing where all ranks were here
        if give_up_at and not args.hostfile and not args.launcher and set(below()) <= {each.pid for each in processes}:
            over = True
        if over or give_up_at and now > give_up_at:
            return status


def lost(args, processes, ranks, steps, ended, guards, over, seconds):
    """Return the failures that no guard tells: it, or its server, is gone, or it never was."""
    now, gone = time.monotonic(), []
    limits = {"start": args.start_timeout, "build": args.build_timeout, "predict": args.predict_timeout}
    for rank in ranks:
        if rank in ended:
            continue
        step, since = steps.get(rank, ("start", now))
        limit = limits[LIMITS.get(step.split(" ")[0], "predict")]
        if rank not in steps and seconds > args.start_timeout + 1:
            gone.append((rank, f"never appeared in {args.start_timeout:g} s", TIMEOUT))
        elif now - since > limit + GRACE:
            gone.append((rank, f"not heard of since {step}, {limit + GRACE:g} s ago", TIMEOUT))
        elif rank in guards and now - since > 0.5 and not lives(guards[rank]) and not over:
            gone.append((rank, f"was lost in {step}: its guard was killed", 128 + signal.SIGKILL))
    missing = sorted(set(ranks) - ended)
    code = next((each.returncode for each in processes if each.returncode), FAILED if missing else 0)
    if not gone and over and code:
        how = signal_name(-code) if code < 0 else f"status {code}"
        others = f" (and {len(missing) - 1} more)" if missing[1:] else ""
        rank = missing[0] if missing else ranks[0]
        what = f"in {steps[rank][0]}" if rank in steps else "before it started"
        gone.append((rank, f"was lost {what}{others}: what started it ended with {how}", abs(code) + 128 * (code < 0)))
    keys = ("rank", "failed", "status", "step")
    return [dict(zip(keys, (*each, steps.get(each[0], ("start",))[0]))) for each in gone]


def lives(pid):
    """Return whether a process is there and isn't waiting for its parent alone."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            return not file.read().rpartition(b") ")[2].startswith(b"Z")
    except OSError:
        return False


def named_rank(failure):
    """Return the rank that a failure is of: several stop with the same words, which name it; None if it isn't known."""
    named = re.match(r"rank (\d+): ", failure.get("said", ""))
    return int(named.group(1)) if named else None if failure["status"] == TIMEOUT else failure["rank"]


def report(failures, logs, steps, ranks):
    """Say which rank failed first and how; return the exit status."""
    first = min(failures, key=lambda each: (each["status"] == 128 + signal.SIGTERM, failures.index(each)))
    said = re.sub(r"^rank \d+: ", "", first.get("said", ""))
    if first["status"] != TIMEOUT and named_rank(first) != first["rank"]:
        rank = named_rank(first)
        first = dict(next((each for each in failures if each["rank"] == rank), first), rank=rank)
    rank, status = first["rank"], first["status"]
    if status == TIMEOUT:
        late = [each for each in failures if each["status"] == TIMEOUT]
        late.sort(key=lambda each: progress_of(each.get("step", "")))  # who is behind has the others wait
        for each in sorted(set(ranks) - set(steps) - {each["rank"] for each in late}):
            say(f"rank {each}: never appeared")
        for each in late:
            say(f"rank {each['rank']}: {each['failed']}")
        rank = late[0]["rank"]
        last = {**{each: step for each, (step, _) in steps.items()}, **{each["rank"]: each["step"] for each in late}}
        say("last steps: " + ", ".join(f"rank {each}: {step}" for each, step in sorted(last.items())))
    elif said and status in (REFUSED, UNAVAILABLE, DIFFERENT):  # which step it was in adds nothing
        show(f"rank {rank}: {said}")
        return status
    elif rank is None:
        say(first["failed"])
    else:
        show(f"rank {rank} {first['failed']}{': ' if said else ''}{said}")
    for line in logs[rank]:
        show(f"  rank {rank} | {line}")
    return status


def progress_of(step):
    """Return what orders steps: "predict 3 of 10 (stage 2)" comes after "predict 3 of 10 (collective 1)"."""
    word, numbers = step.split(" ")[0], [int(each) for each in re.findall(r"\d+", step)]
    return list(LIMITS).index(word) if word in LIMITS else -1, numbers


def progress(steps, ended, now):
    """Show that long steps live, each with all the ranks in it; return whether there are any."""
    ranks_in, long = collections.defaultdict(list), False
    for rank, (step, _) in sorted(steps.items()):
        if rank not in ended:
            ranks_in[step].append(rank)
    for step, ranks in ranks_in.items():
        seconds = now - min(steps[rank][1] for rank in ranks)
        if seconds > 5:
            who = f"rank {ranks[0]}" if len(ranks) == 1 else f"ranks {', '.join(map(str, ranks))}"
            show(f"{who}: {step}... {seconds:.0f} s")
            long = True
    return long


def main():
    if sys.argv[1:2] == ["--guard"]:
        return guard(json.loads(sys.argv[2]), sys.argv[3:])
    for number in (0, 1, 2):  # one that is closed would be the next file that is opened
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)
            if number == 1:
                stop(REFUSED, "stdout is closed: there is nowhere to show the results")
    args, rest = parse_arguments()
    caught = []
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) != signal.SIG_IGN:  # as nohup has it
            signal.signal(number, lambda number, _: caught.append(number))
    adopt_orphans()
    job = tempfile.mkdtemp(prefix="launch-")
    messages = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    try:
        messages.bind(short(job, "messages"))
        messages.setblocking(False)
        processes, ranks = start(args, rest, job, caught)
        status = watch(args, processes, ranks, messages, caught)
    finally:
        end_all_below()
        remove_job(job)
    while any(PENDING.values()) and not caught:
        if pour(0.2) and not status:
            status = FAILED
    pour(0)
    return status


if __name__ == "__main__":
    sys.exit(main())
