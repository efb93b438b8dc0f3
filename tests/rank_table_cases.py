"""The situations in cases/, and the rank-table tool, with which most of them are tested."""

import sys

from conftest import ROOT, command

CASES = ROOT / "tests" / "cases"


def rank_table(*words, **options):
    return command(sys.executable, ROOT / "ascend" / "rank_table.py", *words, **options)
