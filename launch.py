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
import glob
import json
import mmap
import os
import re
import selectors
import shutil
import signal
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
    folder = tempfile.mkdtemp(prefix=f"{options['job']}-")  # the rank's TMPDIR
    try:
        return guard_in(folder, options, command)
    finally:
        end_all_below()
        shutil.rmtree(folder, ignore_errors=True)


def guard_in(folder, options, command):
    rank, local_rank, size = identity()
    log_path = os.path.join(options["log_dir"], f"rank_{rank}.log")
    log, asked, kill_at, expired = None, False, None, None

    def tell(**what):
        os.write(2, f"{MARK}{json.dumps({'rank': rank, **what})}\n".encode())

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

    # what it says: all of it to the log, stdout to the terminal, too
    try:
        os.makedirs(options["log_dir"], exist_ok=True)
        log = open(log_path, "wb", 0)  # noqa: SIM115  (for as long as the rank runs)
    except OSError as error:
        tell(warning=f"{log_path}: can't be written: {error.strerror}")
    last, errors = collections.deque(maxlen=SHOWN), collections.deque(maxlen=SHOWN)
    goes_to = {child.stdout.fileno(): 1, child.stderr.fileno(): 2 if options["verbose"] else None}
    unfinished = dict.fromkeys(goes_to, b"")  # the line that isn't whole yet

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
        for line in lines:
            last.append(line)
            if b"[ERROR]" in line:
                errors.append(line)
            if goes_to[source]:
                tag = b"" if re.match(rb"rank \d+: ", line) else b"rank %d: " % rank
                os.write(goes_to[source], tag + line + b"\n")

    sources = selectors.DefaultSelector()
    for source in goes_to:
        os.set_blocking(source, False)
        sources.register(source, selectors.EVENT_READ)

    step, since, told, told_at = "start", time.monotonic(), None, 0
    ended = False
    while not ended:
        ended = child.poll() is not None  # asked before its last words are heard
        if not sources.get_map():
            time.sleep(0.05)  # it has closed them, and goes on
        for key, _ in sources.select(0 if ended else 0.2):
            data = read(key.fd)
            hear(key.fd, data)
            while data and ended:
                data = read(key.fd)
                hear(key.fd, data)
            if not data:
                sources.unregister(key.fd)
        now, text = time.monotonic(), page[:STEP].rstrip(b"\0").decode(errors="replace")
        if text != step:
            step, since = text, now
        if step != told and (now - told_at > 1 or ended):
            told, told_at = step, now
            tell(step=step)
        limit = options["limits"][LIMITS.get(step.split(" ")[0], "predict")]
        if now - since > limit and kill_at is None and not ended:
            with open(f"/proc/{child.pid}/stat") as file:
                stopped = file.read().rpartition(") ")[2].startswith("T")
            place = page[STEP:WITHIN].rstrip(b"\0").decode(errors="replace")
            where = f"{step} ({place})" if place else step
            option = f"--{LIMITS.get(step.split(' ')[0], 'predict')}_timeout"
            expired = f"{'stopped by a signal' if stopped else 'still'} in {where} after {limit:g} s ({option})"
            child.send_signal(signal.SIGUSR1)  # writes where it is into the log: run() in inference.py
            kill_at = now + 0.5
        if kill_at and now > kill_at:
            child.kill()
    for source in goes_to:
        hear(source, b"")

    # how it ended
    code = child.returncode
    if code == 0 and not expired:
        tell(ended=True)
        return 0
    if asked and not expired and code in (-signal.SIGTERM, -signal.SIGKILL):
        return 0  # as asked, and no failure of its own
    status, _, said = page[WITHIN:].rstrip(b"\0").decode(errors="replace").partition(" ")
    for line in (*(each for each in errors if each not in last), *last):
        tell(log=line.decode(errors="replace")[:300])
    if expired:
        tell(failed=expired, status=TIMEOUT, step=where)
    elif code < 0:
        tell(failed=f"died in {step}: {signal.Signals(-code).name}", status=128 - code)
    elif said and int(status) == code:
        tell(failed=f"failed in {step}", status=code, said=said)
    else:
        tell(failed=f"ended in {step} with status {code}", status=code)
    for _ in range(200):  # mpirun would end the others, too, but a second later
        if asked:
            return 0
        time.sleep(0.05)
    return code if code > 0 else 128 - code


