"""The double of mindspore_lite for Ascend: its ranks compute what one model does, and fail where a test wants it."""

import signal
import time

import nets
import numpy as np
import pytest
from conftest import ROOT
from double_jobs import BUILD, PREDICT, TUTORIAL, assert_raised, run_lines, start_python, table

# run the named test nets, in one process per rank
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
    models[-1].resize(tensors, [list(given[tensor.name].shape) for tensor in tensors])
    outputs = models[-1].predict([mslite.Tensor(given[tensor.name]) for tensor in tensors])
    np.savez(f"{sys.argv[5]}/{name}-{rank}.npz", *[output.get_data_to_numpy() for output in outputs])
"""


def wait_until(condition):
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_two_ranks_have_the_unsharded_result_and_log_the_tutorials_steps(job, tmp_path):
    ranks = job()
    assert [ranks.end(rank)[0] for rank in (0, 1)] == [0, 0]
    lines, _ = run_lines(f"""
        model = Model(); build("{ROOT}/models/Matmul.mindir", Context(), model=model)
        outputs = model.predict([Tensor(np.ones((4, 256), np.float32))])
        np.save("{tmp_path}/whole.npy", outputs[0].get_data_to_numpy())
    """)
    assert not any(error for _, error in lines), lines
    whole = np.load(str(tmp_path / "whole.npy"))
    for rank in (0, 1):
        assert np.max(np.abs(np.load(str(tmp_path / f"rank{rank}.npy")) - whole)) <= 1e-5 * np.max(np.abs(whole))
        log = ranks.log(rank)
        calls = [entry["call"] for entry in log]
        setters = ["device_id", "rank_id", "provider"]
        begin = ["Context", "Context.target", *(f"Context.ascend.{setter}" for setter in setters)]
        begin += ["Model", "Model.build_from_file", "ranks met", "Model.get_inputs", "Tensor.set_data_from_numpy"]
        assert calls == begin + ["Model.predict", "collective"] * 2
        assert log[3]["arguments"] == {"value": rank}


def test_nets_have_the_outputs_of_numpy(tmp_path):
    count, names = 3, ("mlp-all_reduce", "mlp-reduce_scatter", "branches", "three_outputs", "dtypes", "dynamic")
    config = table(tmp_path, count)
    folders = f"{ROOT / 'tests'}:{ROOT}"
    ranks = [
        start_python(
            NETS, rank, count, config, folders, tmp_path, *names, ASCEND_DOUBLE_HUB=tmp_path, HCCL_EXEC_TIMEOUT=15
        )
        for rank in range(count)
    ]
    for process in ranks:
        _, error = process.communicate(timeout=60)
        assert process.returncode == 0, error
    for name in names:
        expected = nets.expected(name, nets.inputs(name), count)
        for rank in range(count):
            outputs = list(np.load(str(tmp_path / f"{name}-{rank}.npz")).values())
            assert [array.shape for array in outputs] == [array.shape for array in expected]
            for output, right in zip(outputs, expected):
                tolerance = 2e-3 if output.dtype == np.float16 else 5e-6
                error = np.abs(output.astype(np.float64) - right.astype(np.float64))
                assert np.max(error) <= tolerance * np.max(np.abs(right)), name


@pytest.mark.parametrize("killed", [0, 1])
def test_a_lost_rank_leaves_the_other_waiting_in_the_engine(job, killed):
    ranks = job(ASCEND_DOUBLE_FAULT=f"{killed}:predict2:kill")
    assert ranks.end(killed)[0] == -signal.SIGKILL
    waiting = ranks.ranks[1 - killed]
    assert waiting.stdout.readline() == "predicted\n"
    waiting.send_signal(signal.SIGTERM)  # which has a handler, in Python
    assert ranks.waits(1 - killed)
    waiting.kill()
    assert ranks.end(1 - killed)[0] == -signal.SIGKILL


def test_the_wait_for_a_lost_rank_ends_with_hccls_time(job):
    ranks = job(ASCEND_DOUBLE_FAULT="1:collective1.1:exit7", HCCL_EXEC_TIMEOUT=0.5)
    assert ranks.end(1)[0] == 7
    status, error = ranks.end(0)
    assert status == 1
    assert "HCCL_EXEC_TIMEOUT" in error
    assert f"RuntimeError: {PREDICT}" in error


def test_a_missing_rank_is_waited_for_in_the_build(job):
    ranks = job(ASCEND_DOUBLE_FAULT="1:build:raise", HCCL_CONNECT_TIMEOUT=0.5)
    status, error = ranks.end(1)
    assert status == 1
    assert f"RuntimeError: {BUILD}" in error
    status, error = ranks.end(0)
    assert status == 1
    assert "HCCL_CONNECT_TIMEOUT: ranks [1] of 2 didn't come" in error


def test_faults(tmp_path):
    """Each fault in a job of one rank, all at the same time."""
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
        start_python(TUTORIAL, model, 0, config, 2, tmp_path, ASCEND_DOUBLE_FAULT=fault, ASCEND_DOUBLE_FIRED=file)
        for fault, file in zip(cases, fired)
    ]
    try:
        for (fault, status), file, process in zip(cases.items(), fired, processes):
            wait_until(lambda file=file: file.exists() and file.read_text().endswith("\n"))  # the line comes later
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
        run_lines("\n".join(lines + [f"Faults({text!r}) # ValueError: ASCEND_DOUBLE_FAULT" for text in texts]))[0]
    )
    process = start_python("import mindspore_lite", ASCEND_DOUBLE_FAULT="0:build")
    assert "ValueError: ASCEND_DOUBLE_FAULT" in process.communicate(timeout=20)[1]
    assert process.returncode == 1
