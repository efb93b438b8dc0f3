"""The options of main.py, for itself and for run.sh, which passes them on. Standard library only.

run.sh's launcher adds its own options to these, refuses wrong ones before anything is started, and shows all of them in
one help.
"""

import argparse
import os
import re

import ranks
from suite import backends, batches, near


def at_least(least):
    """Return a type for argparse: an integer that isn't smaller than `least`."""

    def convert(text):
        try:
            number = int(text)
        except ValueError:
            number = least - 1
        if number < least:
            raise argparse.ArgumentTypeError(f"{text!r}: give a whole number, {least} or more")
        return number

    return convert


def add_options(parser, model_path=None):
    """Add main.py's options to the parser; return its groups {title: group}, to which others can be added.

    `model_path` is the default; without one the option has to be given.
    """
    groups = {title: parser.add_argument_group(title) for title in ("model", "back end", "run")}
    model, back_end, run = groups.values()
    text = "X.mindir for the shards X0.mindir, X1.mindir, ...; {rank} puts the number elsewhere in the path"
    text += f" (default: {model_path})" if model_path else ""
    model.add_argument("--model_path", metavar="X.mindir", default=model_path, required=not model_path, help=text)
    text = "mindspore_lite's configuration file (default: none)"
    model.add_argument("--config_file", metavar="FILE", default="", help=text)
    text = ".npz by input name, or .npy for a single input, or a quoted pattern: each file in turn (default: ones)"
    model.add_argument("--input", metavar="FILE", default="", help=text)
    text = "write the outputs of the first rank that has some to this .npz; with a pattern, to a folder (default: none)"
    model.add_argument("--output", metavar="FILE", default="", help=text)

    text = "auto: what this machine has devices for, cpu if it has none (default: auto)"
    back_end.add_argument("--backend", choices=("auto", *backends.BACKENDS), default="auto", help=text)
    text = "GPU: what TensorRT computes in (default: fp32)"
    back_end.add_argument("--precision", choices=("fp32", "fp16"), help=text)
    text = "CPU, GPU: keep what is built in DIR for the next start (default: none)"
    back_end.add_argument("--engine_cache", metavar="DIR", default="", help=text)

    text = "predict N times before the clock starts (default: 0)"
    run.add_argument("--warmup", type=at_least(0), default=0, metavar="N", help=text)
    text = "predict N times and time each (default: 1)"
    run.add_argument("--repeat", type=at_least(1), default=1, metavar="N", help=text)
    text = "with a pattern: stop at the first file that is refused; otherwise all such files are listed at the end"
    run.add_argument("--stop_at_first", action="store_true", help=text)
    run.add_argument("--session", default="", help=argparse.SUPPRESS)  # the name of the Session that starts run.sh
    text = "write times, the check's result and versions to FILE (default: none)"
    run.add_argument("--json", metavar="FILE", default="", help=text)
    text = "compare the result with the unsharded model X.mindir; auto: if that file exists (default: auto)"
    run.add_argument("--check", choices=("auto", "on", "off"), default="auto", help=text)
    return groups


def add_rank_options(group):
    """Add the options that tell a process of main.py which rank it is on Ascend; run.sh gives them itself."""
    text = "Ascend: this rank's number, from 0 (default: msrun's RANK_ID; on cpu and gpu mpirun gives it)"
    group.add_argument("--rank_id", metavar="N", type=at_least(0), help=text)
    text = "Ascend: this rank's device (default: msrun's DEVICE_ID, then rank_id)"
    group.add_argument("--device_id", metavar="N", type=at_least(0), help=text)


def expand_home(args):
    """Replace a ~ at the beginning of a path by the home folder: after a = the shell leaves it as it is."""
    for name in ("model_path", "config_file", "input", "output", "json", "engine_cache", "hostfile", "log_dir"):
        path = getattr(args, name, None) or ""
        if path.startswith("~/") and not os.path.exists("~"):
            setattr(args, name, os.path.expanduser(path))


def take_rank(args, refuse):
    """Use the rank and the device that msrun gives a process if they aren't given as options."""
    if os.environ.get("MS_ROLE") == "MS_SCHED":  # msrun starts this once more, for MindSpore's own networking
        raise SystemExit(ranks.OK)
    for name in ("rank_id", "device_id"):
        text = os.environ.get(name.upper(), "")
        if getattr(args, name) is None and text:
            if not re.fullmatch("[0-9]{1,9}", text):
                refuse(f"{name.upper()}={text} in the environment isn't a whole number: unset it or give --{name}")
            setattr(args, name, int(text))
    if args.rank_id is None:
        refuse("--rank_id is missing: on ascend give this rank's number, from 0 (msrun does, if it has --node_rank)")


def check_options(args, backend):
    """Raise Stop (status 2) if the options don't go together on this back end; `backend` is no longer "auto"."""
    expand_home(args)
    pattern = near.pattern_near(args.model_path) if os.path.isdir(args.model_path) else ""
    if pattern:
        raise ranks.Stop(ranks.REFUSED, f"--model_path {args.model_path} is a folder: write --model_path={pattern}")
    ranks.insert(args.model_path, 0)
    batches.check_options(args)
    if backend != "gpu" and args.precision:
        raise ranks.Stop(ranks.REFUSED, f"--precision {args.precision} is for gpu, but this is {backend}: leave it out")
    check_cache(args.engine_cache, backend)
    if backend != "ascend":
        given = [f"--{name}" for name in ("rank_id", "device_id") if getattr(args, name, None) is not None]
        if given:
            message = f"{' and '.join(given)}: only for ascend; on {backend} mpirun numbers the ranks: leave that out"
            raise ranks.Stop(ranks.REFUSED, message)


def check_cache(engine_cache, backend):
    """Raise Stop (status 2) if --engine_cache is given on a back end that can't use it."""
    if engine_cache and backend == "ascend":
        raise ranks.Stop(ranks.REFUSED, "--engine_cache is for cpu and gpu, but this is ascend: leave it out")
