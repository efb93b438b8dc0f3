"""Start the ranks of a model once and predict as often as you like, from any Python (3.7 on) that has NumPy.

    from suite import Session

    with Session("models/Matmul.mindir") as model:
        outputs = model.predict({name: array})

The ranks run in their own environment, started by run.sh under its watch.
"""

import os
import threading
import weakref
from typing import NamedTuple, Tuple

import numpy as np

import ranks
from suite import inputs
from suite.calls import Calls, new_future
from suite.job import Job, RankError

__all__ = ["RankError", "Session", "Value"]


class Value(NamedTuple):
    """An input or output of a model; -1 in `shape` is a dimension that the model leaves open."""

    name: str
    dtype: str
    shape: Tuple[int, ...]


class Session:
    """A model whose ranks have started and built: `inputs` and `outputs` (lists of Value), predict() and close().

    `options` are run.sh's: Session(path, backend="gpu", precision="fp16", verbose=True). `check` compares the first
    predict with the unsharded model X.mindir: True where that file is there, False never, "on" where it must be there;
    afterwards the attribute `check` has the result, as in run.sh's --json. Raises RankError if the ranks can't be
    started, and TypeError for options that a Session can't have.

    Any number of threads may call predict() and predict_async(): the ranks work on one call after the other.
    """

    def __init__(self, model_path, backend="auto", check=True, **options):
        options.update(model_path=model_path, backend=backend, check={True: "auto", False: "off"}.get(check, check))
        job = Job(options)
        try:
            hello, connections, replier = job.wait_until_ready()
        except BaseException:
            job.end()
            raise
        self.inputs, self.outputs = ([Value(n, d, tuple(s)) for n, d, s in hello[key]] for key in ("inputs", "outputs"))
        self.backend, self.ranks = hello["backend"], hello["size"]
        self._calls = Calls(job, connections, replier, hello["in_flight"])
        self._values = {value.name: value for value in self.inputs}
        self._pid, self._collector, self._lock = os.getpid(), None, threading.Lock()
        self._close = weakref.finalize(self, self._calls.close, os.getpid())

    @property
    def check(self):
        """How the first predict compared with the unsharded model, as in run.sh's --json; None before it."""
        return self._calls.found

    @property
    def error(self):
        """The RankError that later predicts raise, or None: it also shows a rank that fails between two predicts."""
        return self._calls.find_error()

    def predict(self, arrays, out=None):
        """Return the outputs, {name: array}, for the inputs: a dict of arrays by name, or a list of them in order.

        The arrays returned are the caller's: no later predict changes them. With `out`, a dict or list of arrays like
        the outputs, they are written there. Raises ValueError if something doesn't fit the model's inputs or outputs,
        and RankError if a rank fails or takes too long (predict_timeout=...), and ever after.
        """
        return self._calls.wait_for(self._submit(arrays, out))

    def predict_async(self, arrays, out=None):
        """Like predict(), but return a concurrent.futures.Future as soon as the inputs are copied.

        While ranks work on some inputs, the next ones are copied and the stages of a pipeline filled; if too many
        are under way already, it waits. `out` must not be read before the future is done.
        """
        future = new_future()
        with self._lock:
            if self._collector is None:
                self._collector = self._calls.start_collector()
            self._collector.put((self._submit(arrays, out), future))
        return future

    def close(self):
        """End the ranks; a predict that is under way fails."""
        if self._close.alive:
            self._close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def _submit(self, given, out):
        if os.getpid() != self._pid:
            raise RuntimeError(
                f"this Session belongs to process {self._pid}, not to its copy {os.getpid()}: open another"
            )
        try:
            arrays = as_arrays(given, self._values, "inputs")
            arrays = inputs.match_values(self._values, arrays, "predict", self.backend)
            if out is not None:
                out = self._checked_out(out)
        except ranks.Stop as error:
            raise ValueError(str(error)) from None
        return self._calls.submit(list(arrays.values()), [value.name for value in self.outputs], out)

    def _checked_out(self, out):
        wanted = {value.name: value for value in self.outputs}
        out = inputs.by_name(list(wanted), as_arrays(out, wanted, "out", of=lambda array: array), "out", "gives")
        for name, array in out.items():
            if not isinstance(array, np.ndarray) or not array.flags.writeable:
                raise ranks.Stop(ranks.REFUSED, f"out: {name} isn't a NumPy array that can be written to")
            inputs.check_kind(name, array, wanted[name].dtype, wanted[name].shape, "out", "gives")
        if len({id(array) for array in out.values()}) < len(out):
            raise ranks.Stop(ranks.REFUSED, "out: one array for several outputs: give each its own")
        return out


def as_arrays(given, wanted, what, of=np.asarray):
    """Return {name: array} of a dict, or of a list in the order of `wanted`; Stop (status 2) for another number."""
    if hasattr(given, "items"):
        return {name: of(array) for name, array in given.items()}
    if not isinstance(given, (list, tuple)):
        raise ranks.Stop(ranks.REFUSED, f"{what}: {type(given).__name__}: give a dict by name, or a list in order")
    if len(given) != len(wanted):
        names = ", ".join(wanted)
        raise ranks.Stop(ranks.REFUSED, f"{what}: {len(given)} arrays, the model has {len(wanted)} ({names})")
    return dict(zip(wanted, map(of, given)))
