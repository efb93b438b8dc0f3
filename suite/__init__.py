"""What main.py needs and no page does, and Session, for programs of any Python: `from suite import Session`.

Nothing is imported here before it is asked for: some of it runs where there is only Python.
"""


def __getattr__(name):
    if name in ("Session", "RankError"):
        from suite import session

        return getattr(session, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
