"""Start one process per rank and make sure that all of them end: python3 launch, which run.sh calls."""

import fcntl
import glob
import os
import re
import signal
import sys
import tempfile
import time

sys.path[0] = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))  # run as a folder, python3 launch

# ruff: noqa: E402  (these are only found after that)
from launch import around, command, options, servers
from launch.processes import adopt_orphans, end_processes_below, remove_job
from launch.screen import Screen
from launch.watch import Watch
from ranks import FAILED, REFUSED, Stop


def make_job():
    """Make the job's folder, which only this user can enter; return its path and a lock on a file in it."""
    wanted = os.environ.get("TMPDIR")
    try:
        with tempfile.TemporaryFile(dir=wanted) as file:  # else Python would quietly use another folder
            file.write(bytes(1 << 16))
        job = tempfile.mkdtemp(prefix="launch-", dir=wanted)
        lock = open(os.path.join(job, "launcher"), "w")  # noqa: SIM115  (held as long as the job is there)
        fcntl.flock(lock, fcntl.LOCK_EX)  # by this lock guards see whether the launcher is gone
        return job, lock
    except OSError as error:
        name = f"TMPDIR {wanted}" if wanted else tempfile.gettempdir()
        raise Stop(
            FAILED, f"{name}: can't hold temporary files: {error.strerror}: set TMPDIR to another folder"
        ) from None


def make_log_dir(log_dir, size):
    """Make the folder for the logs and return its path; logs/latest leads to the last one made without --log_dir."""
    try:
        if log_dir:
            os.makedirs(log_dir, exist_ok=True)
            for path in glob.glob(os.path.join(glob.escape(log_dir), "rank_*.log")):
                number = re.search(r"rank_(\d+)\.\w+\.log$", path)
                if number and int(number.group(1)) >= size:  # from a job with more ranks; guards replace their own
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
        raise Stop(
            REFUSED, f"--log_dir {log_dir or 'logs'}: can't be written: {error.strerror}: give another"
        ) from None


def start(args, job, screen, caught):
    """Start the ranks; return the Watch over them."""
    environment, elsewhere = command.environment(args), []
    if args.backend == "ascend":
        from launch import on_ascend  # the other back ends don't pay for this import

        here, size, elsewhere = on_ascend.find_ranks(args, screen.show_message)
        ranks, text = [rank for rank, _ in here], f"{len(here)} of {size} ranks"
        for server, theirs in elsewhere[:4]:
            text += f", rank{'s'[: len(theirs) > 1]} {', '.join(map(str, theirs))} on {server}"
    else:
        size = command.count_ranks(args)
        ranks, text = list(range(size)), f"{size} rank{'s'[: size != 1]}"
        text += f" on the servers of {args.servers_of}" if args.hostfile else ""
        if args.has_servers:
            servers.check(args, environment, job, caught)
    # a Session's program has a folder of its own, which stays as it is
    log_dir = "" if args.session and not args.log_dir else make_log_dir(args.log_dir, size)
    if not args.session:
        screen.show_message(f"back end {args.backend} ({args.why}), {text}, logs in {log_dir}")
        taken = around.mpi_settings(lambda name: around.is_taken(name, args.has_servers))
        if args.backend != "ascend" and taken:
            screen.show_message(f"Open MPI takes from the environment: {taken}")
        screen.flush()
    guarded = command.guarded_command(args, job, log_dir)
    if args.backend == "ascend":
        processes = on_ascend.start(args, guarded, environment, job, here, size)
    else:
        processes = [command.start_process([*command.mpirun(args, environment, job, size), *guarded], environment)]
    return Watch(args, processes, ranks, screen, caught, elsewhere)


def open_standard_files():
    """Make sure that 0, 1 and 2 are open: the next file that is opened would get the number of one that isn't."""
    while os.open(os.devnull, os.O_RDWR) < 3:
        pass


def main():
    screen, caught, job, status = Screen(), [], None, FAILED
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) != signal.SIG_IGN:  # nohup ignores SIGHUP
            signal.signal(number, lambda number, _: caught.append(number))
    adopt_orphans()
    try:
        open_standard_files()
        args = options.parse(sys.argv[1:])
        # main.py's first rank on each server prints for all ranks there, and puts each line's rank before it
        screen.is_tagged = lambda rank, on: not args.untagged and (on == 2 or bool(args.program))
        job, lock = make_job()
        status = start(args, job, screen, caught).run()
    except Stop as error:
        screen.show_message(str(error))
        status = error.status
    finally:
        end_processes_below()
        command.close_pipes()
        if job:
            remove_job(job)
            lock.close()
    return FAILED if screen.flush_all(lambda: caught) and not status else status


if __name__ == "__main__":
    sys.exit(main())
