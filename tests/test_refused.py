"""What can't be right is refused before anything starts: one line, and its exit status."""

import os
import re
import shutil
import subprocess
import sys
import zipfile

import numpy as np
import pytest
from conftest import ENVIRONMENT, MODEL, ROOT, assert_refused, command, lines, run_main
from test_main import FIXTURES


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
    assert_refused(run_main(2, model), 2, "Matmul.mindir", "float32 (12, 8)", "float32 (4, 256)")


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
    assert "ERROR" not in done.stderr  # that is the engine's own message


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
        (["--precision=fp16"], ["--precision", "gpu", "cpu"]),
    ],
)
def test_wrong_arguments(words, texts):
    assert_refused(run_main(2, MODEL, *words), 2, *texts)


def test_run_sh_refuses_wrong_arguments():
    assert_refused(command("./run.sh", PYTHON="/nonexistent"), 3, "/nonexistent")
    python = "/usr/bin/python3"  # the system's Python, which isn't 3.7 and has no mindspore_lite
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
    assert len(lines(done.stderr)) <= 2  # such ranks don't know about each other
    assert all(re.search("2 ranks.* sees 1: .*Open MPI", line) for line in lines(done.stderr))
