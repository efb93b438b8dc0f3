"""The command lines: what is printed, and how the ranks end."""

import json
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import nets
import numpy as np
import pytest
from conftest import ENVIRONMENT, MODEL, ROOT, assert_refused, command, lines, run_main, run_ranks

import mindir

FIXTURES = ROOT / "tests" / "fixtures"
NUMBER = r"-?\d+\.\d+(?:e[+-]\d+)?"


def ones_times_weight():
    weight = np.frombuffer(mindir.load(str(MODEL)).model.graph.parameter[0].raw_data, np.float32).reshape(256, 128)
    return np.ones((4, 256)) @ weight.astype(np.float64)


def test_run_sh_prints_every_rank_and_a_checked_result():
    done = command("./run.sh")
    assert done.returncode == 0, done.stderr
    text = done.stdout.splitlines()
    assert len(text) == 5
    for rank in (0, 1):
        name, data = text[2 * rank : 2 * rank + 2]
        tensor = r"tensor's name is:\S+ data size is:2048 tensor elements num is:512"
        assert re.fullmatch(rf"rank {rank}: {tensor}", name)
        assert re.fullmatch(rf"rank {rank}: output data is: (?:{NUMBER} ){{10}}", data)
        values = np.array([float(number) for number in data.split("data is: ")[1].split()])
        assert np.allclose(values, ones_times_weight()[0, :10], rtol=1e-5, atol=1e-5)
    verdict = r"check: PASS  max error \S+ \(tolerance 1e-05\) against models/Matmul.mindir"
    assert re.fullmatch(verdict, text[4])
    (line,) = done.stderr.splitlines()
    assert re.match("run.sh: .*cpu .*/dev/davinci.*/dev/nvidia.* 2 ranks.* logs/", line)


def test_the_tutorials_command_works():
    done = run_ranks(2, "main.py", "--model_path=models/Matmul.mindir")
    assert done.returncode == 0, done.stderr
    assert "check: PASS" in done.stdout
    assert not done.stderr


