"""A picture of a split: what each rank holds of every weight, and what the ranks exchange, in order. SVG by hand."""

import os
from collections import defaultdict
from xml.sax.saxutils import escape

from mindir.collectives import PEERS
from mindir.dtypes import DTYPES
from mindir.groups import moments
from mindir.parameters import short_name
from mindir.parts import find_part, weights

LEFT, COLUMN, RIGHT, MARGIN = 240, 150, 190, 20  # pixels
BOX = 88  # of a weight, at most
MOST_WEIGHTS, MOST_EXCHANGES = 40, 60  # rows of the picture
COLOURS = 4  # of groups in one row
STYLE = """
  <!-- every colour is here once for light and once for dark; the picture has its own background -->
  <style>
    .page { fill: #ffffff; }
    .whole { fill: #f3f6fa; stroke: #8496a8; }
    .part { fill: #8fc0f0; stroke: #2b6cb0; stroke-width: 1.5; }
    .alike { stroke-dasharray: 4 3; fill-opacity: 0.4; }
    .rule { stroke: #c6d0da; }
    .g0 { fill: #2b6cb0; stroke: #2b6cb0; } .g1 { fill: #b7791f; stroke: #b7791f; }
    .g2 { fill: #2f855a; stroke: #2f855a; } .g3 { fill: #97266d; stroke: #97266d; }
    line.group { stroke-width: 3; } path.group { fill-opacity: 1; }
    text { fill: #1a2530; } .quiet { fill: #4a5a6a; font-size: 12px; } .head { font-weight: bold; }
    @media (prefers-color-scheme: dark) {
      .page { fill: #0d1117; } .whole { fill: #161d26; stroke: #6b7b8b; } .part { fill: #2a5a8c; stroke: #63a4e6; }
      .rule { stroke: #38434f; } text { fill: #e6edf3; } .quiet { fill: #a9b6c3; }
      .g0 { fill: #63a4e6; stroke: #63a4e6; } .g1 { fill: #e0ad4b; stroke: #e0ad4b; }
      .g2 { fill: #5fc58a; stroke: #5fc58a; } .g3 { fill: #e58ac2; stroke: #e58ac2; }
    }
  </style>
"""


def draw(whole, shards):
    """Return the picture, as the text of an SVG file, of the unsharded model `whole` and its shards in rank order."""
    drawing = _Drawing(len(shards))
    drawing.text(MARGIN, f"{os.path.basename(whole.path)} on {len(shards)} ranks", "head")
    drawing.y += 12
    _draw_weights(drawing, whole, shards)
    _draw_exchanges(drawing, shards)
    return drawing.svg(f"What {len(shards)} ranks hold of {os.path.basename(whole.path)}, and what they exchange")


class _Drawing:
    """Elements of a picture, drawn from top to bottom; `y` is where the next row begins."""

    def __init__(self, count):
        self.count, self.y, self.elements = count, MARGIN + 14, []
        self.width = LEFT + COLUMN * count + RIGHT

    def column(self, rank):
        """Return the middle of a rank's column."""
        return LEFT + COLUMN * rank + COLUMN // 2

    def add(self, element):
        self.elements.append(element)

    def text(self, x, text, kind="", dy=0, anchor="start"):
        self.add(f'<text x="{x}" y="{self.y + dy}" class="{kind}" text-anchor="{anchor}">{escape(text)}</text>')

    def rectangle(self, x, y, width, height, kind):
        self.add(f'<rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}" class="{kind}"/>')

    def heading(self, left, columns=(), right=""):
        """Draw a line with a title on the left, one over each column, and one on the right."""
        self.y += 24
        self.text(MARGIN, left, "head")
        for rank, title in enumerate(columns):
            self.text(self.column(rank), title, "head", 0, "middle")
        if right:
            self.text(self.width - RIGHT + 10, right, "head")
        self.y += 10
        self.add(f'<line x1="{MARGIN}" y1="{self.y}" x2="{self.width - MARGIN}" y2="{self.y}" class="rule"/>')
        self.y += 10

    def svg(self, title):
        height = self.y + MARGIN
        head = (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {self.width} {height}" width="{self.width}" '
            f'height="{height}" role="img"\n     font-family="Helvetica, Arial, \'DejaVu Sans\', sans-serif" '
            f'font-size="14">\n  <title>{escape(title)}</title>{STYLE}  <rect width="100%" height="100%" class="page"/>'
        )
        return "\n  ".join([head, *self.elements]) + "\n</svg>\n"