def read(source):
    """Return what there is to read; b"" at the end, or when there is nothing."""
    try:
        return os.read(source, 65536)
    except BlockingIOError:
        return b""


# The launcher


def parse_arguments():
    parser = argparse.ArgumentParser(
        prog="run.sh", description=__doc__.split("\n", 1)[0], allow_abbrev=False, epilog="all other options: see below"
    )
    parser.error = lambda message: stop(REFUSED, f"{message} (./run.sh --help)")
    parser.add_argument("--model_path", default=os.path.relpath(os.path.join(HERE, "models", "Matmul.mindir")))
    parser.add_argument("--config_file", help="mindspore_lite's (default: none; on Ascend config_file.ini)")
    parser.add_argument("--backend", choices=("auto", "cpu", "gpu", "ascend"), required=True)
    parser.add_argument("--why", default="as asked", help=argparse.SUPPRESS)
    parser.add_argument("--ranks", type=int, help="how many to start (default: as many as there are shards)")
    servers = parser.add_argument_group("several servers")
    servers.add_argument("--hostfile", help="CPU, GPU: Open MPI's list of servers: lines `address slots=2`")
    servers.add_argument("--launcher", choices=("mpirun", "srun"), help="CPU, GPU: srun inside a Slurm allocation")
    servers.add_argument("--server_id", help="Ascend: which of the rank table's this is (default: by its addresses)")
    watch = parser.add_argument_group("watching")
    watch.add_argument("--start_timeout", type=float, default=120, metavar="S", help="from start to reading (120 s)")
    watch.add_argument("--build_timeout", type=float, default=1800, metavar="S", help="reading, build, check (1800 s)")
    watch.add_argument("--predict_timeout", type=float, default=120, metavar="S", help="each predict (120 s)")
    watch.add_argument("--log_dir", metavar="DIR", help="a log for each rank (default: logs/<time>, logs/latest)")
    watch.add_argument("--verbose", action="store_true", help="what the engine writes to the terminal, too")
    args, rest = parser.parse_known_args()
    for name in ("start_timeout", "build_timeout", "predict_timeout"):
        if not getattr(args, name) > 0:
            parser.error(f"--{name} {getattr(args, name)}: seconds, more than 0")
    if args.ranks is not None and args.ranks < 1:
        parser.error(f"--ranks {args.ranks}: a number of at least 1")
    if args.backend == "ascend" and not args.config_file:
        args.config_file = os.path.relpath(os.path.join(HERE, "config_file.ini"))
    if args.backend == "ascend" and (args.hostfile or args.launcher):
        parser.error("--hostfile and --launcher are for cpu and gpu: on ascend start run.sh on each server")
    if args.backend != "ascend" and args.server_id:
        parser.error(f"--server_id is for ascend, this is {args.backend}: give --hostfile")
    if args.launcher == "srun" and "SLURM_JOB_ID" not in os.environ:
        parser.error("--launcher srun: no allocation here (no SLURM_JOB_ID): salloc or sbatch first")
    return args, rest


def stop(status, message):
    """End the launcher before anything runs."""
    say(message)
    sys.exit(status)


def say(message):
    print(f"run.sh: {message}", file=sys.stderr, flush=True)


def count_shards(model_path):
    """Return how many shards lie there; 1 where there is none, since main.py says what is missing."""
    stem = re.sub(r"(_graph)?\.mindir$", "", model_path)
    count = 0
    while any(os.path.exists(f"{stem}{count}{ending}") for ending in (".mindir", "_graph.mindir")):
        count += 1
    return max(count, 1)


def make_log_dir(log_dir):
    """Make the folder of the logs and return its path; logs/latest is the last one made without --log_dir."""
    try:
        if log_dir:
            os.makedirs(log_dir, exist_ok=True)
            for path in glob.glob(os.path.join(glob.escape(log_dir), "rank_*.log")):
                if not os.path.islink(path):  # a link is written through
                    os.remove(path)
            return os.path.abspath(log_dir)
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
        return os.path.abspath(log_dir)
    except OSError as error:
        return stop(REFUSED, f"--log_dir {log_dir or 'logs'}: can't be written: {error.strerror}: give another")