def test_run_sh_works_from_another_folder_and_passes_options_on(tmp_path):
    done = command(
        *(ROOT / "run.sh", "--backend", "cpu", "--model_path", MODEL, "--warmup=2", "--repeat", "5"),
        *("--json=report.json", "--output", "result.npz"),
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    report = json.loads((tmp_path / "report.json").read_text())
    assert (report["backend"], report["ranks"], report["warmup"], report["repeat"]) == ("cpu", 2, 2, 5)
    assert report["check"]["result"] == "PASS"
    times = report["predict_ms"]
    assert 0 < times["p50"] <= times["p90"] <= times["p99"]
    assert 0 < times["mean"] <= times["p99"]
    assert re.search(rf"predict: p50 {NUMBER}  p90 {NUMBER}  p99 {NUMBER}  mean {NUMBER} ms", done.stdout)
    (output,) = np.load(str(tmp_path / "result.npz")).values()
    assert np.max(np.abs(output - ones_times_weight())) <= 1e-5 * np.max(np.abs(output))
    assert sorted(file.name for file in tmp_path.iterdir()) == ["logs", "report.json", "result.npz"]


def test_inputs_come_from_a_file(tmp_path):
    given = nets.inputs("branches")
    np.savez(str(tmp_path / "in.npz"), **given)
    words = ("--input", tmp_path / "in.npz", "--output", tmp_path / "out.npz")
    done = run_main(2, FIXTURES / "branches" / "2" / "Net.mindir", *words)
    assert done.returncode == 0, done.stderr
    assert "check: PASS" in done.stdout
    (output,) = np.load(str(tmp_path / "out.npz")).values()
    (expected,) = nets.expected("branches", given, 2)
    assert np.max(np.abs(output - expected)) <= 2e-6 * np.max(np.abs(expected))


def test_an_open_shape_asks_for_input_and_takes_it(tmp_path):
    model = FIXTURES / "dynamic" / "2" / "Net.mindir"
    assert_refused(run_main(2, model), 2, "input x", "[-1, 8]", "--input")
    np.save(str(tmp_path / "x.npy"), nets.inputs("dynamic")["x"][:5])
    done = run_main(2, model, "--input", tmp_path / "x.npy")
    assert done.returncode == 0, done.stderr
    assert "check: PASS" in done.stdout
    assert "elements num is:40" in done.stdout


def test_four_values_are_printed_where_there_are_no_more(tmp_path):
    np.save(str(tmp_path / "x.npy"), nets.inputs("dynamic")["x"][:1])
    done = run_main(2, FIXTURES / "dynamic" / "2" / "Net.mindir", "--input", tmp_path / "x.npy")
    (first, second) = (line for line in done.stdout.splitlines() if "output data is:" in line)
    assert re.fullmatch(rf"rank 0: output data is: (?:{NUMBER} ){{8}}", first)
    assert second == first.replace("rank 0", "rank 1")


def test_one_rank_needs_no_mpirun():
    done = command(sys.executable, "main.py", f"--model_path={FIXTURES / 'skip' / '1' / 'Net.mindir'}")
    assert done.returncode == 0, done.stderr
    assert "check: PASS" in done.stdout
    assert_refused(command(sys.executable, "main.py", f"--model_path={MODEL}"), 2, "2 shards", "1 rank")


ENDS = """
import os, time
import ranks
before = dict(os.environ)
ranks.world()
assert dict(os.environ) == before
from mpi4py import MPI
start = time.monotonic()
MPI.Finalize()
print(time.monotonic() - start)
"""


def test_mpi_ends_at_once():
    """Open MPI's component ofi sleeps for a second when it is closed; it is used only if its variable asks for it."""
    plain, with_ofi = (
        float(command(sys.executable, "-c", ENDS, **settings).stdout)
        for settings in ({"PYTHONPATH": ROOT}, {"PYTHONPATH": ROOT, "OMPI_MCA_btl": "self,ofi"})
    )
    assert plain < with_ofi / 2, (plain, with_ofi)


FOREIGN = """
import main, ranks
from suite import cpu_model
predict = cpu_model.Model.predict
class Foreign(RuntimeError):
    status = STATUS
def broken(self, inputs):
    if self.comm.rank == 1:
        raise Foreign("predict failed!")
    return predict(self, inputs)
cpu_model.Model.predict = broken
ranks.run(main.main)
"""


@pytest.mark.parametrize("status", ["404", "0", "None", "'no'"])
def test_a_rank_that_raises_ends_the_others(model, status):
    """Rank 1 raises in predict while rank 0 waits for it; somebody else's .status isn't an exit status."""
    start = time.monotonic()
    done = run_ranks(2, "-c", FOREIGN.replace("STATUS", status), f"--model_path={model}", PYTHONPATH=str(ROOT))
    assert done.returncode == 1
    assert re.search("^rank 1: .*predict failed!$", done.stderr, re.M)
    assert "Traceback" in done.stderr
    assert time.monotonic() - start < 60  # a limit for a hang, not for speed


DIFFERENT = """
import sys
import numpy as np
import mindspore_lite as mslite
import ranks
from cpu_mpi_distributed import create_context
from suite.cpu_model import Model
def main():
    comm = ranks.world()
    model = Model(comm)
    path = ranks.shard_path(sys.argv[1], comm.rank, comm.size)
    model.build_from_file(path, mslite.ModelType.MINDIR, create_context(comm))
    model.predict([np.full((4, 256), comm.rank + 1, np.float32)])
ranks.run(main)
"""


def test_different_inputs_are_found_out_by_the_model_itself(model):
    done = run_ranks(2, "-c", DIFFERENT, model, PYTHONPATH=str(ROOT))
    assert_refused(done, 2, "rank 1", "input x")
    assert "--input" not in done.stderr


def test_different_inputs_are_found_out_by_main(model, tmp_path):
    """Rank 1 finds another file under the same name."""
    program = "import os; os.chdir(os.environ['OMPI_COMM_WORLD_RANK']); import main, ranks; ranks.run(main.main)"
    for rank in (0, 1):
        (tmp_path / str(rank)).mkdir()
        np.save(str(tmp_path / str(rank) / "x.npy"), np.full((4, 256), rank, np.float32))
    done = run_ranks(2, "-c", program, f"--model_path={model}", "--input=x.npy", cwd=tmp_path, PYTHONPATH=str(ROOT))
    assert_refused(done, 2, "rank 1", "input x")


def test_a_stage_that_does_not_build_is_named_and_nothing_stays(model):
    """An operator that this engine doesn't have."""
    temporary = model.parent / "temporary"
    temporary.mkdir()
    path = str(model.parent / "Matmul1.mindir")
    message = mindir.load(path).model
    next(primitive for primitive in message.primitives if primitive.op_type == "MatMul").op_type = "NoSuchOperator"
    (model.parent / "Matmul1.mindir").write_bytes(message.SerializeToString())
    done = run_main(2, model, TMPDIR=str(temporary))
    assert done.returncode == 1
    assert re.match("rank 1: .*Matmul1.mindir.* step 1 of 3", lines(done.stderr)[-1])
    assert not [folder for folder in temporary.iterdir() if folder.name.startswith("stages-")]


def test_a_reference_that_does_not_build_is_named(model):
    message = mindir.load(str(model)).model
    next(primitive for primitive in message.primitives if primitive.op_type == "MatMul").op_type = "NoSuchOperator"
    model.write_bytes(message.SerializeToString())
    done = run_main(2, model)
    assert done.returncode == 1
    assert re.match("rank 0: .*Matmul.mindir: ", lines(done.stderr)[-1])


def test_a_launcher_that_sets_no_size_is_believed(model):
    """As under srun with PMIx: mpi4py knows the ranks, the environment doesn't."""
    hidden = ("env", "-u", "OMPI_COMM_WORLD_SIZE", "-u", "OMPI_COMM_WORLD_RANK", sys.executable)
    mpirun = Path(sys.executable).with_name("mpirun")
    done = command(mpirun, "--quiet", "--oversubscribe", "-n", "2", *hidden, "main.py", f"--model_path={model}")
    assert done.returncode == 0, done.stderr
    assert "rank 1: tensor's name is:" in done.stdout


def test_ascends_ranks_look_at_all_shards(model):
    """They can't talk to each other, so each reads the others' files."""
    from suite import hub, shards

    alone, path = hub.Ranks(1, 2), str(model.with_name("Matmul1.mindir"))
    shards.check_set(alone, str(model), path, "ascend")
    shutil.copy(str(FIXTURES / "skip" / "2" / "Net0.mindir"), str(model.with_name("Matmul0.mindir")))
    with pytest.raises(mindir.MindIRError):
        shards.check_set(alone, str(model), path, "ascend")


def test_ending_run_sh_ends_the_ranks(model):
    job = subprocess.Popen(
        ["./run.sh", f"--model_path={model}", "--repeat=100000000"],
        cwd=str(ROOT),
        env=ENVIRONMENT,
        stderr=subprocess.PIPE,
    )
    pattern = f"main.py .*--model_path={model}"
    try:
        while len(command("pgrep", "-f", pattern).stdout.split()) < 3:  # mpirun and two ranks
            time.sleep(0.2)
        time.sleep(2)
        job.terminate()
        assert job.wait(timeout=30) != 0
        assert not command("pgrep", "-f", pattern).stdout
    finally:
        command("pkill", "-9", "-f", pattern)
        job.stderr.close()


def test_a_constant_that_the_converter_folds_crashes_nobody_at_the_end():
    """mindspore_lite 2.0.0 ended with SIGSEGV, after `check: PASS`: the net adds the first rows of a parameter."""
    done = command("./run.sh", "--backend=cpu", f"--model_path={FIXTURES / 'folded' / 'Net.mindir'}")
    assert done.returncode == 0, done.stderr
    assert "check: PASS" in done.stdout
