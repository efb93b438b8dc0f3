"""The command lines: what is printed, what is refused, and with which exit status."""

import json
import os
import re
import shutil
import stat
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import nets
import numpy as np
import pytest
from conftest import ENVIRONMENT, MODEL, ROOT, assert_refused, command, lines, ranks, run_main

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
        values = np.array([float(each) for each in data.split("data is: ")[1].split()])
        assert np.allclose(values, ones_times_weight()[0, :10], rtol=1e-5, atol=1e-5)
    verdict = r"check: PASS  max error \S+ \(tolerance 1e-05\) against models/Matmul.mindir"
    assert re.fullmatch(verdict, text[4])
    (said,) = done.stderr.splitlines()
    assert re.match("run.sh: .*cpu .*/dev/davinci.*/dev/nvidia.* 2 ranks.* logs/", said)


def test_the_tutorials_command_works():
    done = ranks(2, "main.py", "--model_path=models/Matmul.mindir")
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
    assert sorted(each.name for each in tmp_path.iterdir()) == ["logs", "report.json", "result.npz"]


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


# what can't be right


def test_too_many_and_too_few_ranks_say_both_numbers(model):
    assert_refused(run_main(3, model), 2, "Matmul0.mindir", "2 shards", "3 ranks")
    assert_refused(run_main(1, model), 2, "Matmul0.mindir", "2 shards", "1 rank")
    done = command("./run.sh", "--ranks", "3")
    assert done.returncode == 2
    assert re.search("2 shards.* 3 ranks", done.stderr)


@pytest.mark.parametrize("count", [1, 2, 3])
@pytest.mark.parametrize("missing", [0, 1])
def test_a_missing_shard_is_named_with_what_the_others_say(model, missing, count):
    (model.parent / f"Matmul{missing}.mindir").unlink()
    if count == 1 and missing == 0:  # rank 0 has nothing to read
        assert_refused(run_main(1, model), 2, "Matmul0.mindir")
        return
    done = run_main(count, model)
    assert_refused(done, 2, f"Matmul{1 - missing}.mindir", "one of 2 shards", f"Matmul{missing}.mindir")
    assert "start 1" not in done.stderr


def test_a_path_with_a_ranks_number_or_without_shards_is_named(model):
    assert_refused(run_main(1, model.parent / "Matmul0.mindir"), 2, "Matmul00.mindir", "Matmul0.mindir")
    assert_refused(run_main(2, model.parent / "None.mindir"), 2, "None0.mindir")


def test_the_number_goes_where_the_path_says(model):
    for rank in (0, 1):
        (model.parent / f"rank_{rank}").mkdir()
        shutil.move(str(model.parent / f"Matmul{rank}.mindir"), str(model.parent / f"rank_{rank}" / "net.mindir"))
    done = run_main(2, model.parent / "rank_{rank}" / "net.mindir")
    assert done.returncode == 0, done.stderr
    assert len(lines(done.stdout)) == 5


def test_a_path_that_is_not_utf_8_is_one_line(tmp_path):
    folder = os.fsencode(str(tmp_path)) + b"/m\xff"
    os.mkdir(folder)
    program = f"import sys, main, ranks; sys.argv[1:] = ['--model_path=' + {os.fsdecode(folder)!r} + '/Net.mindir']"
    done = subprocess.run(
        [sys.executable, "-c", f"{program}; ranks.run(main.main)"],
        cwd=str(ROOT),
        env=ENVIRONMENT,
        stderr=subprocess.PIPE,
    )
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1
    assert folder in done.stderr


def test_a_shard_of_another_group_size(model):
    shutil.copy(str(model.parent / "Matmul1.mindir"), str(model.parent / "Matmul2.mindir"))
    assert_refused(run_main(3, model), 2, "Matmul0.mindir", "2 shards", "3 ranks")


def test_shards_of_two_models(model):
    shutil.copy(str(FIXTURES / "mlp-reduce_scatter" / "2" / "Net1.mindir"), str(model.parent / "Matmul1.mindir"))
    assert_refused(run_main(2, model), 2, "rank 1: ", "Matmul1.mindir", "inputs ")