def mpirun_command(args, job, ranks):
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
        command += [word for name in sorted(os.environ) if PASSED_ON.fullmatch(name) for word in ("-x", name)]
    elif os.access("/dev/shm", os.W_OK):
        shared = os.path.join("/dev/shm", os.path.basename(job))
        os.makedirs(shared, exist_ok=True)
        command += ["--mca", "btl_vader_backing_directory", shared]
    return [*command, "--mca", "orte_tmpdir_base", job]  # what it leaves where it is killed lies where it is found


def check_servers(args, job, config_file):
    """Make sure that all servers have what the ranks need, under the same paths."""
    paths = [os.getcwd(), sys.executable, os.path.join(HERE, "main.py"), *filter(None, [config_file])]
    stem = re.sub(r"(_graph)?\.mindir$", "", args.model_path)
    paths += glob.glob(f"{glob.escape(stem)}[0-9]*.mindir")
    script = 'for each; do [ -e "$each" ] || echo "missing $(uname -n) $each"; done; echo here'
    command = [*mpirun_command(args, job, None), "sh", "-c", script, "sh", *map(os.path.abspath, paths)]
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, timeout=args.start_timeout, check=False
        )
    except subprocess.TimeoutExpired:
        end_all_below()
        stop(TIMEOUT, f"not all servers of {args.hostfile or 'the allocation'} answered in {args.start_timeout:g} s")
    said = done.stdout.decode().splitlines()
    for each in said:
        if each.startswith("missing "):
            stop(REFUSED, "{1}: {2}: no such file: copy it there, under the same path".format(*each.split(" ", 2)))
    if done.returncode or "here" not in said:
        advice = "ssh to each must work without a password, and Python lie under the same path"
        stop(FAILED, f"the servers of {args.hostfile or 'the allocation'} can't all be reached: {advice}")


def ascend_ranks(args):
    """Return ([(rank, device)] of this server by the rank table, number of all ranks)."""
    import config_file
    import rank_table

    try:
        path = config_file.rank_table_file(args.config_file)
        if not path:
            message = (
                "names no rank table (rank_table_file in [ascend_context]), which joins the ranks: see config_file.ini"
            )
            stop(REFUSED, f"{args.config_file}: {message}")
        table = rank_table.load(path)
        server = rank_table.local_server(table, args.server_id)
    except ValueError as error:
        stop(REFUSED, str(error))
    everyone = rank_table.ranks(table)
    if args.ranks not in (None, len(everyone)):
        stop(REFUSED, f"{path}: {len(everyone)} ranks, --ranks {args.ranks}: leave it out or make another rank table")
    here = [(each.rank_id, each.device_id) for each in everyone if each.server_id == server]
    for rank, device in here:
        file = os.path.join(DEV, f"davinci{device}")
        if not os.path.exists(file):
            stop(REFUSED, f"{path}: rank {rank} is on device {device}, but there is no {file}: correct the rank table")
    visible = os.environ.get("ASCEND_RT_VISIBLE_DEVICES")
    if visible:  # a process then counts its devices from 0 in that list, while the table has their own numbers
        numbers = [int(each) for each in visible.split(",")]
        for rank, device in here:
            if device not in numbers:
                stop(REFUSED, f"{path}: rank {rank} is on device {device}, but ASCEND_RT_VISIBLE_DEVICES is {visible}")
        here = [(rank, numbers.index(device)) for rank, device in here]
    return here, len(everyone)


