"""What shards hold, and whether they fit together.

    python3 -m mindir models/Matmul0.mindir models/Matmul1.mindir

prints what each file holds and, of several, whether they are one set: status 2 if they aren't. From another folder:
python3 /where/the/suite/is/mindir FILE...
"""

import argparse
import os
import sys

if not __package__:  # a folder run as a script: Python looks in it, not beside it
    sys.path[0] = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))

from mindir import MindIRError, check_set, load  # the suite's, wherever this was started


def main():
    """Print what the files hold and whether they are one set."""
    idea, usage = __doc__.split("\n\n")[:2]
    parser = argparse.ArgumentParser(
        prog="mindir",
        description=idea,
        epilog=f"example:\n{usage}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("files", nargs="+", metavar="FILE", help="the shards in rank order")
    files = parser.parse_args().files
    try:
        shards = [load(each) for each in files]
        for each in shards:
            print(f"{each.path}  ({each.producer})")
            for kind, values in (("input", each.inputs), ("output", each.outputs)):
                for value in values:
                    print(f"  {kind:10}  {value}")
            print(f"  parameters  {each.parameters}, {each.nbytes} bytes")
            for collective in each.collectives:
                made_for = f"{collective.ranks} ranks" if collective.ranks else "any number of ranks"
                print(f"  collective  {collective.signature()}  {collective.group}, {made_for}  {collective.node}")
        together = [each for each in shards if each.collectives]
        alone = [each.path for each in shards if not each.collectives]
        if len(alone) > 1 or alone and len(shards) == 2:
            raise MindIRError(f"{alone[-1]}: has no collectives, so it isn't a shard of a set with the others")
        if len(together) > 1:
            check_set(together)
            print(f"one set for {len(together)} ranks")
    except MindIRError as error:
        print(f"mindir: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
