"""run.sh's command line: what the launcher uses, what it passes on to main.py, and where a program's own words begin.

    python3 launch/options.py WORDS... 3>back_end

writes the back end to file descriptor 3, or refuses what can't be right, before run.sh installs or makes anything.
"""

import argparse
import os
import re
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
if __name__ == "__main__":
    sys.path.insert(0, ROOT)

# ruff: noqa: E402  (a script finds the suite's folders only after that)
from launch import around, hostfile
from ranks import OK, REFUSED, Stop
from suite import backends, options

DASHES = "\N{EN DASH}\N{EM DASH}\N{MINUS SIGN}\N{NON-BREAKING HYPHEN}"
USAGE = """./run.sh [option]...
       ./run.sh [option]... PROGRAM.py [argument]..."""
EXAMPLES = """examples:
    ./run.sh                                                       # models/Matmul, on what this machine has
    ./run.sh --model_path=models/MiniLM.mindir --backend=cpu --warmup=10 --repeat=100
    ./run.sh --ranks=2 mine.py --my_option                         # a program of yours, two ranks, the same watch
"""


class Parser(argparse.ArgumentParser):
    def error(self, message):
        dashed = re.match(r"unrecognized arguments: --([a-z]+(?:-[a-z]+)+)", message)
        option = f"--{dashed.group(1).replace('-', '_')}" if dashed else ""
        if option in self._option_string_actions:
            message += f": write {option}"
        raise Stop(REFUSED, f"{message} (./run.sh --help)")


def main_options():
    """Return {name: default} of main.py's options."""
    theirs = argparse.ArgumentParser()
    options.add_options(theirs, os.path.relpath(os.path.join(ROOT, "models", "Matmul.mindir")))
    return vars(theirs.parse_args([]))


def parser():
    made = Parser(
        prog="run.sh",
        usage=USAGE,
        description="Run a distributed model, one process per rank, and check the result against the unsharded model;\n"
        "or run any program of yours, one process per rank, under the same watch.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    options.add_options(made, main_options()["model_path"])
    start = made.add_argument_group("start")
    add = start.add_argument
    text = "how many ranks to start (default: as many as there are shards)"
    add("--ranks", metavar="N", type=int, help=text)
    text = "CPU, GPU: the servers, as Open MPI lists them: lines `address slots=2` (default: none)"
    add("--hostfile", metavar="FILE", help=text)
    text = "CPU, GPU: what starts the ranks; srun needs a Slurm allocation (default: mpirun)"
    add("--launcher", choices=("mpirun", "srun"), help=text)
    text = "Ascend: which server of the rank table this one is (default: found by its addresses)"
    add("--server_id", metavar="ID", help=text)
    add = made.add_argument_group("limits, in seconds").add_argument
    text = "from a rank's start until it knows the others (default: 120)"
    add("--start_timeout", type=float, default=120, metavar="S", help=text)
    text = "each for reading the files, for the build and for the check (default: 1800)"
    add("--build_timeout", type=float, default=1800, metavar="S", help=text)
    text = "for each predict, and for a rank to end (default: 120)"
    add("--predict_timeout", type=float, default=120, metavar="S", help=text)
    text = "a rank may take this much more than ten times what the slowest of the others took (default: 60)"
    add("--straggler_timeout", type=float, default=60, metavar="S", help=text)
    add("--timeout", type=float, metavar="S", help="for the whole run (default: none)")
    add = made.add_argument_group("logs").add_argument
    text = "where each rank's two logs go (default: logs/<time>; logs/latest is the last of them)"
    add("--log_dir", metavar="DIR", help=text)
    add("--verbose", action="store_true", help="also show what ranks write to stderr, such as the engine's log")
    add("--untagged", action="store_true", help="show a program's output without `rank N: ` before every line")
    made.add_argument("program", nargs=argparse.REMAINDER, help=argparse.SUPPRESS)
    return made


def parse(words):
    """Return the options as a namespace, the program and its words in `command`; Stop (status 2) if they're wrong."""
    made = parser()
    args = made.parse_args(words)
    options.expand_home(args)
    check_launcher_options(args, made.error)
    args.backend, args.why = backends.find_backend(args.backend)
    around.check(args.backend, args.session)
    if args.backend == "ascend" and (args.hostfile or args.launcher):
        made.error("--hostfile and --launcher are for cpu and gpu: on ascend start run.sh on each server")
    if args.backend != "ascend" and args.server_id:
        made.error(f"--server_id is for ascend, but this is {args.backend}: give --hostfile")
    if args.backend == "ascend" and not args.config_file:
        args.config_file = os.path.relpath(os.path.join(ROOT, "config_file.ini"))
    find_servers(args)
    args.command = args.program
    given = {name: getattr(args, name) for name, default in main_options().items() if getattr(args, name) != default}
    if not args.program:
        options.check_options(args, args.backend)
        given.update(backend=args.backend, model_path=args.model_path)
        words = [f"--{name}" if value is True else f"--{name}={value}" for name, value in given.items()]
        args.command = [os.path.join(ROOT, "main.py"), *words]
    elif set(given) - {"backend", "config_file"}:
        name = min(set(given) - {"backend", "config_file"})
        if args.input and args.program[0].endswith((".npz", ".npy")):  # the shell has put the names for a pattern
            made.error(f"--input {args.input} {args.program[0]}: two files: quote the pattern, as in 'in/*.npz'")
        made.error(f"--{name} is for main.py, not for {args.program[0]}: put its own options after it")
    return args


def check_launcher_options(args, error):
    """Refuse values that the launcher's own options can't have."""
    if args.program and not os.path.isfile(args.program[0]):
        option = args.program[0].lstrip(DASHES)
        if option != args.program[0]:
            error(f"{args.program[0]}: begins with a dash that a text processor made: write --{option}")
        error(f"{args.program[0]}: no such program")
    if args.untagged and not args.program:
        error("--untagged is for a program of yours")
    for name in ("start", "build", "predict", "straggler"):
        if not getattr(args, f"{name}_timeout") >= 1:
            error(f"--{name}_timeout {getattr(args, f'{name}_timeout'):g}: give at least 1 second")
    if args.timeout is not None and not args.timeout >= 1:
        error(f"--timeout {args.timeout:g}: give at least 1 second")
    if args.ranks is not None and args.ranks < 1:
        error(f"--ranks {args.ranks}: give at least 1")
    if args.hostfile and args.launcher == "srun":
        error("--hostfile and --launcher srun: Slurm knows its servers: leave --hostfile out")
    if args.launcher == "srun" and "SLURM_JOB_ID" not in os.environ:
        error("--launcher srun: no allocation here (no SLURM_JOB_ID): salloc or sbatch first")


def find_servers(args):
    """Add to the options what is known of other servers: a hostfile in the environment counts as --hostfile."""
    args.servers_of, source = args.hostfile or "the allocation", f"--hostfile {args.hostfile}"
    if args.backend != "ascend" and args.launcher != "srun" and not args.hostfile and os.environ.get(around.HOSTFILE):
        args.hostfile = os.environ[around.HOSTFILE]
        args.servers_of = source = f"{args.hostfile} ({around.HOSTFILE})"
    args.servers = hostfile.read(args.hostfile, source) if args.hostfile else []
    args.has_servers = bool(args.hostfile or args.launcher)


def main():
    try:
        args = parse(sys.argv[1:])
    except Stop as error:
        sys.stderr.buffer.write(os.fsencode(f"run.sh: {error}\n"))
        return error.status
    os.write(3, args.backend.encode())
    return OK


if __name__ == "__main__":
    sys.exit(main())