def start(args, rest, job, log_dir):
    """Start the ranks; return (their processes, the ranks that report here)."""
    limits = {"start": args.start_timeout, "build": args.build_timeout, "predict": args.predict_timeout}
    options = {"job": os.path.basename(job), "log_dir": log_dir, "limits": limits, "verbose": args.verbose}
    command = [sys.executable, os.path.abspath(__file__), "--guard", json.dumps(options)]
    command += [sys.executable, os.path.join(HERE, "main.py"), f"--backend={args.backend}"]
    command += [f"--model_path={args.model_path}", *([f"--config_file={args.config_file}"] * bool(args.config_file))]
    logs = args.log_dir or os.path.relpath(log_dir)
    environment = dict(os.environ)
    environment.setdefault("GLOG_v", "3")  # of the engine's log, errors alone
    if args.backend == "ascend":
        here, size = ascend_ranks(args)
        say(f"back end ascend ({args.why}), {plural(len(here))} of {size}, logs in {logs}")
        environment["LAUNCH_HUB"] = os.path.join(job, "hub")
        environment["LAUNCH_HERE"] = ",".join(str(rank) for rank, _ in here)
        processes = []
        for number, (rank, device) in enumerate(here):
            environment.update(zip(STARTERS[0], (str(rank), str(number), str(size))))
            processes.append(run([*command, *rest, f"--rank_id={rank}", f"--device_id={device}"], environment))
        return processes, [rank for rank, _ in here]
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        os.environ.update(OMPI_ALLOW_RUN_AS_ROOT="1", OMPI_ALLOW_RUN_AS_ROOT_CONFIRM="1")
        environment.update(OMPI_ALLOW_RUN_AS_ROOT="1", OMPI_ALLOW_RUN_AS_ROOT_CONFIRM="1")
    if args.hostfile and not os.path.isfile(args.hostfile):
        stop(REFUSED, f"--hostfile {args.hostfile}: no such file: lines `address slots=2`, one a server")
    if args.hostfile or args.launcher == "srun":
        check_servers(args, job, args.config_file)
    ranks = args.ranks or count_shards(args.model_path)
    say(f"back end {args.backend} ({args.why}), {plural(ranks)}, logs in {logs}")
    return [run([*mpirun_command(args, job, ranks), *command, *rest], environment)], list(range(ranks))


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


def watch(args, processes, ranks, caught):
    """Show what the ranks say until all have ended; at the first failure end them. Returns the exit status.

    `caught` gets the signals that this process receives.
    """
    started, steps, ended, failures, logs = time.monotonic(), {}, set(), [], collections.defaultdict(list)
    sources = selectors.DefaultSelector()
    for process in processes:
        for stream, shown in ((process.stdout, 1), (process.stderr, 2)):
            os.set_blocking(stream.fileno(), False)
            sources.register(stream, selectors.EVENT_READ, (shown, bytearray()))
    status, decide_at, give_up_at, said_at, heard_at = None, None, None, started, started

    def hear(line, shown):
        if not line.startswith(MARK.encode()):
            os.write(shown, line)
            return
        try:
            what = json.loads(line[len(MARK) :].decode())
        except ValueError:  # mpirun may mix what processes write at the same time
            say(f"not understood: {line.decode(errors='replace').rstrip()}")
            return
        rank, now = what["rank"], time.monotonic()
        if "failed" in what:
            failures.append(what)
        elif "step" in what:
            steps[rank] = what["step"], now
        elif "ended" in what:
            ended.add(rank)
        elif "log" in what:
            logs[rank].append(what["log"])
        elif status is None:
            print(f"rank {rank}: {what['warning']}", file=sys.stderr, flush=True)

    while True:
        for key, _ in sources.select(0.1):
            data, (shown, line) = read(key.fd), key.data
            heard_at = time.monotonic()
            line += data
            *lines, line[:] = bytes(line).split(b"\n")
            try:
                for each in [each + b"\n" for each in lines] + [bytes(line)] * (not data):
                    hear(each, shown)
            except OSError as error:
                failures.append({"failed": f"stdout: {error.strerror}", "rank": None, "status": FAILED})
            if not data:
                sources.unregister(key.fileobj)
        now = time.monotonic()
        over = all(process.poll() is not None for process in processes) and (
            not sources.get_map() or now - heard_at > 0.5  # who holds the pipes isn't one of them
        )
        if status is None:
            if not failures:
                failures += lost(args, processes, ranks, steps, ended, over, now - started)
            if failures and not decide_at:  # the others of that moment may be heard of yet
                decide_at = now + (0.1 if named_rank(failures[0]) == failures[0]["rank"] else 1)
            if caught:
                status = 128 + caught[0]
                say(f"interrupted ({signal.Signals(caught[0]).name})")
            elif failures and (over or now > decide_at):
                status = report(failures, logs, steps, ranks)
            elif over:
                return 0
            if status is not None:
                for process in processes:
                    process.send_signal(signal.SIGUSR1)  # mpirun and srun pass it on to the guards
                give_up_at = now + (GRACE - 2 if caught or status == TIMEOUT else GRACE + 1)
            elif now - said_at > 5:
                said_at = now
                progress(steps, ended, now)
        # after a failure mpirun alone takes another second, which does nothing where all ranks were here
        if give_up_at and not args.hostfile and not args.launcher and set(below()) <= {each.pid for each in processes}:
            over = True
        if over or give_up_at and now > give_up_at:
            return status


