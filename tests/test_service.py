"""A Service: requests of many callers in batches of the model's size, and ranks that restart; without a server."""

import collections
import os
import signal
import socket
import sys
import threading
import time

import nets
import numpy as np
import pytest
from conftest import MODEL
from sessions import FIXTURES, is_near, product, rank_pids

from suite import RankError, Service, Session, rows
from suite.parsers import new_parser, open_service

pytestmark = pytest.mark.usefixtures("nothing_left")


def test_rows_of_requests_of_any_size_find_their_way_back():
    """Each batch has the model's rows; what doesn't fit goes with the next one."""
    draw = np.random.RandomState(1)
    for size in (1, 4, 7):
        waiting, requests = collections.deque(), []
        for count in draw.randint(1, 20, 30):
            arrays = [draw.standard_normal((count, 3)), draw.randint(0, 99, (count, 2))]
            requests.append(rows.Request(arrays, count))
        waiting.extend(requests)
        batches = 0
        while waiting:
            parts = rows.take_rows(waiting, size)
            x, ids = rows.join_rows(parts, size)
            assert (x.shape, ids.shape, ids.dtype.kind) == ((size, 3), (size, 2), "i")
            rows.split_rows(parts, {"sum": x.sum(1) + ids.sum(1), "x": x})
            batches += 1
        assert batches == -(-sum(request.count for request in requests) // size)
        for request in requests:
            found = request.future.result(0)
            assert np.array_equal(found["x"], request.arrays[0])
            assert np.array_equal(found["sum"], request.arrays[0].sum(1) + request.arrays[1].sum(1))


@pytest.mark.parametrize(
    "name, count", [("transposed", None), pytest.param("dynamic", None, marks=pytest.mark.slow), ("mlp-all_reduce", 12)]
)
def test_rows_that_depend_on_each_other_are_never_put_together(name, count):
    """`transposed` mixes the rows; such a model takes each request as it is."""
    with Service(FIXTURES / name / "2" / "Net.mindir", backend="cpu") as service:
        assert service.rows == count
        given = nets.inputs(name)
        (found,) = service.submit(given).result(60).values()
        assert is_near(found, nets.expected(name, given, 2)[0])
        few = {key: array[:5] for key, array in given.items()}
        if count:
            (found,) = service.submit(few).result(60).values()
            assert is_near(found, nets.expected(name, given, 2)[0][:5])
        elif name == "transposed":
            with pytest.raises(ValueError, match="5, 8"):
                service.submit(few)


def run_callers(service, work, count=8):
    """Have `count` threads call work(a random state, a function that predicts); return their results."""

    def predict(x):
        return next(iter(service.submit([x]).result(60).values()))

    found = [None] * count

    def run_caller(number):
        found[number] = work(np.random.RandomState(number), predict)

    threads = [threading.Thread(target=run_caller, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return found


def random_rows(draw, most=7):
    return draw.standard_normal((draw.randint(1, most), 256)).astype(np.float32)


def test_many_callers_at_once_share_batches(monkeypatch, nothing_left):
    sent = []
    submit = Session.predict_async
    monkeypatch.setattr(Session, "predict_async", lambda self, arrays: sent.append(arrays) or submit(self, arrays))

    def work(draw, predict):
        given = [random_rows(draw) for _ in range(40)]
        assert all(is_near(predict(x), product(x)) for x in given)
        return sum(map(len, given)), len(given)

    with Service(MODEL, backend="cpu") as service:
        assert (service.rows, service.ranks, service.inputs[0].shape, service.is_ready) == (4, 2, (-1, 256), True)
        counts = run_callers(service, work)
        assert None not in counts
        total, requests = (sum(numbers) for numbers in zip(*counts))
        assert {batch[0].shape for batch in sent} == {(4, 256)}
        assert total / 4 <= len(sent) < 1.25 * total / 4 < requests * 1.25, (len(sent), total, requests)
        x = np.ones((2, 256), np.float32)
        for wrong in ({"y": x}, [x, x], [x[:, 1:]], [x.astype(np.float64)], [x[:0]], x):
            with pytest.raises(ValueError):
                service.submit(wrong)
        assert is_near(next(iter(service.submit({"x": x}).result(60).values())), product(x))
    with pytest.raises(RuntimeError, match="closed"):
        service.submit([x])


def wait_until(is_so, seconds=30):
    until = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < until
        time.sleep(0.01)


@pytest.mark.parametrize("is_idle", [pytest.param(True, marks=pytest.mark.slow), False])
def test_a_rank_that_dies(capfd, nothing_left, is_idle):
    """Requests under way fail, later ones are refused, and then all is as before."""
    over = threading.Event()

    def work(draw, predict):
        failed = []
        while not over.is_set():
            x, began = random_rows(draw), time.monotonic()
            try:
                assert is_near(predict(x), product(x))
            except RankError as error:
                failed.append((began, time.monotonic(), error.status))
                time.sleep(0.05)
        return failed

    with Service(MODEL, backend="cpu") as service:
        before = rank_pids(nothing_left)
        found = []
        calling = threading.Thread(target=lambda: found.extend(run_callers(service, work)))
        if not is_idle:
            calling.start()
            time.sleep(0.5)
        killed = time.monotonic()
        os.kill(before[1], signal.SIGKILL)
        wait_until(lambda: not service.is_ready, 10)
        wait_until(lambda: service.is_ready)
        ready = time.monotonic()
        assert not set(rank_pids(nothing_left)) & set(before)
        if not is_idle:
            time.sleep(0.5)
            over.set()
            calling.join()
            assert len(found) == 8
            assert None not in found
            failed = sum(found, [])
            assert failed
            assert all(end > killed and begin < ready and status == 137 for begin, end, status in failed), failed
        x = random_rows(np.random.RandomState(1))
        assert is_near(next(iter(service.submit([x]).result(60).values())), product(x))
        assert service.error is None
    assert "SIGKILL" in capfd.readouterr().err


def test_the_end_while_ranks_start_again(monkeypatch, nothing_left):
    """It doesn't wait for them, which may build for long; and nothing is left of them, either."""
    starting, may_go_on, really_open = threading.Event(), threading.Event(), Service._open_session

    def slow(self):
        starting.set()
        may_go_on.wait(60)
        return really_open(self)

    service = Service(MODEL, backend="cpu")
    monkeypatch.setattr(Service, "_open_session", slow)
    os.kill(rank_pids(nothing_left)[0], signal.SIGKILL)
    assert starting.wait(30)
    closing = threading.Thread(target=service.close)
    closing.start()
    closing.join(10)
    has_ended = not closing.is_alive()
    may_go_on.set()
    assert has_ended
    service._thread.join(60)
    assert not rank_pids(nothing_left)


def test_a_command_line_that_cannot_be_right(capfd, monkeypatch):
    """One line, status 2, and no rank is started."""
    with socket.socket() as taken, socket.socket() as free:
        for listener in (taken, free):
            listener.bind(("", 0))
        taken.listen(1)
        port, other = (listener.getsockname()[1] for listener in (taken, free))
        free.close()
        for words, text in (
            (["--http_port", port], f"--http_port {port}"),
            (["--grpc_port", port], f"--grpc_port {port}"),
            (["--http_port", other, "--grpc_port", other], f"--grpc_port {other}"),
            (["--http_port=65536"], "--http_port 65536"),
            (["--repeat=3"], "repeat"),
        ):
            monkeypatch.setattr(sys, "argv", ["serve.py", *map(str, words)])
            options = dict.fromkeys(("http_port", "grpc_port"), (0, "PORT", "for something"))
            with pytest.raises(SystemExit) as ended, open_service(new_parser(""), options):
                pass
            assert ended.value.code == 2
            assert text in capfd.readouterr().err.splitlines()[-1]


def test_a_server_that_is_interrupted_as_its_ranks_start(capfd, monkeypatch, nothing_left):
    monkeypatch.setattr(sys, "argv", ["serve.py", "--backend=cpu"])
    threading.Timer(0.5, os.kill, [os.getpid(), signal.SIGINT]).start()
    with pytest.raises(SystemExit) as ended, open_service(new_parser(""), {}):
        pass
    assert ended.value.code == 130
    assert capfd.readouterr().err == ""


def test_ranks_that_cannot_start_again(model, nothing_left):
    """They may restart so many times, then the service ends with the last status; an answer resets the count."""
    ended = threading.Event()
    x = np.ones((1, 256), np.float32)
    with Service(model, backend="cpu", starts=1, at_end=ended.set) as service:
        for _ in range(2):
            os.kill(rank_pids(nothing_left)[0], signal.SIGKILL)
            wait_until(lambda: not service.is_ready)
            wait_until(lambda: service.is_ready)
            service.submit([x]).result(60)
        assert not ended.is_set()
        model.with_name("Matmul1.mindir").unlink()
        os.kill(rank_pids(nothing_left)[0], signal.SIGKILL)
        assert ended.wait(30)
        assert service.error.status == 2
        assert "Matmul1.mindir" in str(service.error)
        assert not service.is_ready
        with pytest.raises(RankError) as refused:
            service.submit([x])
        assert refused.value.status == 2
