"""What the double keeps for its process: the log, the faults, which rank it is; and the strictness of its classes."""

import atexit
import os

from mindspore_lite._engine import Faults, Log

log = Log(os.environ.get("ASCEND_DOUBLE_LOG"))
faults = Faults(os.environ.get("ASCEND_DOUBLE_FAULT", ""))
rank = None
ranks = lambda: None  # noqa: E731  (a weak reference to the process's Ranks later)
predicts = models = 0


@atexit.register
def _at_exit():
    faults(rank, "exit", "")


def check(name, value, kind):
    if not isinstance(value, kind):
        raise TypeError(f"{name} must be {kind.__name__}, but got {type(value)}.")


def check_dict(name, value):
    check(f"{name}", value, dict)
    for key, inner in value.items():
        check(f"{name}_key", key, str)
        check(f"{name}_value", inner, dict)
        for inner_key, text in inner.items():
            check(f"{name}_value_key", inner_key, str)
            check(f"{name}_value_value", text, str)


class Strict:
    """Refuses attributes that the class doesn't have; the real classes accept them without effect."""

    def __setattr__(self, name, value):
        if name[0] != "_" and not isinstance(getattr(type(self), name, None), property):
            raise AttributeError(f"{type(self).__name__} has no attribute {name!r}: the real one would ignore it")
        object.__setattr__(self, name, value)