def _fit(text, length):
    """Return the text cut in its middle to so many characters."""
    half = (length - 1) // 2
    return text if len(text) <= length else f"{text[:half]}…{text[-half:]}"


def _draw_weights(drawing, whole, shards):
    all_of, held = weights(whole), [weights(shard) for shard in shards]
    kinds = {
        short_name(tensor.name): f"{DTYPES[tensor.data_type]} {tuple(tensor.dims)}"
        for tensor in whole.model.graph.parameter
    }
    drawing.heading("weights", [f"rank {rank}" for rank in range(len(shards))])
    for name in list(all_of)[::-1][:MOST_WEIGHTS]:  # MindSpore lists the last one first
        shape = all_of[name].shape[:-1]
        width, height = _box(shape)
        rows = max(height + 30, 44)
        drawing.text(MARGIN, _fit(name, 28), "", 14)
        drawing.text(MARGIN, kinds[name], "quiet", 31)
        for rank, mine in enumerate(held):
            part, certain = find_part(all_of[name], mine[name]) if name in mine else ((), True)
            _draw_part(drawing, rank, shape, part, certain, (width, height))
        drawing.y += rows + 10
    if len(all_of) > MOST_WEIGHTS:
        drawing.text(MARGIN, f"and {len(all_of) - MOST_WEIGHTS} more weights", "quiet", 10)
        drawing.y += 22
    drawing.text(MARGIN, "together", "", 12)
    for rank, shard in enumerate(shards):
        share = f"{_bytes(shard.nbytes)} of {_bytes(whole.nbytes)}"
        drawing.text(drawing.column(rank), share, "quiet", 12, "middle")
    drawing.y += 26


def _box(shape):
    """Return (width, height) of the rectangle for a weight: axis 0 goes down, axis 1 to the right."""
    if len(shape) < 2:
        return BOX, 14
    ratio = min(max(shape[1] / shape[0], 0.4), 2.5)
    return (BOX, BOX / ratio) if ratio > 1 else (BOX * ratio, BOX)


def _draw_part(drawing, rank, shape, part, certain, box):
    """Draw one rank's part of a weight, [(first, last + 1), ...]; () for none, None for other values.

    `certain` is False if the weight has the same values in several places: it may be any of them.
    """
    (width, height), middle = box, drawing.column(rank)
    left, top = middle - width / 2, drawing.y
    drawing.rectangle(left, top, width, height, "whole")
    lines = ["none"] if part == () else ["other values"]
    if part:
        shares = [(first / size, last / size) for (first, last), size in zip(part, shape)]
        down, right = [(0, 1)] * (2 - len(shares)) + shares[:2]
        x, y = left + right[0] * width, top + down[0] * height
        kind = "part" if certain else "part alike"
        drawing.rectangle(x, y, (right[1] - right[0]) * width, (down[1] - down[0]) * height, kind)
        lines = [
            f"{name} {first}–{last - 1}" if certain else f"any {last - first} {name}"
            for name, (first, last), size in zip(_axis_names(len(shape)), part, shape)
            if (first, last) != (0, size)
        ] or ["all"]
    for index, line in enumerate(lines[:2]):
        drawing.text(middle, line, "quiet", int(height) + 14 + 14 * index, "middle")


