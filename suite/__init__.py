"""What main.py needs and no page does, and for programs of any Python: `from suite import Session, Service`.

Nothing is imported here before it is asked for: some of it runs where there is only Python.
"""

import importlib

HOMES = {"Session": "suite.session", "RankError": "suite.session", "Service": "suite.service"}


def __getattr__(name):
    if name in HOMES:
        return getattr(importlib.import_module(HOMES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
