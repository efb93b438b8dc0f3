"""A Session: ranks start once, and a program predicts as often as it likes, in any Python."""

import gc
import os
import signal
import sys
import threading
import time

import nets
import numpy as np
import pytest
from ascend_server import Server
from conftest import MODEL, ROOT, command
from jobs import living_pids
from sessions import FIXTURES, X, is_near, net, product, product_weight, program, rank_pids
from test_pythons import pythons
from test_servers import servers  # noqa: F401  (a fixture)

from suite import RankError, Session, backends
from suite.calls import new_future

pytestmark = pytest.mark.usefixtures("nothing_left")


def test_the_shipped_model(capfd, nothing_left):
    """By name and in order; wrong inputs are refused at once, and the ranks live on; threads; nothing is printed."""
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
        ranks_before = rank_pids(nothing_left)
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
            with pytest.raises(ValueError) as refused:
                model.predict([X], out=wrong)
            assert "takes" not in str(refused.value)  # that would be about inputs
        threads_predict(model, name)
        futures = [(scale, model.predict_async([X * scale])) for scale in range(1, 30)]
        for scale, future in futures:
            assert is_near(future.result(60)[name], product(X * scale))
        assert not futures[0][1].cancel()
        ending = new_future()
        ending.add_done_callback(lambda future: sys.exit(1))
        model._collector.put((model._submit([X], None), ending))
        assert model.predict_async([X]).result(60)
        assert rank_pids(nothing_left) == ranks_before
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
        if name == "three_outputs":  # all of one shape: each would be written over the one before
            with pytest.raises(ValueError, match="several"):
                model.predict(given, out=[array] * 3)
        for far in (2**31, -(2**31) - 1) if name == "dtypes" else ():  # which a CPU rank would narrow to int32
            with pytest.raises(ValueError, match=f"long has the value {far}"):
                model.predict({**given, "long": np.full_like(given["long"], far)})


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
def test_a_pipeline(name, count, nothing_left):
    """Its stages work on several inputs at once."""
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
        before, memories = model._calls.number, [place.memory for place in model._calls.places if place.memory]
        (last,) = [pid for pid in rank_pids(nothing_left) if pid in living_pids(f"OMPI_COMM_WORLD_RANK={count - 1}")]
        os.kill(last, signal.SIGSTOP)
        futures = [model.predict_async(list(given.values())) for _ in range(2)]
        until = time.monotonic() + 30
        while max(memory.marks[0] for memory in memories) < before + 2:  # the first stage has read both
            assert time.monotonic() < until
            time.sleep(0.01)
        assert not futures[0].done()
        os.kill(last, signal.SIGCONT)
        for future in futures:
            assert is_near(*future.result(60).values(), *right.values())


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


def test_a_program_that_mpirun_has_started_is_told_so_in_each_process(monkeypatch):
    monkeypatch.setenv("OMPI_COMM_WORLD_RANK", "1")
    monkeypatch.setenv("OMPI_COMM_WORLD_SIZE", "2")
    with pytest.raises(RankError, match="mpirun has started the program 2 times") as failed:
        Session(MODEL, backend="cpu")
    assert failed.value.status == 2


def test_options_that_mean_nothing_here():
    for name in ("repeat", "help"):
        with pytest.raises(TypeError, match=name):
            Session(MODEL, **{name: True})


def test_a_result_that_differs(model):
    """The unsharded model has other weights; without the check nobody would notice."""
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


def with_numpy():
    """Return the Pythons here that have NumPy, and those that $PYTHONS names, divided by colons."""
    named = {python: python for python in os.environ.get("PYTHONS", "").split(":") if python}
    found = {**pythons(), **named}
    return sorted((name, path) for name, path in found.items() if not command(path, "-c", "import numpy").returncode)


@pytest.mark.parametrize("version, python", with_numpy())
def test_any_python_with_numpy_alone(version, python):
    done = command(
        *program(python, 3, model_path=str(MODEL), backend="cpu"), cwd=os.getcwd(), MS_TEST=os.environ["MS_TEST"]
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.split() == ["open", "2", "PASS", "True"]


def options_of_ascend(folder, monkeypatch, *devices):
    """Return a Session's options on the double, with so many devices on each server."""
    server = Server(folder)
    server.write_table(*devices)
    for name, value in server.environment.items():
        monkeypatch.setenv(name, value)
    return {"backend": "ascend", "config_file": server.config, "build_timeout": 60}


def test_on_ascend(tmp_path, nothing_left, monkeypatch):
    """On the double: four ranks of one server."""
    options = options_of_ascend(tmp_path, monkeypatch, 4)
    with Session(FIXTURES / "mlp-reduce_scatter" / "4" / "Net.mindir", **options) as model:
        for seed in (1, 2, 3):
            given = nets.inputs("mlp-reduce_scatter", seed)
            (found,) = model.predict(given).values()
            assert is_near(found, nets.expected("mlp-reduce_scatter", given, 4)[0])
        assert (model.check["result"], model.ranks, model.backend) == ("PASS", 4, "ascend")
        os.kill(rank_pids(nothing_left)[1], signal.SIGKILL)
        with pytest.raises(RankError) as failed:
            model.predict(given)
        assert failed.value.status == 137


def test_on_two_ascend_servers(tmp_path, monkeypatch):
    """On the double: a program on each of them, both with the same inputs, and both get the outputs."""
    options, found = options_of_ascend(tmp_path, monkeypatch, 2, 2), {}
    given = nets.inputs("mlp-reduce_scatter", 1)

    def predict(server_id):
        with Session(FIXTURES / "mlp-reduce_scatter" / "4" / "Net.mindir", server_id=server_id, **options) as model:
            found[server_id] = [*model.predict(given).values(), *model.predict(given).values()], model.check["result"]

    threads = [threading.Thread(target=predict, args=(f"10.0.0.{number}",)) for number in (1, 2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(90)
    right = nets.expected("mlp-reduce_scatter", given, 4)[0]
    assert [check for _, check in found.values()] == ["PASS", "PASS"]
    assert all(is_near(array, right) for arrays, _ in found.values() for array in arrays)


def test_ranks_on_another_server(tmp_path, servers, nothing_left):  # noqa: F811  (the fixture)
    """The inputs reach them through MPI: the check compares all ranks' outputs, and ranks wait for each other."""
    environment = {"OMPI_MCA_plm_rsh_agent": tmp_path / "agent", "NETS": servers, "SECOND": tmp_path / "tmp"}
    options = {"model_path": str(MODEL), "backend": "cpu", "hostfile": str(tmp_path / "hosts")}
    words = program(sys.executable, 5, start=[tmp_path / "first"], **options)
    names = {name: os.environ[name] for name in ("MS_TEST", "TMPDIR")}
    done = command(*words, cwd=ROOT, **names, **{name: str(value) for name, value in environment.items()})
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.split() == ["open", "2", "PASS", "True"]
