"""What shards hold, and whether they fit together.

    python3 -m mindir models/Matmul0.mindir models/Matmul1.mindir

prints what each file holds and, of several, whether they are one set: status 2 if they aren't. From another folder:
python3 /where/the/suite/is/mindir FILE... And --picture draws a split:

    python3 -m mindir models/Matmul.mindir --picture split.svg
"""

import os
import sys

if not __package__:  # run as a script, a folder is where Python looks for modules: look beside it
    sys.path[0] = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))

import argparse
import signal

import ranks
from mindir import DTYPES, MindIRError, check_set, load, picture, printable


def show_files(files):
    """Print what the files hold and whether they are one set; raise MindIRError if they aren't."""
    shards = [load(path) for path in files]
    for shard in shards:
        show_file(shard)
    together = [shard for shard in shards if shard.collectives]
    alone = [shard.path for shard in shards if not shard.collectives]
    if len(alone) > 1 or alone and len(shards) == 2:
        raise MindIRError(f"{alone[-1]}: has no collectives, so it isn't a shard of a set with the others")
    if len(together) > 1:
        check_set(together)
        print(f"one set for {len(together)} ranks")


def show_file(shard):
    """Print what one file holds."""
    lines = [f"{shard.path}  ({shard.producer})"]
    for kind, values in (("input", shard.inputs), ("output", shard.outputs)):
        lines += [f"  {kind:10}  {value}" for value in values]
    dtypes = sorted({DTYPES[tensor.data_type] for tensor in shard.model.graph.parameter})
    lines.append(f"  parameters  {', '.join([str(shard.parameters), f'{shard.nbytes} bytes', *dtypes])}")
    for collective in shard.collectives:
        made_for = f"{collective.ranks} ranks" if collective.ranks else "any number of ranks"
        made_for = collective.among() if collective.members else f"{collective.group}, {made_for}"
        lines.append(f"  collective  {collective.signature()}  {made_for}  {collective.node}")
    print(*map(printable, lines), sep="\n")


def write_picture(path, target):
    """Draw what the shards of the unsharded model at `path` hold and exchange; write it to `target` as SVG."""
    whole, shards = load(path), []
    while ranks.find(ranks.insert(path, len(shards))):
        shards.append(load(ranks.insert(path, len(shards))))
    if not shards:
        raise MindIRError(
            f"{ranks.insert(path, 0)}: no such file: --picture takes the unsharded model beside its shards"
        )
    check_set([shard.summary() for shard in shards])
    text = picture.draw(whole, shards)
    try:
        with open(f"{target}.new", "w", encoding="utf-8") as file:
            file.write(text)
        os.replace(f"{target}.new", target)
    except OSError as error:
        raise ranks.Stop(ranks.FAILED, f"{target}: can't be written: {error.strerror}") from None
    print(f"{target}: {len(shards)} ranks, weights on the first: {len(shards[0].model.graph.parameter)}")


def parse_arguments():
    """Return the arguments."""
    idea, usage = (__doc__ or "\n\n").split("\n\n")[:2]
    parser = argparse.ArgumentParser(
        prog="mindir",
        description=idea,
        epilog=f"example:\n{usage}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("files", nargs="+", metavar="FILE", help="the shards in rank order")
    text = "draw what each shard beside the unsharded FILE holds, and what they exchange, to this .svg (default: none)"
    parser.add_argument("--picture", metavar="OUT.svg", help=text)
    args = parser.parse_args()
    if args.picture and len(args.files) > 1:
        parser.error("--picture takes one FILE, the unsharded model")
    return args


if __name__ == "__main__":
    named = parse_arguments()
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # `... | head` ends it silently
    sys.stdout.reconfigure(errors="backslashreplace")  # a name may have characters that the terminal can't show
    ranks.run(lambda: write_picture(named.files[0], named.picture) if named.picture else show_files(named.files))
