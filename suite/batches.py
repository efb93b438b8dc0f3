"""Many inputs in one start: which files a pattern matches, where the outputs of each go. Standard library only."""

import glob
import os

import ranks


def is_pattern(path):
    """Return whether the path is a pattern for files: it has *, ? or [, and isn't a file itself."""
    return glob.has_magic(_parts(path)[1]) and not os.path.exists(path)


def _parts(path):
    """Return (an existing folder, the rest, which may be a pattern): a folder may be called [1]."""
    folder, name = os.path.split(path)
    return (folder, name) if os.path.isdir(folder) else ("", path)


def find(pattern, folder):
    """Return [(file with inputs, file for its outputs in the folder)], in the order of their names.

    Raises Stop (status 2) if there is none, or two would be written to the same file, or one over an input.
    """
    found, taken = [], {}
    there, name = _parts(pattern)
    for path in sorted(glob.glob(os.path.join(glob.escape(there), name), recursive=True)):
        if os.path.isdir(path):  # whatever else isn't a file is named with those that can't be right
            continue
        output = os.path.join(folder, os.path.splitext(os.path.basename(path))[0] + ".npz")
        if output in taken:
            message = f"--input {pattern}: {taken[output]} and {path} would both be written to {output}: rename one"
            raise ranks.Stop(ranks.REFUSED, message)
        taken[output] = path
        found.append((path, output))
    if not found:
        raise ranks.Stop(ranks.REFUSED, f"--input {pattern}: no file matches: correct it")
    read = {os.path.realpath(path) for path, _ in found}
    for _, output in found:
        if os.path.realpath(output) in read:
            raise ranks.Stop(ranks.REFUSED, f"--output {folder}: {output} would be overwritten: give another folder")
    return found


def check_options(args):
    """Raise Stop (status 2) if an option that many inputs need is missing, or one is given that they can't have."""
    if not is_pattern(args.input):
        if args.stop_at_first:
            message = f"--stop_at_first: --input {args.input or '(none)'} isn't a pattern such as 'batches/*.npz'"
            raise ranks.Stop(ranks.REFUSED, message)
        return
    if not args.output:
        raise ranks.Stop(ranks.REFUSED, f"--input {args.input} is a pattern: give --output FOLDER, too")
    given = [
        f"--{name}" for name, least in (("warmup", 0), ("repeat", 1), ("json", "")) if getattr(args, name) != least
    ]
    if given:
        message = (
            f"{' and '.join(given)}: only for a single input, but --input {args.input} is a pattern: leave that out"
        )
        raise ranks.Stop(ranks.REFUSED, message)
    if os.path.exists(args.output) and not os.path.isdir(args.output):
        raise ranks.Stop(
            ranks.REFUSED,
            f"--output {args.output} isn't a folder, but --input {args.input} is a pattern: give a folder",
        )
    find(args.input, args.output)
