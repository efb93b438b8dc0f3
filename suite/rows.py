"""Requests of any number of rows, put together into batches of the size that a model takes, and their answers."""

import time

import numpy as np

from suite import backends
from suite.calls import new_future


class Request:
    """Arrays of `count` rows, in the order of the model's inputs, and the future of the outputs for them."""

    def __init__(self, arrays, count=None):
        self.arrays, self.count, self.came = arrays, count, time.monotonic()
        self.future, self.sent, self.found = new_future(), 0, []  # rows that are under way; outputs, part by part

    def fail(self, error):
        if not self.future.done():  # another part of it may have failed before
            self.future.set_exception(error)


def take(waiting, rows):
    """Take up to `rows` rows from a deque of Requests; return [(Request, its first row, behind its last row)].

    What doesn't fit stays in the deque, so a request may be answered by several batches.
    """
    parts = []
    while waiting and rows:
        request = waiting[0]
        start, request.sent = request.sent, min(request.sent + rows, request.count)
        parts.append((request, start, request.sent))
        rows -= request.sent - start
        if request.sent == request.count:
            waiting.popleft()
    return parts


def join(parts, rows):
    """Return arrays of `rows` rows, in the order of the inputs: those of the parts, and the last one again."""
    whole = []
    for index in range(len(parts[0][0].arrays)):
        pieces = [request.arrays[index][start:stop] for request, start, stop in parts]
        missing = rows - sum(map(len, pieces))
        whole.append(np.concatenate([*pieces, *[pieces[-1][-1:]] * missing]))
    return whole


def split(parts, outputs):
    """Give each part's Request its rows of the outputs, {name: array}; a Request that has all of them is answered."""
    begin = 0
    for request, start, stop in parts:
        end = begin + stop - start
        request.found.append({name: array[begin:end] for name, array in outputs.items()})
        begin = end
        if stop == request.count and not request.future.done():
            whole = request.found[0] if len(request.found) == 1 else _one(request.found)
            request.future.set_result(whole)


def _one(found):
    return {name: np.concatenate([outputs[name] for outputs in found]) for name in found[0]}


def of_ones(model):
    """Return a Session's inputs, all ones; None where it leaves a dimension open."""
    if any(-1 in value.shape for value in model.inputs):
        return None
    return [np.ones(value.shape, value.dtype) for value in model.inputs]


def batch_of(model):
    """Return how many rows a Session's model takes, each of them by itself; None where rows can't be told apart.

    All inputs and outputs need to have that many rows, and what comes out for a row must not depend on the others,
    which is tried: the first and the last row of ones have to give the same among ones and among zeros.
    """
    shapes = [value.shape for value in (*model.inputs, *model.outputs)]
    ones = of_ones(model)
    if ones is None or not all(shapes) or len({shape[0] for shape in shapes}) > 1:
        return None
    count, among_ones = shapes[0][0], model.predict(ones)
    for row in {0, count - 1}:
        alone = [np.zeros_like(array) for array in ones]
        for array in alone:
            array[row] = 1
        for name, found in model.predict(alone).items():
            if not _is_near(found[row], among_ones[name][row], backends.BACKENDS[model.backend].tolerances):
                return None
    return count


def _is_near(found, expected, tolerances):
    tolerance = tolerances.get(found.dtype.name, 0)
    found, expected = found.astype(np.float64), expected.astype(np.float64)
    return np.max(np.abs(found - expected)) <= tolerance * np.max(np.abs(expected))
