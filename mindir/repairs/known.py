"""The primitives of which tests have seen that mindspore_lite 2.0.0's CPU computes them right."""


def refuse_unknown(shard):
    """Raise MindIRError for a node of a primitive that isn't known."""
