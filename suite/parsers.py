"""The command lines of the suite's scripts. Standard library only: exporters run where nothing else is installed."""

import argparse
import contextlib
import os
import signal
import socket
import sys

MODEL = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "models", "Matmul.mindir")
SERVICE = {
    "model_path": (MODEL, "X.mindir", "the sharded model (default: models/Matmul.mindir)"),
    "wait": (5.0, "MS", "milliseconds that a request waits for others to share a batch with (default: 5)"),
    "starts": (3, "N", "restart the ranks at most N times before a request has been answered, then end (default: 3)"),
}


def new_parser(text, **options):
    """Return a parser whose help has the first two paragraphs of a script's docstring: the idea and the usage."""
    idea, usage = (text or "\n\n").split("\n\n")[:2]  # PYTHONOPTIMIZE=2 removes docstrings
    options.setdefault("formatter_class", argparse.RawDescriptionHelpFormatter)
    return argparse.ArgumentParser(description=idea, epilog=f"example:\n{usage}", allow_abbrev=False, **options)


def as_options(words):
    """Return {name: value} for words such as --backend=gpu and --verbose; raise ValueError for others."""
    options = {}
    for word in words:
        name, _, value = word.partition("=")
        if not name.startswith("--"):
            raise ValueError(f"{word}: options for the Session are written --name=value")
        options[name[2:]] = value or True
    return options


def check_ports(ports):
    """Raise ValueError unless this process can listen at all of the ports, {option: number}."""
    with contextlib.ExitStack() as stack:
        for option, port in ports.items():
            listening = stack.enter_context(socket.socket())
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # else one that was just closed isn't free
            try:
                listening.bind(("", port))
                listening.listen(1)  # two options may name the same one
            except (OSError, OverflowError) as error:
                why = getattr(error, "strerror", None) or "it goes up to 65535"
                raise ValueError(f"{option} {port}: can't listen there: {why}: give another") from None


@contextlib.contextmanager
def open_service(parser, server):
    """Read a server's command line and start its model's ranks; give (the arguments, a Service) to a `with` block.

    `server` are its own options, {name: (default, how a value is written, what it is)}, beside those of a Service and
    run.sh's; NAME_port is a port to listen at. If an option is wrong, or the ranks can't start, the process ends with
    the message and the status of run.sh. A Service that gives up sends this process SIGTERM: the block has to end then,
    and the process ends in the same way.
    """
    from suite import RankError, Service  # they need NumPy

    for title, options in (("ranks", SERVICE), ("server", server)):
        group = parser.add_argument_group(title)
        for name, (default, value, what) in options.items():
            group.add_argument(f"--{name}", type=type(default), default=default, metavar=value, help=what)
    args, words = parser.parse_known_args()
    how = {"wait": args.wait / 1000, "starts": args.starts, "at_end": lambda: os.kill(os.getpid(), signal.SIGTERM)}
    try:
        check_ports({f"--{name}": getattr(args, name) for name in server if name.endswith("_port")})
        service = Service(args.model_path, **how, **as_options(words))
    except (TypeError, ValueError) as error:  # an option that isn't for a Session, or isn't one at all
        parser.error(str(error))
    except RankError as error:
        print(error, file=sys.stderr)
        sys.exit(error.status)
    except KeyboardInterrupt:  # a start may take minutes
        sys.exit(128 + signal.SIGINT)
    with service:
        yield args, service
    if service.error:
        print(f"{service.error}\n{args.starts} starts in a row have failed", file=sys.stderr)
        sys.exit(service.error.status)
