"""What the tests of a Session share: nets, a separate program, and a check that nothing is left."""

import gc
import json
import os
import threading
import time
import uuid

import numpy as np
import pytest
from conftest import ENVIRONMENT, MODEL, ROOT
from jobs import cmdline, living_pids

from suite import Session

FIXTURES = ROOT / "tests" / "fixtures"
X = np.random.RandomState(1).standard_normal((4, 256)).astype(np.float32)


@pytest.fixture
def nothing_left(tmp_path, monkeypatch):
    """Each test's ranks have its mark and its TMPDIR; afterwards nothing of them must be left."""
    mark, temporary, jobs, over = uuid.uuid4().hex, tmp_path / "tmp", set(), threading.Event()
    for name, value in {**ENVIRONMENT, "MS_TEST": mark, "TMPDIR": str(temporary)}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)
    temporary.mkdir()

    def watch_folder():
        while not over.wait(0.02):
            jobs.update(name for name in os.listdir(str(temporary)) if name.startswith("launch-"))

    watcher = threading.Thread(target=watch_folder)
    watcher.start()
    try:
        yield mark
        gc.collect()
        until = time.time() + 10
        while living_pids(f"MS_TEST={mark}") and time.time() < until:
            time.sleep(0.1)
    finally:
        over.set()
        watcher.join()
    assert not [cmdline(pid) for pid in living_pids(f"MS_TEST={mark}")]
    assert not list(temporary.iterdir())
    assert not [name for name in jobs if os.path.exists(f"/dev/shm/{name}")]
    assert not (tmp_path / "logs").exists()  # a program's own folder stays as it is


def rank_pids(mark):
    """Return the process ids of the ranks themselves."""
    return sorted(pid for pid in living_pids(f"MS_TEST={mark}") if cmdline(pid) == bytes(ROOT / "main.py"))


def product(x):
    """Return the shipped net's output for x, in float64."""
    import mindir

    shard = mindir.load(str(MODEL))
    (tensor,) = shard.model.graph.parameter
    weight = np.frombuffer(tensor.raw_data, np.float32).reshape(tensor.dims).astype(np.float64)
    return x.astype(np.float64) @ weight


def is_near(found, expected, tolerance=1e-5):
    return np.max(np.abs(found.astype(np.float64) - expected)) <= tolerance * (np.max(np.abs(expected)) or 1)


def net(name, count=2, **options):
    return Session(FIXTURES / name / str(count) / "Net.mindir", backend="cpu", **options)


def product_weight():
    import mindir

    (tensor,) = mindir.load(str(MODEL)).model.graph.parameter
    return np.frombuffer(tensor.raw_data, np.float32).reshape(tensor.dims)


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
