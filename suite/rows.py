"""Put requests with any number of rows together into batches of the size that a model takes; answer each of them."""

import time

import numpy as np

from suite import backends
from suite.calls import new_future


class Request:
    """Arrays of `count` rows, in the order of the model's inputs, and the future of the outputs for them."""

    def __init__(self, arrays, count=None):
        self.arrays, self.count, self.came = arrays, count, time.monotonic()
        self.future, self.sent, self.found = new_future(), 0, []  # `sent` rows are under way; outputs, part by part

    def fail(self, error):
        if not self.future.done():  # another part of it may have failed before
            self.future.set_exception(error)


def take_rows(waiting, rows):
    """Take up to `rows` rows from a deque of Requests; return [(Request, its first row, its last row + 1)].

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


def join_rows(parts, rows):
    """Return arrays of `rows` rows, in the order of the inputs: the parts' rows, and the last one repeated."""
    whole = []
    for index in range(len(parts[0][0].arrays)):
        pieces = [request.arrays[index][start:stop] for request, start, stop in parts]
        missing = rows - sum(map(len, pieces))
        whole.append(np.concatenate([*pieces, *[pieces[-1][-1:]] * missing]))
    return whole


def split_rows(parts, outputs):
    """Pass each part's Request its rows of the outputs, {name: array}; a Request that has all of them is answered."""
    begin = 0
    for request, start, stop in parts:
        end = begin + stop - start
        request.found.append({name: array[begin:end] for name, array in outputs.items()})
        begin = end
        if stop == request.count and not request.future.done():
            whole = request.found[0] if len(request.found) == 1 else _joined(request.found)
            request.future.set_result(whole)


def _joined(found):
    return {name: np.concatenate([outputs[name] for outputs in found]) for name in found[0]}


def inputs_of_ones(model):
    """Return a Session's inputs, all ones; None if it leaves a dimension open."""
    if any(-1 in value.shape for value in model.inputs):
        return None
    return [np.ones(value.shape, value.dtype) for value in model.inputs]


def batch_size(model):
    """Return how many rows a Session's model takes, each computed by itself; None if rows depend on each other.

    All inputs and outputs need to have that many rows, and the outputs for a row may depend neither on its place nor on
    the other rows. This is tried with two kinds of rows: for any two places, there is a predict with a different kind
    in each.
    """
    shapes = [value.shape for value in (*model.inputs, *model.outputs)]
    if any(-1 in shape for shape in shapes) or not all(shapes) or len({shape[0] for shape in shapes}) > 1:
        return None
    count, kinds = shapes[0][0], _two_kinds(model)
    places = np.arange(count)
    first, second = (model.predict([array[np.full(count, kind)] for array in kinds]) for kind in (0, 1))
    right = {name: np.stack([first[name][0], second[name][0]]) for name in first}
    if not any(_is_near(right[name][:1], right[name][1:], model.backend) for name in right):
        masks = [np.zeros(count, int), np.ones(count, int)]
        masks += [places >> bit & 1 for bit in range(max(count - 1, 0).bit_length())]
        for mask in masks:
            found = model.predict([array[mask] for array in kinds])
            if not all(_is_near(found[name], right[name][mask], model.backend) for name in right):
                return None
        return count
    return None


def _two_kinds(model):
    """Return two rows for each input: ones, and values from 0 to 1 (0 and 1 for integers, as they may be indices)."""
    draw, kinds = np.random.RandomState(1), []
    for value in model.inputs:
        dtype = np.dtype(value.dtype)
        other = draw.random_sample(value.shape[1:]) if dtype.kind == "f" else draw.randint(0, 2, value.shape[1:])
        kinds.append(np.stack([np.ones(value.shape[1:], dtype), other.astype(dtype)]))
    return kinds


def _is_near(found, expected, backend):
    """Return whether the arrays are the same within the back end's tolerance; two NaN count as the same."""
    tolerance = backends.BACKENDS[backend].tolerances.get(found.dtype.name, 0)
    found, expected = (np.where(np.isnan(found) & np.isnan(expected), 0, one) for one in (found, expected))
    found, expected = found.astype(np.float64), expected.astype(np.float64)
    return np.max(np.abs(found - expected)) <= tolerance * np.max(np.abs(expected))
