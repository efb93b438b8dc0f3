"""A model that answers many callers at once, and whose ranks are restarted when one of them fails.

    from suite import Service

    with Service("models/Matmul.mindir") as service:
        future = service.submit({"x": rows})        # any number of rows
        outputs = future.result()

A server needs no more than that, whatever protocol it speaks: see examples/serve.py.
"""

import collections
import sys
import threading
import time

import ranks
from suite import inputs, rows
from suite.session import RankError, Session, Value, as_arrays

LOOK = 0.2  # an idle service looks this often (seconds) whether its ranks live


class Service:
    """A Session's model: `inputs`, `outputs`, submit() from any thread, `is_ready`, and `error`, once it has given up.

    Requests that arrive within `wait` seconds go through the model together, up to the number of `rows` that it takes;
    `rows` is None if its rows depend on each other, and then each request goes alone. When a rank fails, the requests
    that are under way fail with the RankError, and the ranks are restarted for those that wait: at most `starts` times
    before a request has been answered; after that `error` is set and `at_end` called. `options` are those of Session;
    raises RankError if the first start fails.
    """

    def __init__(self, model_path, wait=0.005, starts=3, at_end=None, **options):
        self._options, self._wait, self._starts = {"model_path": model_path, **options}, wait, starts
        self._at_end = at_end
        self._model = self._open_session()
        try:
            self.rows = rows.batch_size(self._model)
        except BaseException:
            self._model.close()
            raise
        self.inputs, self.outputs = map(self._with_any_rows, (self._model.inputs, self._model.outputs))
        self.backend, self.ranks = self._model.backend, self._model.ranks
        self._values = {value.name: value for value in self.inputs}
        self._waiting, self._changed, self._is_closed = collections.deque(), threading.Condition(), False
        self._under_way, self._answered, self._failures = 0, 0.0, 0
        self._down, self.error = None, None  # the RankError while the ranks restart; the one that ended the service
        self._thread = threading.Thread(target=self._send_batches, daemon=True)
        self._thread.start()

    def __str__(self):
        batch = f"batches of {self.rows} rows" if self.rows else "one request at a time"
        return f"{self.ranks} ranks on {self.backend}, {batch}"

    @property
    def is_ready(self):
        """Whether the ranks live and answer."""
        return not self._is_closed and not self._down and not self._model.error

    def submit(self, arrays):
        """Return a concurrent.futures.Future of the outputs, {name: array}, for arrays in a dict by name or in a list.

        If the model has `rows`, arrays may have any number of them. Raises ValueError if something doesn't fit what the
        model takes, and RankError while there are no ranks; the future raises RankError if they fail.
        """
        try:
            given = as_arrays(arrays, self._values, "inputs")
            given = list(inputs.match_values(self._values, given, "predict", self.backend).values())
        except ranks.Stop as error:
            raise ValueError(str(error)) from None
        if self.rows and len({len(array) for array in given}) > 1:
            raise ValueError(
                f"predict: inputs have {', '.join(str(len(array)) for array in given)} rows: give all the same number"
            )
        request = rows.Request(given, len(given[0]) if self.rows else None)
        with self._changed:
            if self._is_closed:
                raise RuntimeError("this Service is closed")
            if self._down:
                raise RankError(*self._down.args)
            self._waiting.append(request)
            self._changed.notify_all()
        return request.future

    def close(self):
        """End the ranks; requests that are under way or wait fail. Ranks that are still starting end once they can."""
        with self._changed:
            self._is_closed, is_starting = True, self._down is not None
            self._changed.notify_all()
        self._model.close()
        if not is_starting:  # a start may take as long as a build
            self._thread.join()
        self._fail_waiting(RuntimeError("this Service was closed before the predict ended"))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def _open_session(self):
        """Return a Session that has predicted once, so that its result has been checked, if that was asked for."""
        model = Session(**self._options)
        try:
            ones = rows.inputs_of_ones(model)
            if ones:
                model.predict(ones)
        except BaseException:
            model.close()
            raise
        return model

    def _with_any_rows(self, values):
        return [Value(name, dtype, (-1, *shape[1:]) if self.rows else shape) for name, dtype, shape in values]

    def _send_batches(self):
        """Send batch after batch, and restart the ranks if they fail: a thread does nothing else."""
        while not self._is_closed:
            parts = self._next_parts()
            if parts:
                self._send_batch(parts)
            error = self._model.error
            if error and not self._is_closed and not self._start_again(error):
                return

    def _next_parts(self):
        """Wait for requests; return those that go through the model together, [] if there are none yet."""
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._is_closed, LOOK)
            if not self._waiting:
                return []
            if not self.rows:
                return [(self._waiting.popleft(), None, None)]
            until = time.monotonic() + LOOK
            while time.monotonic() < until and not self._is_full() and not self._is_closed:
                # a batch costs the same however full it is: while one is under way, the next one fills
                since = max(self._waiting[0].came, self._answered) + self._wait
                if not self._under_way and since <= time.monotonic():
                    break
                self._changed.wait((until if self._under_way else min(since, until)) - time.monotonic())
            else:
                if not self._is_full():
                    return []
            return rows.take_rows(self._waiting, self.rows)

    def _is_full(self):
        return sum(request.count - request.sent for request in self._waiting) >= self.rows

    def _send_batch(self, parts):
        with self._changed:
            self._under_way += 1
        try:
            future = self._model.predict_async(rows.join_rows(parts, self.rows) if self.rows else parts[0][0].arrays)
        except Exception as error:
            self._answer_requests(parts, error, None)
        else:
            future.add_done_callback(lambda done: self._answer_requests(parts, done.exception(), done))

    def _answer_requests(self, parts, error, done):
        with self._changed:
            self._under_way, self._answered = self._under_way - 1, time.monotonic()
            self._failures = self._failures if error else 0
            self._changed.notify_all()
        try:
            if not error and self.rows:
                rows.split_rows(parts, done.result())
            elif not error:
                parts[0][0].future.set_result(done.result())
        except Exception as found:
            error = found
        for request, *_ in parts if error else ():
            request.fail(error)

    def _start_again(self, error):
        """Restart the ranks until they answer; return whether they do."""
        while not self._is_closed:
            self._model.close()
            self._failures += 1
            with self._changed:
                if self._is_closed:
                    return False
                self._down = error
                waiting = [request for request in self._waiting if not request.future.done()]  # a part may have failed
                self._waiting = collections.deque(waiting)
            if self._failures > self._starts:
                self.error = error
                self._fail_waiting(error)
                if self._at_end:
                    self._at_end()
                return False
            print(f"{error}\nstarting the ranks again, {self._failures} of {self._starts}", file=sys.stderr, flush=True)
            try:
                model = self._open_session()
                with self._changed:
                    self._model, self._down = model, None
                if self._is_closed:
                    model.close()
                return not self._is_closed
            except RankError as found:
                error = found
            except Exception as found:  # such as no memory for another process
                error = RankError(f"starting the ranks again: {type(found).__name__}: {found}", ranks.FAILED)
        return False

    def _fail_waiting(self, error):
        with self._changed:
            failed = list(self._waiting)
            self._waiting.clear()
        for request in failed:
            request.fail(error)
