"""A Session: ranks that start once, and a program that predicts as often as it likes, in whatever Python it runs."""

import gc
import json
import os
import random
import resource
import signal
import subprocess
import sys
import threading
import time
import uuid

import nets
import numpy as np
import pytest
from conftest import ENVIRONMENT, MODEL, ROOT, command
from jobs import alive, cmdline
from test_ascend import Server
from test_pythons import pythons
from test_servers import servers  # noqa: F401  (a fixture)

from suite import RankError, Session, backends

FIXTURES = ROOT / "tests" / "fixtures"
X = np.random.RandomState(1).standard_normal((4, 256)).astype(np.float32)


@pytest.fixture(autouse=True)
def nothing_left(tmp_path, monkeypatch):
    """Each test's ranks carry its mark and have a TMPDIR of their own; afterwards nothing of them is left."""
    mark, temporary, jobs, over = uuid.uuid4().hex, tmp_path / "tmp", set(), threading.Event()
    for name, value in {**ENVIRONMENT, "MS_TEST": mark, "TMPDIR": str(temporary)}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)
    temporary.mkdir()

    def look():
        while not over.wait(0.02):
            jobs.update(name for name in os.listdir(str(temporary)) if name.startswith("launch-"))

    looking = threading.Thread(target=look)
    looking.start()
    try:
        yield mark
        gc.collect()
        until = time.time() + 10
        while alive(f"MS_TEST={mark}") and time.time() < until:
            time.sleep(0.1)
    finally:
        over.set()
        looking.join()
    assert not [cmdline(pid) for pid in alive(f"MS_TEST={mark}")]
    assert not list(temporary.iterdir())
    assert not [name for name in jobs if os.path.exists(f"/dev/shm/{name}")]
    assert not (tmp_path / "logs").exists()  # a program's own folder stays as it is


def of_ranks(mark):
    """Return the process ids of the ranks themselves."""
    return sorted(pid for pid in alive(f"MS_TEST={mark}") if cmdline(pid) == bytes(ROOT / "main.py"))


def product(x):
    """Return what the shipped net makes of x, in float64."""
    import mindir

    shard = mindir.load(str(MODEL))
    (tensor,) = shard.model.graph.parameter
    weight = np.frombuffer(tensor.raw_data, np.float32).reshape(tensor.dims).astype(np.float64)
    return x.astype(np.float64) @ weight


def is_near(found, expected, tolerance=1e-5):
    return np.max(np.abs(found.astype(np.float64) - expected)) <= tolerance * (np.max(np.abs(expected)) or 1)


def net(name, count=2, **options):
    return Session(FIXTURES / name / str(count) / "Net.mindir", backend="cpu", **options)


def test_the_shipped_model(capfd, nothing_left):
    """By name and in order; what is wrong is refused at once, and the ranks live on; threads; nothing is printed."""
    with Session(MODEL, backend="cpu") as model:
        assert [tuple(value) for value in model.inputs] == [("x", "float32", (4, 256))]
        ((name, dtype, shape),) = model.outputs
        assert (dtype, shape, model.backend, model.ranks) == ("float32", (4, 128), "cpu", 2)
        assert model.check is None
        found = model.predict({"x": X})
        assert list(found) == [name]
        assert is_near(found[name], product(X))
        assert model.check["result"] == "PASS"
        assert np.array_equal(model.predict([X])[name], found[name])
        strided = np.asfortranarray(X)[::1].astype(">f4")
        assert np.array_equal(model.predict([strided])[name], found[name])
        ranks_before = of_ranks(nothing_left)
        assert len(ranks_before) == 2
        for given, words in (
            ({"y": X}, ["y", "x"]),
            ({}, ["x"]),
            ([X, X], ["2", "1"]),
            ([X[:2]], ["[2, 256]", "[4, 256]"]),
            ([X.astype(np.float64)], ["float64", "float32"]),
            ([np.zeros((4, 0), np.float32)], ["[4, 0]"]),
            (X, ["ndarray"]),
        ):
            with pytest.raises(ValueError) as refused:
                model.predict(given)
            assert all(word in str(refused.value) for word in words), refused.value
            with pytest.raises(ValueError):
                model.predict_async(given)
        out = np.full((4, 128), np.nan, np.float32)
        assert model.predict([X], out=[out])[name] is out
        assert np.array_equal(out, found[name])
        read_only = np.empty((4, 128), np.float32)
        read_only.flags.writeable = False
        for wrong in ([out.astype(np.float64)], [out[:2]], {"other": out}, [], [read_only], [list(out)]):
            with pytest.raises(ValueError):
                model.predict([X], out=wrong)
        threads_predict(model, name)
        futures = [(scale, model.predict_async([X * scale])) for scale in range(1, 30)]
        for scale, future in futures:
            assert is_near(future.result(60)[name], product(X * scale))
        assert not futures[0][1].cancel()
        assert of_ranks(nothing_left) == ranks_before
    with pytest.raises(RuntimeError, match="closed"):
        model.predict([X])
    model.close()
    assert capfd.readouterr() == ("", "")


