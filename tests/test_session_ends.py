"""However a Session ends, by a rank, a limit or the program itself, that is reported and nothing is left."""

import gc
import os
import random
import resource
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import wait

import nets
import numpy as np
import pytest
from conftest import MODEL
from jobs import living_pids
from sessions import X, is_near, net, product, program, rank_pids

from suite import RankError, Session

pytestmark = pytest.mark.usefixtures("nothing_left")


@pytest.mark.parametrize("is_busy", [False, True])
def test_a_rank_that_dies(nothing_left, is_busy):
    with net("mlp-all_reduce") as model:
        given = nets.inputs("mlp-all_reduce")
        model.predict(given)
        futures = [model.predict_async(given) for _ in range(3)] if is_busy else []
        rank = rank_pids(nothing_left)[0]
        if is_busy:
            wait(futures, 60)  # else there is no room for the next one until a stopped rank has read
            os.kill(rank, signal.SIGSTOP)
            futures.append(model.predict_async(given))
        os.kill(rank, signal.SIGKILL)
        for _ in range(2):
            with pytest.raises(RankError, match=r"rank \d died.*SIGKILL") as failed:
                model.predict(given)
            assert failed.value.status == 137
        if futures:
            assert futures[-1].exception(60).status == 137
        with pytest.raises(RankError):
            model.predict_async(given)


def test_limits_count_in_a_predict_and_never_while_the_session_is_idle(nothing_left):
    given = nets.inputs("mlp-all_reduce")
    with net("mlp-all_reduce", predict_timeout=2, straggler_timeout=1) as model:
        model.predict(given)
        time.sleep(8)  # the straggler's limit is 1 s and ten times as long as others took
        model.predict(given)
        os.kill(rank_pids(nothing_left)[0], signal.SIGSTOP)
        start = time.time()
        with pytest.raises(RankError, match=r"rank \d: (still idle after 2|stopped by a signal)") as failed:
            model.predict(given)
        assert failed.value.status == 124
        assert 2 <= time.time() - start < 20


def test_inputs_stay_where_they_are_until_every_rank_has_read_them(nothing_left):
    """The next inputs go elsewhere; if there is no room they wait, unless the rank that is late dies."""
    with Session(MODEL, backend="cpu", check=False) as model:
        model.predict([X])
        first, second = model._calls.places
        assert second.memory is None

        def mark(number):
            memories = [place.memory for place in (first, second) if place.memory]
            while min(memory.marks.min() for memory in memories) < model._calls.number and not number:
                time.sleep(0.01)  # it may be late indeed
            for memory in memories:
                memory.marks[1] = number

        mark(0)
        assert is_near(*model.predict([X * 2]).values(), product(X * 2))
        assert np.array_equal(first.memory.views[0], X)
        assert np.array_equal(second.memory.views[0], X * 2)
        mark(0)
        threading.Timer(0.5, mark, [2]).start()
        start = time.monotonic()
        assert is_near(*model.predict([X * 3]).values(), product(X * 3))
        assert time.monotonic() - start >= 0.5
        mark(0)
        threading.Timer(0.5, os.kill, [rank_pids(nothing_left)[1], signal.SIGKILL]).start()
        with pytest.raises(RankError, match="SIGKILL"):
            model.predict([X])


@pytest.mark.timeout(100)
def test_a_program_that_is_interrupted_goes_on(nothing_left):
    """By Ctrl-C again and again, at any moment of a predict, with inputs and outputs of several sizes."""
    draw, moments, armed, hits = np.random.RandomState(1), random.Random(1), [], 0

    def interrupt(*_):
        if armed:
            raise KeyboardInterrupt

    before = signal.signal(signal.SIGUSR1, interrupt)
    given = [draw.standard_normal((count, nets.WIDTH)).astype(np.float32) for count in (12, 24, 20000, 12)]
    right = [nets.expected("dynamic", {"x": x}, 2)[0] for x in given]
    with net("dynamic", check=False) as model:
        for index in range(200):
            clock = threading.Timer(moments.uniform(0, 5e-4), os.kill, [os.getpid(), signal.SIGUSR1])
            try:
                try:
                    armed.append(index)
                    clock.start()
                    (found,) = model.predict([given[index % 4]]).values()
                    assert is_near(found, right[index % 4])
                finally:
                    armed.clear()
            except KeyboardInterrupt:
                hits += 1
            clock.join()
        for x, expected in zip(given, right):
            assert is_near(*model.predict([x]).values(), expected)
    signal.signal(signal.SIGUSR1, before)
    assert hits > 20


def test_a_session_that_is_forgotten_closes_and_a_copy_of_the_process_closes_nothing(nothing_left):
    model = Session(MODEL, backend="cpu")
    child = os.fork()
    if not child:
        try:
            model.predict([X])
        except RuntimeError:
            model.close()
            os._exit(3)
        os._exit(0)
    assert os.waitpid(child, 0)[1] >> 8 == 3
    assert model.predict([X])
    assert rank_pids(nothing_left)
    del model
    gc.collect()
    assert not rank_pids(nothing_left)


@pytest.mark.parametrize("moment", ["start", "predict", "stopped"])
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_however_the_program_ends_nothing_is_left(nothing_left, moment, number):
    """The fixture checks that."""
    process = subprocess.Popen(
        program(sys.executable, -1, model_path=str(MODEL), backend="cpu"),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    with process:
        if moment != "start":
            assert process.stdout.readline() == b"open\n"
            if moment == "stopped":  # a rank gets no more messages
                os.kill(rank_pids(nothing_left)[0], signal.SIGSTOP)
        else:
            while len(living_pids(f"MS_TEST={nothing_left}")) < 5:  # run.sh's launcher, mpirun, a guard, a rank
                assert process.poll() is None
                time.sleep(0.02)
        process.send_signal(number)
        assert process.wait(60)
    until = time.time() + 4.5  # at once, not only when someone notices that nobody reads
    while living_pids(f"MS_TEST={nothing_left}") and time.time() < until:
        time.sleep(0.1)
    assert not living_pids(f"MS_TEST={nothing_left}")


def memory_of(pid):
    """Return the process's memory in bytes."""
    with open(f"/proc/{pid}/statm") as file:
        return int(file.read().split()[1]) * resource.getpagesize()


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_ten_thousand_predicts_take_no_more_memory(nothing_left):
    """Of the program and of each rank; with outputs that are copied and with such that are lent."""
    for rows, count in ((12, 10000), (20000, 1000)):
        x = np.ones((rows, nets.WIDTH), np.float32)
        with net("dynamic") as model:
            seen = []
            for index in range(count + 1):
                model.predict([x])
                if index in (count // 10, count):
                    gc.collect()
                    seen.append([memory_of(pid) for pid in (os.getpid(), *rank_pids(nothing_left))])
        before, after = seen
        print(rows, count, before, after)
        assert len(before) == 3
        assert all(late - early < 3 << 20 for early, late in zip(before, after)), seen


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_a_hundred_programs_that_are_killed_at_random_moments(nothing_left):
    """The fixture checks that nothing is left of them."""
    draw = random.Random(1)
    for _ in range(100):
        words = program(sys.executable, -1, model_path=str(MODEL), backend="cpu")
        with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
            time.sleep(draw.uniform(0, 5))
            process.kill()
