"""This package's only exception, and how text from a file is made safe to show."""

import contextlib

from ranks import REFUSED, Stop

LONGEST = 2000  # characters of a message: a name in a file may have a megabyte


class MindIRError(Stop):
    """A file, a set of files or a graph that can't be used; the message says which, what is wrong and what to do.

    It is one line of printable text, whatever names are in the file.
    """

    def __init__(self, message):
        super().__init__(REFUSED, printable(message))


def printable(text):
    """Return the text in one line, with Python's escapes for what can't be printed, shortened if it is too long."""
    if len(text) > LONGEST:
        text = f"{text[: LONGEST - 500]} ... {text[-500:]}"  # the advice is at the end
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else repr(char)[1:-1] for char in text)


@contextlib.contextmanager
def understood(path):
    """Turn any other failure on a message that no MindSpore would write into a MindIRError."""
    try:
        yield
    except (ArithmeticError, AttributeError, LookupError, StopIteration, TypeError, ValueError) as error:
        failure = f"{type(error).__name__}: {error}"
        raise MindIRError(f"{path}: not as MindSpore writes it ({failure}): damaged? export it again") from error
