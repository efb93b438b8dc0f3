"""What main.py needs but no page does; and for programs in any Python: `from suite import Session, Service`.

Nothing is imported here before it is used: some of it runs where nothing but Python is installed.
"""

import importlib

HOMES = {"Session": "suite.session", "RankError": "suite.session", "Service": "suite.service"}


def __getattr__(name):
    if name in HOMES:
        return getattr(importlib.import_module(HOMES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
