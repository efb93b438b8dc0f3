"""What the user may have meant by a model's path where there is no shard. Standard library only."""

import glob
import os
import re

import ranks

NUMBERED = "shards are numbered 0, 1, 2, ...: rename yours to match"
MOST = 1000  # at most so many files are looked at


def hint(model_path):
    """Return advice on what to write instead of a path, beginning with ": "."""
    pattern = pattern_near(model_path)
    if ranks.find(model_path) and re.search(r"\d(_graph)?\.mindir$", model_path):
        return f": give --model_path without a rank's number, not {model_path}" + (f", or {pattern}" if pattern else "")
    if pattern:
        return f": write --model_path={pattern}"
    numbered = _numbered_otherwise(model_path)
    if numbered:
        return f": there are {', '.join(numbered)}: {NUMBERED}"
    return f": export one shard per rank, or correct --model_path ({model_path})"


def pattern_near(model_path):
    """Return a path with {rank} in it that leads to shards of ranks 0 and 1 near `model_path`; "" for none.

    Exporters write rank_0/net.mindir, rank_0_graph.mindir and the like.
    """
    folder, name = os.path.split(model_path)
    here, inside = glob.escape(folder), glob.escape(model_path)
    near = [model_path, *sorted(glob.glob(os.path.join(here, "*", glob.escape(name))))]
    near += sorted(glob.glob(os.path.join(here, "*0*")))
    near += sorted(glob.glob(os.path.join(inside, "*.mindir")) + glob.glob(os.path.join(inside, "*", "*.mindir")))
    for path in near[:MOST]:
        for zero in reversed(list(re.finditer(r"(?<!\d)0(?!\d)", path))):  # a file's number before its folder's
            pattern = f"{path[: zero.start()]}{{rank}}{path[zero.end() :]}"
            if path.endswith(".mindir") and all(ranks.find(ranks.insert(pattern, rank)) for rank in (0, 1)):
                return pattern
    return ""


def _numbered_otherwise(model_path):
    """Return the first names of files, in the place of the shards, that are numbered from 1 or with leading zeros."""
    before, after = re.split(r"\{rank\}|(?:_graph)?\.mindir$", model_path, maxsplit=1)
    pattern = re.compile(re.escape(before) + r"\d+" + (re.escape(after) if after else r"(_graph)?\.mindir"))
    found = glob.glob(f"{glob.escape(before)}*{glob.escape(after) if after else '.mindir'}")
    return [os.path.basename(path) for path in sorted(found)[:MOST] if pattern.fullmatch(path)][:3]
