"""The double of mindspore_lite for Ascend: it is as strict as it says, and its ranks compute what one model does."""

import contextlib
import json
import signal
import subprocess
import sys
import time

import nets
import numpy as np
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
for each in inputs:
    each.set_data_from_numpy(np.ones(each.shape, np.float32))
for _ in range(count):
    outputs = model.predict(inputs)
    print("predicted", flush=True)
np.save(f"{sys.argv[5]}/rank{rank}.npy", outputs[0].get_data_to_numpy())
"""

# the test nets named, in one process a rank
NETS = """
import sys
import numpy as np
import mindspore_lite as mslite

sys.path[:0] = sys.argv[4].split(":")
import nets

rank, ranks, config = int(sys.argv[1]), sys.argv[2], sys.argv[3]
context = mslite.Context()
context.ascend.provider, context.ascend.rank_id, context.ascend.device_id = "ge", rank, rank  # the target comes after
context.target = ["ascend"]
models = []
for name in sys.argv[6:]:
    models.append(mslite.Model())
    path = f"{sys.argv[4].split(':')[0]}/fixtures/{name}/{ranks}/Net{rank}.mindir"
    models[-1].build_from_file(path, mslite.ModelType.MINDIR, context, config)
    given = nets.inputs(name)
    tensors = models[-1].get_inputs()
    models[-1].resize(tensors, [list(given[each.name].shape) for each in tensors])
    outputs = models[-1].predict([mslite.Tensor(given[each.name]) for each in tensors])
    np.savez(f"{sys.argv[5]}/{name}-{rank}.npz", *[each.get_data_to_numpy() for each in outputs])
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