def lost(args, processes, ranks, steps, ended, over, seconds):
    """Return the failures that no guard tells: it, or its server, is gone, or it never was."""
    now, gone = time.monotonic(), []
    limits = {"start": args.start_timeout, "build": args.build_timeout, "predict": args.predict_timeout}
    if seconds > args.start_timeout + 1:
        gone += [(rank, f"never appeared in {args.start_timeout:g} s", TIMEOUT) for rank in ranks if rank not in steps]
    for rank, (step, since) in steps.items():
        limit = limits[LIMITS.get(step.split(" ")[0], "predict")]
        if rank not in ended and now - since > limit + GRACE:
            gone.append((rank, f"not heard of since {step}, {limit + GRACE:g} s ago", TIMEOUT))
    codes = [process.returncode for process in processes]
    if not gone and over and set(ranks) - ended:
        rank = min(set(ranks) - ended)
        code = next((each for each in codes if each), FAILED)
        how = signal.Signals(-code).name if code < 0 else f"status {code}"
        what = steps[rank][0] if rank in steps else "before it started"
        gone.append((rank, f"was lost in {what}: what started it ended with {how}", code if code > 0 else 128 - code))
    elif not gone and len(processes) == len(ranks):
        for rank, code in zip(ranks, codes):
            if code and code < 0 and rank not in ended:
                gone.append((rank, f"was lost with its guard: {signal.Signals(-code).name}", 128 - code))
    keys = ("rank", "failed", "status", "step")
    return [dict(zip(keys, (*each, steps.get(each[0], ("start",))[0]))) for each in gone]


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
        print(f"rank {rank}: {said}", file=sys.stderr, flush=True)
        return status
    elif rank is None:
        say(first["failed"])
    else:
        print(f"rank {rank} {first['failed']}{': ' if said else ''}{said}", file=sys.stderr, flush=True)
    for line in logs[rank]:
        print(f"  rank {rank} | {line}", file=sys.stderr, flush=True)
    return status


def progress_of(step):
    """Return what orders steps: "predict 3 of 10 (stage 2)" comes after "predict 3 of 10 (collective 1)"."""
    word, numbers = step.split(" ")[0], [int(each) for each in re.findall(r"\d+", step)]
    return list(LIMITS).index(word) if word in LIMITS else -1, numbers


def progress(steps, ended, now):
    """Show that long steps live."""
    slow = collections.defaultdict(list)
    for rank, (step, since) in sorted(steps.items()):
        if rank not in ended and now - since > 5:
            slow[step].append(rank)
    for step, ranks in slow.items():
        who = f"rank {ranks[0]}" if len(ranks) == 1 else f"ranks {', '.join(map(str, ranks))}"
        seconds = now - min(steps[rank][1] for rank in ranks)
        print(f"{who}: {step}... {seconds:.0f} s", file=sys.stderr, flush=True)


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
        signal.signal(number, lambda number, _: caught.append(number))
    adopt_orphans()
    job = tempfile.mkdtemp(prefix="launch-")
    try:
        processes, ranks = start(args, rest, job, make_log_dir(args.log_dir))
        return watch(args, processes, ranks, caught)
    finally:
        end_all_below()
        for path in (*glob.glob(f"{job}*"), os.path.join("/dev/shm", os.path.basename(job))):
            shutil.rmtree(path, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