def threads_predict(model, name, count=4, times=15):
    wrong = []

    def work(number):
        for index in range(times):
            x = X * (number * times + index + 1)
            if not is_near(model.predict([x])[name], product(x)):
                wrong.append((number, index))

    threads = [threading.Thread(target=work, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


@pytest.mark.parametrize("name", ["two_inputs", "three_outputs", "dtypes"])
def test_nets_of_several_inputs_outputs_and_dtypes(name):
    with net(name) as model:
        for seed in (1, 2):
            given = nets.inputs(name, seed)
            found = list(model.predict(given).values())
            for array, value, right in zip(found, model.outputs, nets.expected(name, given, 2)):
                assert (array.dtype.name, array.shape) == (value.dtype, right.shape)
                assert is_near(array, right, 1e-2 if value.dtype == "float16" else 1e-5)


def test_open_dimensions_and_large_outputs_that_stay(nothing_left):
    """Outputs are the caller's: the memory of large ones is lent until the last view is gone, and used again."""

    def rows(count, seed):
        return np.random.RandomState(seed).standard_normal((count, nets.WIDTH)).astype(np.float32)

    def right(x):
        return nets.expected("dynamic", {"x": x}, 2)[0]

    def mappings():
        with open("/proc/self/maps") as file:
            return sum("memfd:session" in line for line in file)

    with net("dynamic") as model:
        assert -1 in model.inputs[0].shape
        for count in (12, 24, 6, 20000, 12):
            x = rows(count, count)
            (found,) = model.predict([x]).values()
            assert found.shape == (count, nets.WIDTH)
            assert is_near(found, right(x))
        with pytest.raises(ValueError):
            model.predict([np.zeros((12, nets.WIDTH + 1), np.float32)])
        kept = [(seed, next(iter(model.predict([rows(20000, seed)]).values()))[5:]) for seed in range(6)]
        later = [next(iter(model.predict([rows(20000, 99)]).values())) for _ in range(3)]
        for seed, view in kept:
            view -= 1  # it can be written to
            assert is_near(view + 1, right(rows(20000, seed))[5:])
        del kept, view, later
        gc.collect()
        for seed in range(10):
            found = model.predict([rows(20000, seed)])
        assert mappings() < 8
        with pytest.raises(ValueError):
            model.predict([rows(12, 1)], out=[np.empty((24, nets.WIDTH), np.float32)])
        assert model.predict([rows(12, 1)], out=[np.empty((12, nets.WIDTH), np.float32)])
    (array,) = found.values()
    assert is_near(array, right(rows(20000, 9)))  # though the ranks are gone


@pytest.mark.parametrize("name, count", [("pipe_2", 2), ("pipe_tensor_4", 4)])
def test_a_pipeline(name, count):
    folder = FIXTURES / "splits" / name
    given, right = (dict(np.load(str(folder / file))) for file in ("in.npz", "out.npz"))
    with Session(folder / "Net.mindir", backend="cpu", ranks=count) as model:
        futures = [
            model.predict_async(dict(zip((value.name for value in model.inputs), given.values()))) for _ in range(9)
        ]
        for future in futures:
            for found, expected in zip(future.result(60).values(), right.values()):
                assert is_near(found, expected)
        assert model.check["result"] == "PASS"


@pytest.mark.parametrize("is_busy", [False, True])
def test_a_rank_that_dies(nothing_left, is_busy):
    with net("mlp-all_reduce") as model:
        given = nets.inputs("mlp-all_reduce")
        model.predict(given)
        futures = [model.predict_async(given) for _ in range(3)] if is_busy else []
        rank = of_ranks(nothing_left)[0]
        if is_busy:
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
        os.kill(of_ranks(nothing_left)[0], signal.SIGSTOP)
        start = time.time()
        with pytest.raises(RankError, match=r"rank \d.*idle after 2") as failed:
            model.predict(given)
        assert failed.value.status == 124
        assert 2 <= time.time() - start < 20


@pytest.mark.parametrize(
    "options, status, text",
    [
        ({"model_path": "none/X.mindir"}, 2, "none/X0.mindir"),
        ({"ranks": 3}, 2, "3 ranks"),
        ({"other": 1}, 2, "--other"),
        ({"backend": "gpu"}, 3, "gpu"),
    ],
)
def test_what_cannot_start(options, status, text):
    if options.get("backend") == "gpu" and backends.devices("gpu"):
        pytest.skip("there is one")
    with pytest.raises(RankError) as failed:
        Session(**{"model_path": MODEL, "backend": "cpu", **options})
    assert failed.value.status == status
    assert text in str(failed.value)


def test_options_that_mean_nothing_here():
    with pytest.raises(TypeError, match="repeat"):
        Session(MODEL, repeat=3)


def test_a_result_that_differs(model):
    """The unsharded model is one of other weights; without the check nobody sees it."""
    data = bytearray(model.read_bytes())
    place = data.index(np.float32(product_weight()[0, 0]).tobytes())
    data[place : place + 4] = np.float32(5).tobytes()
    model.write_bytes(bytes(data))
    with Session(model, backend="cpu") as session:
        with pytest.raises(RankError) as failed:
            session.predict([X])
        assert failed.value.status == 4
    with Session(model, backend="cpu", check=False) as session:
        assert session.predict([X])
        assert session.check["result"] == "none"


def product_weight():
    import mindir

    (tensor,) = mindir.load(str(MODEL)).model.graph.parameter
    return np.frombuffer(tensor.raw_data, np.float32).reshape(tensor.dims)


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
    assert of_ranks(nothing_left)
    del model
    gc.collect()
    assert not of_ranks(nothing_left)


PROGRAM = """
import json, sys, time
sys.path.insert(0, sys.argv[1])
from suite import Session
import numpy as np

options = json.loads(sys.argv[2])
with Session(**options) as model:
    print("open", flush=True)
    given = [np.ones([3 if size < 0 else size for size in value.shape], value.dtype) for value in model.inputs]
    count = int(sys.argv[3])
    while count:
        (found,) = model.predict(given).values()
        count -= 1
    assert not {name for name in sys.modules if name.split(".")[0] in ("google", "mindspore_lite", "mpi4py", "mindir")}
    print(model.ranks, model.check["result"], float(np.abs(found).max()) > 0, flush=True)
"""


def program(python, count, start=(), **options):
    words = [*start, python, "-W", "error", "-c", PROGRAM, ROOT, json.dumps(options), count]
    return [str(word) for word in words]


def with_numpy():
    """Return the Pythons here that have NumPy, and those that $PYTHONS names, divided by colons."""
    named = {python: python for python in os.environ.get("PYTHONS", "").split(":") if python}
    found = {**pythons(), **named}
    return sorted((name, each) for name, each in found.items() if not command(each, "-c", "import numpy").returncode)


@pytest.mark.parametrize("version, python", with_numpy())
def test_any_python_with_numpy_alone(version, python):
    done = command(
        *program(python, 3, model_path=str(MODEL), backend="cpu"), cwd=os.getcwd(), MS_TEST=os.environ["MS_TEST"]
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.split() == ["open", "2", "PASS", "True"]


@pytest.mark.parametrize("moment", ["start", "predict", "stopped"])
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_however_the_program_ends_nothing_is_left(nothing_left, moment, number):
    """The fixture looks for it."""
    process = subprocess.Popen(
        program(sys.executable, -1, model_path=str(MODEL), backend="cpu"),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    with process:
        if moment != "start":
            assert process.stdout.readline() == b"open\n"
            if moment == "stopped":  # a rank hears nothing any more
                os.kill(of_ranks(nothing_left)[0], signal.SIGSTOP)
        else:
            while len(alive(f"MS_TEST={nothing_left}")) < 5:  # run.sh's launcher, mpirun, a guard, a rank
                assert process.poll() is None
                time.sleep(0.02)
        process.send_signal(number)
        assert process.wait(60)
    until = time.time() + 4.5  # at once, and not when somebody finds that nobody reads
    while alive(f"MS_TEST={nothing_left}") and time.time() < until:
        time.sleep(0.1)
    assert not alive(f"MS_TEST={nothing_left}")


def test_on_ascend(tmp_path, nothing_left, monkeypatch):
    """On the double: four ranks of one server."""
    server = Server(tmp_path)
    server.table(4)
    for name, value in server.environment.items():
        monkeypatch.setenv(name, value)
    options = {"backend": "ascend", "config_file": server.config, "build_timeout": 60}
    with Session(FIXTURES / "mlp-reduce_scatter" / "4" / "Net.mindir", **options) as model:
        for seed in (1, 2, 3):
            given = nets.inputs("mlp-reduce_scatter", seed)
            (found,) = model.predict(given).values()
            assert is_near(found, nets.expected("mlp-reduce_scatter", given, 4)[0])
        assert (model.check["result"], model.ranks, model.backend) == ("PASS", 4, "ascend")
        os.kill(of_ranks(nothing_left)[1], signal.SIGKILL)
        with pytest.raises(RankError) as failed:
            model.predict(given)
        assert failed.value.status == 137


def test_ranks_on_another_server(tmp_path, servers, nothing_left):  # noqa: F811  (the fixture)
    """The inputs reach them through MPI: the check compares all ranks' outputs, and ranks wait for each other."""
    environment = {"OMPI_MCA_plm_rsh_agent": tmp_path / "agent", "NETS": servers, "SECOND": tmp_path / "tmp"}
    options = {"model_path": str(MODEL), "backend": "cpu", "hostfile": str(tmp_path / "hosts")}
    words = program(sys.executable, 5, start=[tmp_path / "first"], **options)
    names = {name: os.environ[name] for name in ("MS_TEST", "TMPDIR")}
    done = command(*words, cwd=ROOT, **names, **{name: str(value) for name, value in environment.items()})
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.split() == ["open", "2", "PASS", "True"]


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
                    seen.append([memory_of(pid) for pid in (os.getpid(), *of_ranks(nothing_left))])
        before, after = seen
        print(rows, count, before, after)
        assert len(before) == 3
        assert all(late - early < 3 << 20 for early, late in zip(before, after)), seen


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_a_hundred_programs_that_are_killed_at_random_moments(nothing_left):
    """The fixture looks for what is left of them."""
    draw = random.Random(1)
    for _ in range(100):
        words = program(sys.executable, -1, model_path=str(MODEL), backend="cpu")
        with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
            time.sleep(draw.uniform(0, 5))
            process.kill()