def start(code, *words, **environment):
    environment = {**ENVIRONMENT, "PYTHONPATH": str(DOUBLE), **{key: str(value) for key, value in environment.items()}}
    words = [sys.executable, "-c", code, *map(str, words)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.Popen(words, universal_newlines=True, env=environment, **pipes)


def raised(text, **environment):
    """Return [(line, what it raises)] and stderr for lines of Python that run in one process with the double."""
    lines = [line.strip() for line in text.strip().splitlines()]
    process = start(LINES, **environment)
    out, error = process.communicate("\n".join(lines), timeout=30)
    assert process.returncode == 0, error
    return list(zip(lines, json.loads(out))), error


def table(folder, ranks=2, **changes):
    """Write a rank table and a configuration file that names it; return the configuration file."""
    devices = [{"device_id": str(each), "device_ip": f"192.0.2.{each}", "rank_id": str(each)} for each in range(ranks)]
    text = {"version": "1.0", "server_count": "1", "status": "completed"}
    text.update({"server_list": [{"server_id": "10.0.0.1", "device": devices}], **changes})
    (folder / "rank_table.json").write_text(json.dumps(text))
    config = folder / "config.ini"
    config.write_text(f"[ascend_context]\nrank_table_file = {folder}/rank_table.json\n")
    return config


class Job:
    """Two ranks of the tutorial; all that still run end with the test."""

    def __init__(self, folder, count=2, **environment):
        self.folder, config = folder, table(folder)
        places = {"ASCEND_DOUBLE_HUB": folder, "ASCEND_DOUBLE_LOG": folder}
        arguments = [(ROOT / "models" / f"Matmul{rank}.mindir", rank, config, count, folder) for rank in (0, 1)]
        self.ranks = [start(TUTORIAL, *each, **places, **environment) for each in arguments]

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


def until(condition):
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.fixture
def job(tmp_path):
    started = []

    def make(**options):
        started.append(Job(tmp_path, **options))
        return started[0]

    yield make
    for each in started:
        for process in each.ranks:
            process.kill()
            process.communicate()


def test_two_ranks_have_the_unsharded_result_and_log_the_tutorials_steps(job, tmp_path):
    ranks = job()
    assert [ranks.end(rank)[0] for rank in (0, 1)] == [0, 0]
    lines, _ = raised(f"""
        model = Model(); build("{ROOT}/models/Matmul.mindir", Context(), model=model)
        outputs = model.predict([Tensor(np.ones((4, 256), np.float32))])
        np.save("{tmp_path}/whole.npy", outputs[0].get_data_to_numpy())
    """)
    assert not any(error for _, error in lines), lines
    whole = np.load(str(tmp_path / "whole.npy"))
    for rank in (0, 1):
        assert np.max(np.abs(np.load(str(tmp_path / f"rank{rank}.npy")) - whole)) <= 1e-5 * np.max(np.abs(whole))
        log = ranks.log(rank)
        calls = [each["call"] for each in log]
        setters = ["device_id", "rank_id", "provider"]
        begin = ["Context", "Context.target", *(f"Context.ascend.{each}" for each in setters)]
        begin += ["Model", "Model.build_from_file", "ranks met", "Model.get_inputs", "Tensor.set_data_from_numpy"]
        assert calls == begin + ["Model.predict", "collective"] * 2
        assert log[3]["arguments"] == {"value": rank}


def test_nets_have_the_outputs_of_numpy(tmp_path):
    count, names = 3, ("mlp-all_reduce", "mlp-reduce_scatter", "branches", "three_outputs", "dtypes", "dynamic")
    config = table(tmp_path, count)
    folders = f"{ROOT / 'tests'}:{ROOT}"
    ranks = [
        start(NETS, rank, count, config, folders, tmp_path, *names, ASCEND_DOUBLE_HUB=tmp_path, HCCL_EXEC_TIMEOUT=15)
        for rank in range(count)
    ]
    for process in ranks:
        _, error = process.communicate(timeout=60)
        assert process.returncode == 0, error
    for name in names:
        expected = nets.expected(name, nets.inputs(name), count)
        for rank in range(count):
            outputs = list(np.load(str(tmp_path / f"{name}-{rank}.npz")).values())
            assert [each.shape for each in outputs] == [each.shape for each in expected]
            for output, right in zip(outputs, expected):
                tolerance = 2e-3 if output.dtype == np.float16 else 5e-6
                error = np.abs(output.astype(np.float64) - right.astype(np.float64))
                assert np.max(error) <= tolerance * np.max(np.abs(right)), name


def test_the_context_takes_what_the_real_one_means_and_nothing_else():
    lines, _ = raised("""
        context = made()
        assert isinstance(type(context.ascend).rank_id, property) and context.ascend.rank_id == 0
        context.ascend.rank_id = "0"                  # TypeError: ascend_rank_id must be int, but got
        context.ascend.device_id = 1.0                # TypeError: ascend_device_id must be int, but got
        context.ascend.device_id = -1                 # ValueError: ascend_device_id must be a non-negative int.
        context.ascend.provider = None                # TypeError: ascend_provider must be str
        context.ascend.provider = "GE"                # ValueError: ascend_provider
        context.ascend.precision_mode = "fp16"        # ValueError: ascend_precision_mode must be in [enforce_fp32
        context.ascend.rankid = 0                     # AttributeError
        context.ascend.rankid                         # AttributeError
        context.targets = ["Ascend"]                  # AttributeError
        context.target = "Ascend"                     # TypeError: target must be list
        context.target = ["npu"]                      # ValueError: target elements must be in
        from mindspore_lite.context import Context    # ModuleNotFoundError
        Tensor("x")                                   # TypeError
        Model().predict([])                           # RuntimeError: Model has not been called Build
        Model().get_inputs()                          # RuntimeError: Model has not been called Build
        context.cpu.thread_num = 2; context.target = ["ASCEND"]; assert context.target == ["ASCEND"]
    """)
    assert_raised(lines)


def assert_raised(lines):
    """Make sure that each line raises what its comment says, and nothing where there is none."""
    for line, error in lines:
        expected = line.partition("#")[2].strip()
        assert error.startswith(expected) and bool(error) == bool(expected), (line, error)


def test_what_can_not_be_built(tmp_path):
    path = f'"{ROOT}/models/Matmul1.mindir"'
    config = table(tmp_path, ranks=3)
    for name, text in {
        "quotes": f'[ascend_context]\nrank_table_file="{tmp_path}/rank_table.json"\n',
        "misspelt": f"[ascend_context]\nrank_table={tmp_path}/rank_table.json\n",
        "section": f"[ascend]\nrank_table_file={tmp_path}/rank_table.json\n",
        "twice": "[ascend_context]\nprovider=ge\n[ascend_context]\nprovider=ge\n",
        "relative": "[ascend_context]\nrank_table_file=rank_table.json\n",
        "ini": f"[ascend_context]\nrank_table_file={config}\n",
    }.items():
        (tmp_path / f"{name}.ini").write_text(text)
    files = [f'build({path}, r, "{tmp_path}/{name}.ini") # {BUILD}' for name in ("quotes", "misspelt", "section")]
    files += [f'build({path}, r, "{tmp_path}/{name}.ini") # {BUILD}' for name in ("twice", "relative", "ini")]
    other = f'{{"ascend_context": {{"rank_table_file": "{tmp_path}/none.json"}}}}'
    lines, error = raised(
        "\n".join(
            [
                'r = made(provider="ge", rank_id=1, device_id=1)',
                'build("none.mindir", r) # RuntimeError: build_from_file failed, model_path does not exist!',
                f'build({path}, r, "none.ini") # RuntimeError: build_from_file failed, config_path does not exist!',
                f"build({path}, r, None) # TypeError: config_path must be str",
                f"build({path}, r, 'x', {{1: 2}}) # RuntimeError",
                f"build({path}, r, '', {{'ascend_context': {{'provider': 1}}}}) # TypeError: config_dict_value_value",
                *(line.replace("# build", "# RuntimeError: build") for line in files),
                f"build({path}, r) # RuntimeError: {BUILD}",
                f'build({path}, r, "{config}", {other}) # RuntimeError: {BUILD}',
                f'build({path}, made(rank_id=1, device_id=1), "{config}") # RuntimeError: {BUILD}',
                f'build({path}, made(provider="ge", device_id=1), "{config}") # RuntimeError: {BUILD}',
                f'build({path}, made(provider="ge", rank_id=1, device_id=2), "{config}") # RuntimeError: {BUILD}',
                f'build({path}, made(provider="ge", rank_id=3, device_id=3), "{config}") # RuntimeError: {BUILD}',
            ]
        )
    )
    assert_raised(lines)
    words = [
        "quotes",
        "rank_table: nothing reads",
        "[ascend]: nothing",
        "second section",
        "No such file",
        "end in .json",
    ]
    words += ["no hccl mode", "none.json", "provider ''", "rank_id isn't set", "config devId[1],but local devId[2]"]
    told = [line for line in error.splitlines() if line.startswith("[ERROR]")]
    for word, line in zip([*words, "rankId[3] is invalid"], told):
        assert word in line
    assert len(told) == len(words) + 1


def test_rank_tables_that_hccl_refuses(tmp_path):
    cases = {
        "status 'initializing'": {"status": "initializing"},
        "server_count 2": {"server_count": "2"},
        "has to be a string": {"server_count": 1},
        "version '2.0'": {"version": "2.0"},
        "aren't 0, 1": {"server_list": [{"server_id": "a", "device": [{"device_id": "1", "rank_id": "1"}]}]},
    }
    build = f'build("{ROOT}/models/Matmul1.mindir", made(provider="ge", rank_id=1, device_id=1), "%s") # %s'
    folders = [tmp_path / str(index) for index in range(len(cases))]
    for folder in folders:
        folder.mkdir()
    configs = [table(folder, **changes) for folder, changes in zip(folders, cases.values())]
    lines, error = raised("\n".join(build % (config, f"RuntimeError: {BUILD}") for config in configs))
    assert_raised(lines)
    told = [line for line in error.splitlines() if line.startswith("[ERROR]")]
    assert len(told) == len(cases)
    for word, line in zip(cases, told):
        assert word in line


def test_other_rank_tables_and_group_sizes(tmp_path):
    config, model = table(tmp_path, ranks=1), ROOT / "models" / "Matmul0.mindir"
    build = f'build("{model}", made(provider="ge", rank_id=0), "{config}") # RuntimeError: {BUILD}'
    assert "2 ranks, the rank table has 1" in raised(build)[1]
    lines, error = raised(build, RANK_TABLE_FILE="/etc/other.json")
    assert_raised(lines)
    assert "RANK_TABLE_FILE=/etc/other.json in the environment" in error


def test_model_groups(tmp_path):
    config, fixtures = table(tmp_path, 1), ROOT / "tests" / "fixtures"
    for name in ("external", "more"):
        text = config.read_text() + "[ge_session_options]\nge.externalWeight=1\n"
        (tmp_path / f"{name}.ini").write_text(text + ("ge.x=1\n" if name == "more" else ""))
    mlp = [f'"{fixtures}/mlp-{kind}/1/Net0.mindir"' for kind in ("all_reduce", "reduce_scatter")]
    lines, error = raised(
        f"""
        context = made(provider="ge", rank_id=0)
        assert [each.value for each in ModelGroupFlag] == [1, 2]
        ModelGroup(1)                                       # RuntimeError
        ModelGroup().add_model([Model()])                   # RuntimeError: ModelGroup's add model failed.
        group = ModelGroup(ModelGroupFlag.SHARE_WEIGHT)
        group.add_model(Model())                            # TypeError: models must be list/tuple
        group.add_model([])                                 # RuntimeError: models cannot be empty
        group.add_model([Model(), "x"])                     # TypeError: models element must be all str or Model
        group.cal_max_size_of_workspace(ModelType.MINDIR, context) # RuntimeError
        a, b, c, d, f = [Model() for _ in range(5)]; group.add_model([a, b, c, d, f])
        group.add_model([a])                                # RuntimeError: ModelGroup's add model failed.
        build({mlp[0]}, context, "{tmp_path}/external.ini", model=a)
        build({mlp[0]}, context, "{tmp_path}/more.ini", model=f) # RuntimeError: {BUILD}
        build({mlp[0]}, context, "{tmp_path}/external.ini", model=f) # RuntimeError: {BUILD}
        build({mlp[0]}, context, "{tmp_path}/external.ini", model=b)
        build("{fixtures}/shared/1/Net0.mindir", context, "{tmp_path}/external.ini", model=c)
        build({mlp[1]}, context, "{tmp_path}/external.ini", model=d) # RuntimeError: {BUILD}
        e = Model(); build({mlp[0]}, context, "{config}", model=e)
        ModelGroup(ModelGroupFlag.SHARE_WEIGHT).add_model([e]) # RuntimeError: ModelGroup's add model failed.
        build({mlp[0]}, context, "{config}", model=e)       # RuntimeError: {BUILD}
        build({mlp[0]}, made(provider="ge", rank_id=0, device_id=1), "{config}") # RuntimeError: {BUILD}
        """,
        ASCEND_DOUBLE_LOG=tmp_path,
    )
    assert_raised(lines)
    for word in ("Session options is not equal", "other values than in", "shares nothing", "the first model of the"):
        assert word in error
    log = [json.loads(line) for line in (tmp_path / "rank0.jsonl").read_text().splitlines()]
    shared = [each["arguments"] for each in log if each["call"] == "shared"]
    nbytes = sum(each.nbytes for each in nets.weights("mlp-all_reduce").values())
    assert [each["bytes"] for each in shared] == [nbytes, 0]
    assert raised("ModelGroup  # NameError", ASCEND_DOUBLE_WITHOUT="ModelGroup")[0][0][1].startswith("NameError")


@pytest.mark.parametrize("lost", [0, 1])
def test_a_lost_rank_leaves_the_other_waiting_in_the_engine(job, lost):
    ranks = job(ASCEND_DOUBLE_FAULT=f"{lost}:predict2:kill")
    assert ranks.end(lost)[0] == -signal.SIGKILL
    waiting = ranks.ranks[1 - lost]
    assert waiting.stdout.readline() == "predicted\n"
    waiting.send_signal(signal.SIGTERM)  # for which there is a handler, in Python
    assert ranks.waits(1 - lost)
    waiting.kill()
    assert ranks.end(1 - lost)[0] == -signal.SIGKILL


def test_the_wait_for_a_lost_rank_ends_with_hccls_time(job):
    ranks = job(ASCEND_DOUBLE_FAULT="1:collective1.1:exit7", HCCL_EXEC_TIMEOUT=0.5)
    assert ranks.end(1)[0] == 7
    status, error = ranks.end(0)
    assert status == 1
    assert "HCCL_EXEC_TIMEOUT" in error
    assert f"RuntimeError: {PREDICT}" in error


def test_a_rank_that_does_not_come_is_waited_for_in_the_build(job):
    ranks = job(ASCEND_DOUBLE_FAULT="1:build:raise", HCCL_CONNECT_TIMEOUT=0.5)
    status, error = ranks.end(1)
    assert status == 1
    assert f"RuntimeError: {BUILD}" in error
    status, error = ranks.end(0)
    assert status == 1
    assert "HCCL_CONNECT_TIMEOUT: ranks [1] of 2 didn't come" in error


def test_faults(tmp_path):
    """On a job of one rank each, all at once."""
    cases = {
        "0:build:exit7": 7,
        "0:predict1:segv": -signal.SIGSEGV,
        "0:collective2.1:raise": 1,
        "0:exit:kill": -signal.SIGKILL,
        "0:predict2:busy": 99,  # the status that the tutorial's handler of SIGTERM ends with
        "0:context:hang": None,  # until it is killed
        "0:predict1:stop": None,
    }
    config, model = table(tmp_path, 1), ROOT / "tests" / "fixtures" / "mlp-all_reduce" / "1" / "Net0.mindir"
    fired = [tmp_path / f"fired{index}" for index in range(len(cases))]
    processes = [
        start(TUTORIAL, model, 0, config, 2, tmp_path, ASCEND_DOUBLE_FAULT=fault, ASCEND_DOUBLE_FIRED=file)
        for fault, file in zip(cases, fired)
    ]
    try:
        for (fault, status), file, process in zip(cases.items(), fired, processes):
            until(lambda file=file: file.exists() and file.read_text().endswith("\n"))  # it is there before its line is
            assert file.read_text() == f"{fault}\n"
            if status in (None, 99):
                process.send_signal(signal.SIGTERM)
            if status is None:
                time.sleep(0.2)
                assert process.poll() is None, fault
            else:
                assert process.wait(20) == status, fault
    finally:
        for process in processes:
            process.kill()
            process.communicate()


def test_faults_that_can_not_happen_are_refused():
    texts = ("0:build", "x:build:kill", "0:predict0:kill", "0:build:die", "0:exit:raise", "0:b:kill", "0:build:kill ")
    lines = ["from mindspore_lite._engine import Faults", "Faults('0:build:kill,1:predict12:hang')"]
    assert_raised(
        raised("\n".join(lines + [f"Faults({each!r}) # ValueError: ASCEND_DOUBLE_FAULT" for each in texts]))[0]
    )
    process = start("import mindspore_lite", ASCEND_DOUBLE_FAULT="0:build")
    assert "ValueError: ASCEND_DOUBLE_FAULT" in process.communicate(timeout=20)[1]
    assert process.returncode == 1
