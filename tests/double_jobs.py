"""Ranks on the double of mindspore_lite for Ascend, started by hand."""

import contextlib
import json
import subprocess
import sys

import pytest
from conftest import ENVIRONMENT, ROOT

DOUBLE = ROOT / "tests" / "ascend_double"
BUILD, PREDICT = "build_from_file failed! Error is Common error code.", "predict failed!"


# the tutorial's steps: MODEL_PATH RANK CONFIG, then predict as often as COUNT says, with ones
TUTORIAL = """
import signal, sys
import numpy as np
import mindspore_lite as mslite

path, rank, config, count = sys.argv[1], int(sys.argv[2]), sys.argv[3], int(sys.argv[4])
signal.signal(signal.SIGTERM, lambda *_: sys.exit(99))
context = mslite.Context()
context.target = ["Ascend"]
context.ascend.device_id = rank
context.ascend.rank_id = rank
context.ascend.provider = "ge"
model = mslite.Model()
model.build_from_file(path, mslite.ModelType.MINDIR, context, config)
inputs = model.get_inputs()
for tensor in inputs:
    tensor.set_data_from_numpy(np.ones(tensor.shape, np.float32))
for _ in range(count):
    outputs = model.predict(inputs)
    print("predicted", flush=True)
np.save(f"{sys.argv[5]}/rank{rank}.npy", outputs[0].get_data_to_numpy())
"""


# lines of Python from stdin, one after the other; what each raises, as JSON
LINES = """
import json, sys
import numpy as np
import mindspore_lite as mslite
from mindspore_lite import *

def made(**values):
    context = Context()
    context.target = ["Ascend"]
    for name, value in values.items():
        setattr(context.ascend, name, value)
    return context

def build(path, context, config="", config_dict=None, model=None):
    (model or Model()).build_from_file(path, ModelType.MINDIR, context, config, config_dict)

raised = []
for line in sys.stdin:
    try:
        exec(line)
        raised.append("")
    except Exception as error:
        raised.append(f"{type(error).__name__}: {error}")
print(json.dumps(raised))
"""


def start_python(code, *words, **environment):
    environment = {**ENVIRONMENT, "PYTHONPATH": str(DOUBLE), **{key: str(value) for key, value in environment.items()}}
    words = [sys.executable, "-c", code, *map(str, words)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.Popen(words, universal_newlines=True, env=environment, **pipes)


def run_lines(text, **environment):
    """Return [(line, what it raises)] and stderr for lines of Python that run in one process with the double."""
    lines = [line.strip() for line in text.strip().splitlines()]
    process = start_python(LINES, **environment)
    out, error = process.communicate("\n".join(lines), timeout=30)
    assert process.returncode == 0, error
    return list(zip(lines, json.loads(out))), error


def table(folder, ranks=2, **changes):
    """Write a rank table and a configuration file that names it; return the configuration file."""
    devices = [{"device_id": str(rank), "device_ip": f"192.0.2.{rank}", "rank_id": str(rank)} for rank in range(ranks)]
    text = {"version": "1.0", "server_count": "1", "status": "completed"}
    text.update({"server_list": [{"server_id": "10.0.0.1", "device": devices}], **changes})
    (folder / "rank_table.json").write_text(json.dumps(text))
    config = folder / "config.ini"
    config.write_text(f"[ascend_context]\nrank_table_file = {folder}/rank_table.json\n")
    return config


class Job:
    """Two ranks of the tutorial; those that still run are ended with the test."""

    def __init__(self, folder, count=2, **environment):
        self.folder, config = folder, table(folder)
        places = {"ASCEND_DOUBLE_HUB": folder, "ASCEND_DOUBLE_LOG": folder}
        arguments = [(ROOT / "models" / f"Matmul{rank}.mindir", rank, config, count, folder) for rank in (0, 1)]
        self.ranks = [start_python(TUTORIAL, *words, **places, **environment) for words in arguments]

    def end(self, rank):
        """Return (status, stderr) of a rank that has to end soon."""
        _, error = self.ranks[rank].communicate(timeout=20)
        return self.ranks[rank].returncode, error

    def waits(self, rank, seconds=0.5):
        """True if the rank still runs after this time."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.ranks[rank].wait(seconds)
        return self.ranks[rank].returncode is None

    def log(self, rank):
        return [json.loads(line) for line in (self.folder / f"rank{rank}.jsonl").read_text().splitlines()]


@pytest.fixture
def job(tmp_path):
    started = []

    def make(**options):
        started.append(Job(tmp_path, **options))
        return started[0]

    yield make
    for pair in started:
        for process in pair.ranks:
            process.kill()
            process.communicate()


def assert_raised(lines):
    """Make sure that each line raises what its comment says, or nothing if it has none."""
    for line, error in lines:
        expected = line.partition("#")[2].strip()
        assert error.startswith(expected) and bool(error) == bool(expected), (line, error)
