"""The pages to copy: each in a folder with what it needs and nothing else, started by the tutorial's command."""

import re
import shutil
import sys

import numpy as np
import pytest
from ascend_server import PAGE as ASCEND
from ascend_server import SHARED, Server, finished
from conftest import MODEL, ROOT, command, lines, run_ranks

CPU, GPU = "cpu_mpi_distributed.py", "gpu_trt_distributed.py"
NEEDS = {CPU: ("ranks.py", "mindir", "suite"), GPU: ("ranks.py",), ASCEND: ("ranks.py",)}
NEEDS[SHARED] = ("ranks.py", "mindir", ASCEND)
GPU_PACKAGES = ROOT / ".venv" / "gpu" / "lib" / "python3.7" / "site-packages"
ARRAYS = [np.random.RandomState(seed).standard_normal((4, 256)).astype(np.float32) for seed in range(20)]
ONES = np.ones((4, 256), np.float32)


def weight():
    import mindir

    tensor = mindir.load(str(MODEL)).model.graph.parameter[0]
    return np.frombuffer(tensor.raw_data, np.float32).reshape(256, 128).astype(np.float64)


def right(x, found):
    """Return whether these are the product's first values."""
    expected = (x.astype(np.float64) @ weight()).ravel()
    found = np.asarray(found, np.float64)
    return np.max(np.abs(found - expected[: len(found)])) <= 1e-5 * np.max(np.abs(expected))


def values(line):
    return [float(number) for number in line.split("output data is: ")[1].split()]