def _axis_names(count):
    return ["values"] if count == 1 else ["rows", "columns", *(f"axis {axis}" for axis in range(2, count))]


def _bytes(number):
    for unit in ("bytes", "KiB", "MiB", "GiB"):
        if number < 1024 or unit == "GiB":
            return f"{number:.0f} {unit}" if number >= 10 or unit == "bytes" else f"{number:.1f} {unit}"
        number /= 1024
    return ""


def _draw_exchanges(drawing, shards):
    """Draw one row for all groups that exchange the same at the same moment."""
    rows = defaultdict(dict)  # (moment, text): {ranks: whether an arrow leads from the first to the second}
    for rank, (shard, when) in enumerate(zip(shards, moments(shards))):
        for collective, moment in zip(shard.collectives, when):
            kind = f"{collective.dtype} {collective.shape}"
            if collective.op == "Send":
                rows[moment, "Send, Receive", kind][rank, collective.peer(len(shards))] = True
            elif collective.op not in PEERS:
                exchange = f"{collective.op}({collective.reduction})" if collective.reduction else collective.op
                rows[moment, exchange, kind][collective.group_ranks(len(shards))] = False
    drawing.heading("exchanges, in order", [f"rank {rank}" for rank in range(len(shards))], "among")
    for number, ((_, exchange, kind), groups) in enumerate(sorted(rows.items())[:MOST_EXCHANGES], 1):
        drawing.text(MARGIN, f"{number}  {exchange}", "", 12)
        drawing.text(MARGIN + 18, kind, "quiet", 29)
        lanes = _lanes(sorted(groups))
        for index, ranks in enumerate(sorted(groups)):
            _draw_group(drawing, ranks, groups[ranks], drawing.y + 10 + 16 * lanes[ranks], index % COLOURS)
        texts = [_among(ranks, len(shards), groups[ranks]) for ranks in sorted(groups)]
        texts = texts if len(texts) <= 4 else [f"{len(texts)} groups"]
        for index, text in enumerate(texts):
            drawing.text(drawing.width - RIGHT + 10, text, "quiet", 14 + 16 * index)
        drawing.y += max(44, 14 + 16 * max(len(texts), max(lanes.values()) + 1))
    if len(rows) > MOST_EXCHANGES:
        drawing.text(MARGIN, f"and {len(rows) - MOST_EXCHANGES} more exchanges", "quiet", 10)
        drawing.y += 22


def _lanes(groups):
    """Return {ranks: lane} so that the lines of groups don't cover each other."""
    lanes, ends = {}, []  # ends: the last column of each lane
    for ranks in groups:
        lane = next((index for index, end in enumerate(ends) if end < min(ranks)), len(ends))
        ends[lane:] = [max(ranks), *ends[lane + 1 :]]
        lanes[ranks] = lane
    return lanes


def _draw_group(drawing, ranks, arrow, y, colour):
    """Draw a line with a dot at each rank of the group, or an arrow from one rank to another."""
    columns = [drawing.column(rank) for rank in ranks]
    first, last = (columns[0], columns[-1]) if arrow else (min(columns), max(columns))
    drawing.add(f'<line x1="{first}" y1="{y}" x2="{last}" y2="{y}" class="group g{colour}"/>')
    for column in columns[:1] if arrow else columns:
        drawing.add(f'<circle cx="{column}" cy="{y}" r="5" class="g{colour}"/>')
    if arrow:
        back = -12 if last > first else 12
        drawing.add(f'<path d="M{last + back} {y - 7} L{last} {y} L{last + back} {y + 7} z" class="group g{colour}"/>')


def _among(ranks, count, arrow):
    if arrow:
        return f"rank {ranks[0]} to rank {ranks[1]}"
    if len(ranks) == count:
        return "all ranks"
    return _fit(f"rank{'s' if len(ranks) > 1 else ''} {', '.join(map(str, ranks))}", 26)
