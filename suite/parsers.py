"""The command lines of the suite's scripts. Standard library only: exporters run where nothing else is installed."""

import argparse
import os
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


def open_service(parser, server, **more):
    """Read a server's command line and start its model's ranks; return (the arguments, a Service).

    `server` are its own options, {name: (default, how a value is written, what it is)}, beside those of a Service and
    run.sh's; `more` goes to the Service. If an option is wrong, or the ranks can't start, the process ends with the
    message and the status of run.sh.
    """
    from suite import RankError, Service  # they need NumPy

    for title, options in (("ranks", SERVICE), ("server", server)):
        group = parser.add_argument_group(title)
        for name, (default, value, what) in options.items():
            group.add_argument(f"--{name}", type=type(default), default=default, metavar=value, help=what)
    args, words = parser.parse_known_args()
    try:
        return args, Service(args.model_path, args.wait / 1000, args.starts, **more, **as_options(words))
    except ValueError as error:
        parser.error(str(error))
    except RankError as error:
        print(error, file=sys.stderr)
        sys.exit(error.status)
