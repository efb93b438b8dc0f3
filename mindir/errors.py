"""The one exception of this room."""

from ranks import REFUSED, Stop


class MindIRError(Stop):
    """A file, a set of files or a graph that can't be used; the message says which, what is wrong and what to do."""

    def __init__(self, message):
        super().__init__(REFUSED, message)
