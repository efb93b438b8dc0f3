"""The one exception of this package, and how text out of a file is made fit to be shown."""

import contextlib

from ranks import REFUSED, Stop

LONGEST = 2000  # characters of a message: a file may bring a name of a megabyte


class MindIRError(Stop):
    """A file, a set of files or a graph that can't be used; the message says which, what is wrong and what to do.

    It is one line of printable text, whatever names the file brought.
    """

    def __init__(self, message):
        super().__init__(REFUSED, printable(message))


def printable(text):
    """Return the text in one line: what can't be printed is written as Python does, what is too long cut short."""
    if len(text) > LONGEST:
        text = f"{text[: LONGEST - 500]} ... {text[-500:]}"  # the advice is at the end
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else repr(char)[1:-1] for char in text)


@contextlib.contextmanager
def understood(path):
    """Turn what fails on a message that no MindSpore writes, where nothing else has said so, into a MindIRError."""
    try:
        yield
    except (ArithmeticError, AttributeError, LookupError, StopIteration, TypeError, ValueError) as error:
        said = f"{type(error).__name__}: {error}"
        raise MindIRError(f"{path}: not as MindSpore writes it ({said}): damaged? export it again") from error