def test_a_set_that_is_not_the_unsharded_models(model):
    shutil.copy(str(FIXTURES / "branches" / "2" / "Net.mindir"), str(model))
    assert_refused(run_main(2, model), 2, "Matmul.mindir", "float32 (12, 8), float32 (12, 24)", "float32 (4, 256)")


@pytest.mark.parametrize("name", ["Matmul.mindir", "Matmul1.mindir"])
@pytest.mark.parametrize("damage", ["cut off", "empty", "random", "text"])
def test_a_damaged_file_is_refused_before_the_engine_sees_it(model, damage, name):
    path = model.parent / name
    data = path.read_bytes()
    path.write_bytes(
        {
            "cut off": data[: len(data) // 2],
            "empty": b"",
            "random": np.random.RandomState(0).bytes(5000),
            "text": b"Matmul\n" * 100,
        }[damage]
    )
    done = run_main(2, model)
    assert_refused(done, 2, name)
    assert "ERROR" not in done.stderr  # which is how the engine would say it


@pytest.mark.parametrize(
    "arrays, texts",
    [
        ({"y": np.ones((4, 256), np.float32)}, ["y", "x"]),
        ({"x": np.ones((256, 4), np.float32)}, ["x", "float32 [256, 4]", "float32 [4, 256]"]),
        ({"x": np.ones((4, 256))}, ["x", "float64 [4, 256]", "float32 [4, 256]"]),
        ({"x": np.full((4, 256), np.nan, np.float32)}, ["x", "1024 NaN"]),
    ],
)
def test_an_input_that_does_not_fit(model, tmp_path, arrays, texts):
    np.savez(str(tmp_path / "in.npz"), **arrays)
    assert_refused(run_main(2, model, "--input", tmp_path / "in.npz"), 2, *texts)


def test_an_input_without_rows(tmp_path):
    np.save(str(tmp_path / "x.npy"), np.ones((0, 8), np.float32))
    model = FIXTURES / "dynamic" / "2" / "Net.mindir"
    assert_refused(run_main(2, model, "--input", tmp_path / "x.npy"), 2, "x", "float32 [0, 8]", "float32 [-1, 8]")


def test_an_input_file_that_is_none(model, tmp_path):
    with zipfile.ZipFile(str(tmp_path / "other.npz"), "w") as file:
        file.writestr("x.txt", "no array")
    assert_refused(run_main(2, model, "--input", tmp_path / "other.npz"), 2, "other.npz")
    np.savez(str(tmp_path / "empty.npz"))
    assert_refused(run_main(2, model, "--input", tmp_path / "empty.npz"), 2, "empty.npz")
    (tmp_path / "in.npz").write_text("no arrays")
    assert_refused(run_main(2, model, "--input", tmp_path / "in.npz"), 2, "in.npz")
    assert_refused(run_main(2, model, "--input", tmp_path / "none.npz"), 2, "none.npz")


def test_a_configuration_file_that_is_not_there(model):
    assert_refused(run_main(2, model, "--config_file=/no/such.ini"), 2, "/no/such.ini")


@pytest.mark.parametrize("option", ["--output", "--json"])
def test_a_file_that_cannot_be_written(model, tmp_path, option):
    assert_refused(run_main(2, model, option, "/no/such/folder/x"), 2, "/no/such/folder/x")
    assert_refused(run_main(2, model, option, tmp_path), 2, str(tmp_path))


def test_a_check_without_the_unsharded_model(model):
    model.unlink()
    done = run_main(2, model)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == f"check: none  (no {model})"
    assert_refused(run_main(2, model, "--check=on"), 2, "Matmul.mindir")


@pytest.mark.parametrize(
    "words, texts",
    [
        (["--repeat=0"], ["--repeat", "1 or more"]),
        (["--warmup=-1"], ["--warmup", "0 or more"]),
        (["--warmup=x"], ["--warmup", "0 or more"]),
        (["--bogus"], ["--bogus"]),
        (["--rank_id=0"], ["--rank_id"]),
        (["--model_path=x.onnx"], ["x.onnx", ".mindir"]),
        (["--check=maybe"], ["--check"]),
        (["--engine_cache=x"], ["--engine_cache", "gpu"]),
    ],
)
def test_wrong_arguments(words, texts):
    assert_refused(run_main(2, MODEL, *words), 2, *texts)


def test_run_sh_refuses_wrong_arguments():
    assert_refused(command("./run.sh", PYTHON="/nonexistent"), 3, "/nonexistent")
    python = "/usr/bin/python3"  # the system's, which is no 3.7 and has no mindspore_lite
    assert_refused(command("./run.sh", PYTHON=python), 3, f"PYTHON={python} has no mindspore_lite")
    assert_refused(command("./run.sh", "--ranks=two"), 2, "--ranks", "two")
    assert_refused(command("./run.sh", "--ranks=0"), 2, "--ranks 0")
    assert_refused(command("./run.sh", "--model_path"), 2, "--model_path")
    assert_refused(command("./run.sh", "--build_timeout=0"), 2, "--build_timeout 0")


@pytest.mark.parametrize("backend, device", [("gpu", "/dev/nvidia"), ("ascend", "/dev/davinci")])
def test_a_back_end_that_is_not_here_never_becomes_another(backend, device):
    done = command("./run.sh", "--backend", backend)
    assert done.returncode == 3
    assert_refused(done, 3, f"--backend {backend}", f"no {device}")
    assert not done.stdout


def test_without_mpi4py(tmp_path):
    """The interpreter that .venv was made from, with all of .venv's packages but mpi4py."""
    for package in (ROOT / ".venv" / "lib" / "python3.7" / "site-packages").iterdir():
        if "mpi4py" not in package.name:
            (tmp_path / package.name).symlink_to(package)
    python = command(sys.executable, "-c", "import sys; print(sys.base_prefix)").stdout.strip() + "/bin/python3.7"
    done = command(python, "-S", "main.py", "--backend=cpu", f"--model_path={MODEL}", PYTHONPATH=str(tmp_path))
    assert_refused(done, 3, "mpi4py", "pip install")


def test_an_mpirun_of_another_mpi_is_found_out():
    mpirun = ROOT / ".venv" / "mpich" / "bin" / "mpirun"
    done = command(mpirun, "-n", "2", sys.executable, "main.py", "--backend=cpu", f"--model_path={MODEL}")
    assert done.returncode == 3
    assert len(lines(done.stderr)) <= 2  # such ranks don't know of each other
    assert all(re.search("2 ranks.* sees 1: .*Open MPI", line) for line in lines(done.stderr))


def test_one_rank_needs_no_mpirun():
    done = command(sys.executable, "main.py", f"--model_path={FIXTURES / 'skip' / '1' / 'Net.mindir'}")
    assert done.returncode == 0, done.stderr
    assert "check: PASS" in done.stdout
    assert_refused(command(sys.executable, "main.py", f"--model_path={MODEL}"), 2, "2 shards", "1 rank")


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
    done = ranks(2, "-c", FOREIGN.replace("STATUS", status), f"--model_path={model}", PYTHONPATH=str(ROOT))
    assert done.returncode == 1
    assert re.search("^rank 1: .*predict failed!$", done.stderr, re.M)
    assert "Traceback" in done.stderr
    assert time.monotonic() - start < 60  # the limit of a hang, not of speed


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
    done = ranks(2, "-c", DIFFERENT, model, PYTHONPATH=str(ROOT))
    assert_refused(done, 2, "rank 1", "input x")
    assert "--input" not in done.stderr


def test_different_inputs_are_found_out_by_main(model, tmp_path):
    """Rank 1 finds another file under the same name."""
    program = "import os; os.chdir(os.environ['OMPI_COMM_WORLD_RANK']); import main, ranks; ranks.run(main.main)"
    for rank in (0, 1):
        (tmp_path / str(rank)).mkdir()
        np.save(str(tmp_path / str(rank) / "x.npy"), np.full((4, 256), rank, np.float32))
    done = ranks(2, "-c", program, f"--model_path={model}", "--input=x.npy", cwd=tmp_path, PYTHONPATH=str(ROOT))
    assert_refused(done, 2, "rank 1", "input x")


def test_a_stage_that_does_not_build_is_named_and_nothing_stays(model):
    """An operator that this engine doesn't have."""
    temporary = model.parent / "temporary"
    temporary.mkdir()
    path = str(model.parent / "Matmul1.mindir")
    message = mindir.load(path).model
    next(each for each in message.primitives if each.op_type == "MatMul").op_type = "NoSuchOperator"
    (model.parent / "Matmul1.mindir").write_bytes(message.SerializeToString())
    done = run_main(2, model, TMPDIR=str(temporary))
    assert done.returncode == 1
    assert re.match("rank 1: .*Matmul1.mindir.* step 1 of 3", lines(done.stderr)[-1])
    assert not [each for each in temporary.iterdir() if each.name.startswith("stages-")]


def test_a_reference_that_does_not_build_is_named(model):
    message = mindir.load(str(model)).model
    next(each for each in message.primitives if each.op_type == "MatMul").op_type = "NoSuchOperator"
    model.write_bytes(message.SerializeToString())
    done = run_main(2, model)
    assert done.returncode == 1
    assert re.match("rank 0: .*Matmul.mindir: ", lines(done.stderr)[-1])


def test_an_output_goes_where_a_link_points(model, tmp_path):
    (tmp_path / "link.json").symlink_to(tmp_path / "real.json")
    assert run_main(2, model, "--json", tmp_path / "link.json").returncode == 0
    assert (tmp_path / "link.json").is_symlink()
    assert json.loads((tmp_path / "real.json").read_text())["check"]["result"] == "PASS"


def test_a_launcher_that_says_nothing_is_believed(model):
    """As srun with PMIx: mpi4py knows the ranks, the environment doesn't."""
    hidden = ("env", "-u", "OMPI_COMM_WORLD_SIZE", "-u", "OMPI_COMM_WORLD_RANK", sys.executable)
    mpirun = Path(sys.executable).with_name("mpirun")
    done = command(mpirun, "--quiet", "--oversubscribe", "-n", "2", *hidden, "main.py", f"--model_path={model}")
    assert done.returncode == 0, done.stderr
    assert "rank 1: tensor's name is:" in done.stdout


def test_an_output_goes_into_a_device_or_pipe_that_is_there(tmp_path):
    from suite import files

    pipe = tmp_path / "pipe"
    os.mkfifo(str(pipe))
    files.check_writable(str(pipe))
    files.check_writable("/dev/null")
    reader = subprocess.Popen(["cat", str(pipe)], stdout=subprocess.PIPE)
    files.write(str(pipe), lambda file: file.write(b"whole"))
    assert reader.communicate()[0] == b"whole"
    assert stat.S_ISFIFO(pipe.stat().st_mode)
    files.write("/dev/null", lambda file: file.write(b"whole"))
    assert stat.S_ISCHR(os.stat("/dev/null").st_mode)


def test_a_report_on_stdout_comes_between_the_lines(model, tmp_path):
    """Whether that is a pipe or a file, and nothing of either is lost."""
    done = run_main(2, model, "--json=/dev/stdout", "--output=/dev/null")
    assert done.returncode == 0, done.stderr
    with open(str(tmp_path / "out"), "wb") as out:
        words = (
            sys.executable,
            "main.py",
            "--json=/dev/stdout",
            f"--model_path={FIXTURES / 'skip' / '1' / 'Net.mindir'}",
        )
        assert subprocess.call([str(word) for word in words], stdout=out, cwd=str(ROOT), env=ENVIRONMENT) == 0
    for text, count in ((done.stdout, 5), ((tmp_path / "out").read_text(), 3)):
        report = text[text.index("{") : text.rindex("}") + 1]
        assert json.loads(report)["check"]["result"] == "PASS"
        assert len(lines(text.replace(report, ""))) == count


def test_an_output_keeps_its_mode_and_is_whole_or_as_it_was(tmp_path):
    import ranks as page_ranks
    from suite import files

    output, new = tmp_path / "out.npz", tmp_path / "new"
    output.write_bytes(b"before")
    output.chmod(0o640)

    def broken(file):
        file.write(b"half")
        raise OSError(28, "No space left on device")

    with pytest.raises(page_ranks.Stop):
        files.write(str(output), broken)
    assert output.read_bytes() == b"before"
    files.write(str(output), lambda file: file.write(b"after"))
    assert (output.read_bytes(), stat.S_IMODE(output.stat().st_mode)) == (b"after", 0o640)
    mask = os.umask(0o027)
    try:
        files.write(str(new), lambda file: file.write(b"new"))
    finally:
        os.umask(mask)
    assert stat.S_IMODE(new.stat().st_mode) == 0o640
    assert sorted(path.name for path in tmp_path.iterdir()) == ["new", "out.npz"]


def test_a_temporary_name_that_is_a_link_is_not_followed(tmp_path, monkeypatch):
    """Even where somebody guesses it."""
    import ranks as page_ranks
    from suite import files

    monkeypatch.setattr(files.secrets, "token_hex", lambda count: "guessed")
    (tmp_path / "theirs").write_bytes(b"theirs")
    (tmp_path / "out.npz.guessed.tmp").symlink_to(tmp_path / "theirs")
    with pytest.raises(page_ranks.Stop):
        files.write(str(tmp_path / "out.npz"), lambda file: file.write(b"mine"))
    assert (tmp_path / "theirs").read_bytes() == b"theirs"


def test_ascends_ranks_look_at_all_shards(model):
    """They can't ask each other, so each reads the others' files."""
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


# the check has to fail


def weights_changed(path, change):
    """Change the values of the file's parameter."""
    message = mindir.load(str(path)).model
    (tensor,) = message.graph.parameter
    tensor.raw_data = change(np.frombuffer(tensor.raw_data, np.float32)).astype(np.float32).tobytes()
    path.write_bytes(message.SerializeToString())


@pytest.mark.parametrize(
    "change, text",
    [
        (lambda values: values + 1e-4, "output 0"),
        (lambda values: np.where(np.arange(values.size) == 77, np.nan, values), "output 0 has 4 values"),
        (lambda values: values[::-1], "output 0"),
    ],
    ids=["offset", "NaN", "order"],
)
def test_a_wrong_shard_fails_the_check(model, tmp_path, change, text):
    weights_changed(model.parent / "Matmul1.mindir", change)
    done = run_main(2, model, "--json", tmp_path / "report.json")
    assert done.returncode == 4
    assert "check: FAIL" in done.stdout.splitlines()[-1]
    assert len(lines(done.stderr)) == 1
    assert text in done.stderr
    assert json.loads((tmp_path / "report.json").read_text())["check"]["result"] == "FAIL"


def test_a_wrong_reference_fails_the_check_too(model):
    weights_changed(model, lambda values: np.full_like(values, np.nan))
    done = run_main(2, model)
    assert done.returncode == 4
    assert "unsharded model has 512 values" in done.stderr


def test_the_same_shard_twice_fails_the_check(model):
    shutil.copy(str(model.parent / "Matmul0.mindir"), str(model.parent / "Matmul1.mindir"))
    assert run_main(2, model).returncode == 4


def test_what_is_not_finite_on_both_sides_is_not_called_a_wrong_result(model, tmp_path):
    """Inf in an input, and an overflow in the product."""
    for name, x in (("inf", np.full((4, 256), np.inf)), ("overflow", np.full((4, 256), 3e38))):
        np.save(str(tmp_path / f"{name}.npy"), x.astype(np.float32))
        done = run_main(2, model, "--input", tmp_path / f"{name}.npy")
        assert_refused_result(done, "not finite on both sides")


def assert_refused_result(done, text):
    assert done.returncode == 4, done.stderr
    assert len(lines(done.stderr)) == 1
    assert text in done.stderr
    assert "the result isn't" not in done.stderr
    assert "check: FAIL" in done.stdout


def test_a_constant_that_the_converter_folds_crashes_nobody_at_the_end():
    """mindspore_lite 2.0.0 ended with SIGSEGV, after `check: PASS`: the net adds the first rows of a parameter."""
    done = command("./run.sh", "--backend=cpu", f"--model_path={FIXTURES / 'folded' / 'Net.mindir'}")
    assert done.returncode == 0, done.stderr
    assert "check: PASS" in done.stdout
