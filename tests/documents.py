"""README.md and the pages in docs/, in English and Chinese: what they show is what happens, and both show the same.

A comment before each code block says what it is; it can't be seen on the rendered page:

    <!-- runnable: cpu -->             shell; the platform is cpu, cpu-split, ascend-double, ...
    <!-- runnable: cpu, status 4 -->   its last command ends with this status
    <!-- output -->                    of the block before; "..." stands for lines that are left out
    <!-- output: numbers differ -->    numbers may be different ones
    <!-- output: any order -->         lines that several processes print
    <!-- from: FILE -->                lines of this file
    <!-- file: FILE -->                what the reader saves under this name
    <!-- not run: WHY -->

A block without a comment is an example of a message. A test makes sure that the blocks of both languages are the same
except for shell comments, so one run in a fresh clone is enough. The blocks of a platform, those of README.md first,
are one shell session, as in a reader's terminal. An output is all that its block prints, on stdout and stderr: numbers
with a fraction have to be the same to 1e-5 (another CPU may round differently), times in the names of logs and the
clone's path may differ, and a slow machine may report how long a step takes.
"""

import collections
import re

import pytest
from conftest import ROOT

ENGLISH = (
    "README.md",
    *(
        f"docs/{name}.md"
        for name in (
            *("tutorial", "install", "programs", "session", "server", "language-model", "options", "servers"),
            *("kubernetes", "splitting", "performance", "troubleshooting"),
        )
    ),
)
CHINESE = {page: page.replace(".md", "_CN.md") for page in ENGLISH}
PAGES = (*ENGLISH, *CHINESE.values())
PAIRS = pytest.mark.parametrize("page", ENGLISH)
Block = collections.namedtuple("Block", "kind detail language code line")
KINDS = ("runnable", "output", "from", "file", "not run", "")
PLATFORMS = ("cpu", "cpu-split", "ascend-double", "srun-double", "gpu")
NUMBER = r"-?\d+(?:\.\d+)*(?:e[+-]?\d+)?"


def text_of(page):
    return (ROOT / page).read_text(encoding="utf-8")


def blocks(page):
    """Return the fenced code blocks of a page, in order."""
    found, text = [], text_of(page)
    for match in re.finditer(r"(?:^<!-- ([^\n]+) -->\n)?^```(\w*)\n(.*?)^```$", text, re.M | re.S):
        kind, _, detail = (match.group(1) or "").partition(": ")
        line = text[: match.start()].count("\n") + 1
        found.append(Block(kind, detail, match.group(2), match.group(3), line))
    return found


def prose(page):
    """Return the page's text without its code blocks and comments."""
    text = re.sub(r"^```\w*\n.*?^```$", "", text_of(page), flags=re.M | re.S)
    return re.sub(r"<!--.*?-->", "", text, flags=re.S)


def sections(page):
    """Return [(level, title, prose)] of the headings."""
    parts = re.split(r"^(#+) (.+)$", prose(page), flags=re.M)[1:]
    return list(zip(map(len, parts[::3]), parts[1::3], parts[2::3]))


# What they show is what happens


def normalised(text, folder):
    text = text.replace(str(folder), "/srv/suite")
    text = re.sub(r"logs/\d{4}-\d\d-\d\d_\d{6}(\.\d+)?", "logs/TIME", text)
    text = re.sub(r"^ranks? [\d, ]+: .*\.\.\. \d+ s$", "", text, flags=re.M)  # a step that takes over 5 s
    return [line.rstrip() for line in text.splitlines() if line.strip()]


def same(shown, printed, numbers):
    """Return whether two lines are the same, with any numbers or with numbers to 1e-5."""
    if shown == printed:
        return True
    if re.sub(NUMBER, "0", shown) != re.sub(NUMBER, "0", printed):
        return False
    pairs = zip(re.findall(NUMBER, shown), re.findall(NUMBER, printed))
    return numbers or all(
        a == b or "." in a and abs(float(a) - float(b)) <= 1e-5 * max(1, abs(float(a))) for a, b in pairs
    )


def compare(block, printed, where=""):
    """Make sure that the output block shows what was printed."""
    shown, numbers = normalised(block.code, "/srv/suite"), block.detail == "numbers differ"
    if block.detail == "any order":
        shown, printed = sorted(shown), sorted(printed)
    pieces, at = [[]], 0
    for line in shown:
        pieces.append([]) if line == "..." else pieces[-1].append(line)
    for index, piece in enumerate(pieces):
        first, last = index == 0, index == len(pieces) - 1
        begin = at if first or not last else max(at, len(printed) - len(piece))
        for start in range(begin, begin + 1 if first or last else len(printed)):
            there = printed[start : start + len(piece)]
            if len(there) == len(piece) and all(same(*pair, numbers) for pair in zip(piece, there)):
                at = start + len(piece)
                break
        else:
            raise AssertionError("\n".join([f"{where}:", *piece, "isn't what was printed:", *printed]))
    assert at == len(printed), f"{where}: printed, too: {printed[at:]}"