@pytest.fixture
def copied(tmp_path):
    """A function that returns a new folder with a page, what it needs, and the shards."""

    def copy(page):
        folder = tmp_path / "mine"
        (folder / "models").mkdir(parents=True)
        for name in (page, *NEEDS[page]):
            if (ROOT / name).is_dir():
                shutil.copytree(str(ROOT / name), str(folder / name), ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy(str(ROOT / name), str(folder))
        for number in ("", "0", "1"):
            shutil.copy(str(MODEL.with_name(f"Matmul{number}.mindir")), str(folder / "models"))
        return folder

    return copy


def with_arrays(page):
    """Use the page's second way to set inputs, in a loop over 20 of them."""
    text, count = re.subn(r"# (inputs = ranks\.fill\()", r"\1", page.read_text(encoding="utf-8"))
    assert count == 1
    head, body = text.split("    inputs = ranks.fill", 1)
    body, end = body.split("\n\n\n", 1)
    loop = f"    for seed in range({len(ARRAYS)}):\n"
    array = "np.random.RandomState(seed).standard_normal((4, 256)).astype(np.float32)"
    body = f"        np_inputs = [{array}]\n        inputs = ranks.fill" + body.replace("\n    ", "\n        ")
    page.write_text(f"{head}{loop}{body}\n\n\n{end}", encoding="utf-8")


def started_on(server, folder, *words, ranks=(0, 1)):
    """Run Ascend's page on the double, which has the suite's mindir/ from elsewhere; return how they ended."""
    path = f"{server.environment['PYTHONPATH']}:{server.suite}"
    jobs = []
    for rank in ranks:
        given = f"--model_path=models/Matmul{rank}.mindir"
        jobs.append(server.start_page(rank, given, *words, cwd=folder, PYTHONPATH=path))
    return [finished(job) for job in jobs]


@pytest.fixture
def server(tmp_path):
    made = Server(tmp_path)
    made.write_table(2)
    made.suite = tmp_path / "elsewhere"
    made.suite.mkdir()
    for name in ("mindir", "ascend", "ranks.py"):
        (made.suite / name).symlink_to(ROOT / name)
    return made


def test_the_cpus_page_works_where_it_is_copied_to(copied):
    folder = copied(CPU)
    done = run_ranks(2, CPU, "--model_path=models/Matmul.mindir", cwd=folder)
    assert done.returncode == 0, done.stderr
    shown = lines(done.stdout)
    assert len(shown) == 4
    assert right(ONES, values(shown[1]))
    assert shown[1] == shown[3]


def test_the_cpus_page_loads_once_and_takes_20_inputs(copied):
    folder = copied(CPU)
    with_arrays(folder / CPU)
    done = run_ranks(2, CPU, "--model_path=models/Matmul.mindir", cwd=folder)
    assert done.returncode == 0, done.stderr
    shown = [values(line) for line in lines(done.stdout) if "output data" in line]
    for x in ARRAYS:
        assert sum(right(x, found) for found in shown) == 2  # one per rank


def test_ascends_page_works_where_it_is_copied_to(copied, server):
    folder = copied(ASCEND)
    for done in started_on(server, folder, f"--config_file={server.config}"):
        assert done.returncode == 0, done.stderr
        assert right(ONES, values(lines(done.stdout)[1]))


def test_ascends_page_loads_once_and_takes_20_inputs(copied, server):
    folder = copied(ASCEND)
    with_arrays(folder / ASCEND)
    for done in started_on(server, folder, f"--config_file={server.config}"):
        assert done.returncode == 0, done.stderr
        shown = [values(line) for line in lines(done.stdout) if "output data" in line]
        assert len(shown) == 20
        assert all(right(x, found) for x, found in zip(ARRAYS, shown))


def test_ascends_page_without_its_configuration_says_so_in_a_line(copied, server):
    folder = copied(ASCEND)
    (done,) = started_on(server, folder, "--config_file=none.ini", ranks=[1])
    assert done.returncode == 2
    assert len(lines(done.stderr)) == 1
    assert "none.ini" in done.stderr


def test_the_page_of_shared_weights_works_where_it_is_copied_to(copied, server):
    folder = copied(SHARED)
    server.write_table(1)
    fixture = ROOT / "tests" / "fixtures" / "shared" / "1"
    words = ("--model_path", fixture / "Net0.mindir", fixture / "Net0.mindir", f"--config_file={server.config}")
    path = f"{server.environment['PYTHONPATH']}:{server.suite}"
    done = finished(server.start_page(0, *words, script=SHARED, cwd=folder, PYTHONPATH=path))
    assert done.returncode == 0, done.stderr
    shown = lines(done.stdout)
    assert shown[: len(shown) // 2] == shown[len(shown) // 2 :]


def test_the_gpus_page_works_where_it_is_copied_to(copied):
    """With GPUs it prints the result; without them, it gets as far as the driver."""
    folder = copied(GPU)
    done = run_ranks(2, GPU, "--model_path=models/Matmul.mindir", cwd=folder, PYTHONPATH=str(GPU_PACKAGES), GLOG_v="4")
    if done.returncode == 0:
        assert len(lines(done.stdout)) == 4
    else:
        assert done.returncode == 3, done.stderr
        assert re.search("NVIDIA driver|no GPU", lines(done.stderr)[-1])


WALK = ("init context", "create Model and build Model", "set model input as ones", "execute inference")


@pytest.mark.parametrize("page", [CPU, GPU, ASCEND])
def test_a_page_has_the_tutorials_steps_and_leaves_its_process_as_it_is(page):
    text = (ROOT / page).read_text(encoding="utf-8")
    steps = re.findall(r"^    # (.+)$", text.split("def main():", 1)[1], re.M)
    assert [step for step in steps if step in (*WALK, "get output and print")] == [*WALK, "get output and print"]
    assert len(text.splitlines()) <= 125
    assert text.endswith('\n\n\nif __name__ == "__main__":\n    ranks.run(main)\n')
    assert f"python3 {page} --model_path=models/Matmul" in text


def test_the_cpus_page_changes_neither_malloc_nor_cores(tmp_path):
    """main.py does, but a page is copied into a process that isn't the suite's."""
    program = """
import ctypes, os, sys
import cpu_mpi_distributed as page
called, real = [], ctypes.CDLL
class Watched(real):
    def __getattr__(self, name):
        called.append(name)
        return super().__getattr__(name)
ctypes.CDLL = Watched
cores = os.sched_getaffinity(0)
page.main()
assert os.sched_getaffinity(0) == cores
assert "mallopt" not in called and "cudaHostRegister" not in called
"""
    done = run_ranks(2, "-c", program, f"--model_path={MODEL}", PYTHONPATH=str(ROOT))
    assert done.returncode == 0, done.stderr


def test_importing_the_model_brings_nothing_that_it_does_not_need():
    program = """
import sys
import suite.cpu_model
ours = {name for name in sys.modules if name.split(".")[0] in ("suite", "ascend", "launch", "main", "mpi4py")}
print(*sorted(ours))
"""
    done = command(sys.executable, "-c", program, PYTHONPATH=str(ROOT))
    needed = ["arrays", "cpu_model", "exchange", "files", "inputs", "kept", "pipeline", "reading", "same_server"]
    needed += ["stages", "tensors", "threads"]
    assert done.stdout.split() == ["suite", *(f"suite.{name}" for name in needed)]
