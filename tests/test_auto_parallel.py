"""models/auto_parallel.py: MindSpore splits nets by itself, with the compile-only device double, and they run."""

import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from conftest import ENVIRONMENT, ROOT, assert_refused, command, lines, run_main

import mindir

sys.path.append(str(ROOT / "models"))
import device_double

PYTHON = ROOT / ".venv-export" / "bin" / "python"
NETS = ROOT / "tests" / "split_nets.py"
COLLECTIVES = {"AllReduce", "AllGather", "ReduceScatter", "Broadcast", "AlltoAll", "Send", "Receive"}


def split(net, path, *words, shape=("8,64",), count=2, start=PYTHON, scripts=ROOT, **options):
    """Run auto_parallel.py on a function of split_nets.py, or on FILE.py:FUNCTION."""
    source = net if ":" in net else f"{NETS}:{net}"
    inputs = ("--input", *shape, "--ranks", count, "--output", path)
    return command(start, scripts / "models" / "auto_parallel.py", source, *inputs, *words, **options)


def files(path):
    return sorted(each.name for each in path.parent.iterdir())


def weights(path):
    """Return {name: array} of a MindIR's float32 parameters."""
    parameters = mindir.load(str(path)).model.graph.parameter
    return {
        each.name.split(":")[-1]: np.frombuffer(each.raw_data, np.float32).reshape(list(each.dims))
        for each in parameters
    }


def groups(path):
    """Return [(collective, ranks of its group, or None where it is all)] of a shard, sorted."""
    found = []
    for primitive in mindir.load(str(path)).model.primitives:
        if primitive.op_type in COLLECTIVES:
            said = {each.name: each for each in primitive.attribute}
            key = "group_ranks" if "group_ranks" in said else "group"
            text = said[key].s.decode()
            everyone = text in ("WORLD_GROUP", "nccl_world_group")
            found.append((primitive.op_type, None if everyone else text))
    return sorted(found, key=str)


def agrees(path, count, **arrays):
    """Run the shards on CPU ranks with these inputs, random by default; they have to agree with the unsharded net."""
    given = path.with_name("in.npz")
    np.savez(str(given), **arrays)
    done = run_main(count, path, "--input", given, "--output", path.with_name("out.npz"), "--check=on", timeout=280)
    assert done.returncode == 0, done.stderr
    assert "check: PASS" in done.stdout
    print(lines(done.stdout)[-1])
    (found,) = np.load(str(path.with_name("out.npz"))).values()
    assert found.std() > 1e-3  # constants would agree, too
    return found


def x(*shape):
    return np.random.RandomState(1).standard_normal(shape).astype(np.float32)


# The double


def test_every_function_of_the_double_that_is_not_listed_ends_the_process_with_its_name():
    """All of them, each called in a process of its own; and answers.json has no line without a function or a reason."""
    program = """
import ctypes, os, re, signal, sys
sys.path.insert(0, "models")
import device_double
folder = device_double.build()
device_double.load(folder)
double = ctypes.CDLL(folder + "/libdevice_double.so")
count = ctypes.c_int()
assert double.cudaGetDeviceCount(ctypes.byref(count)) == 0 and count.value > 0
rules = [re.compile(each[0]) for each in device_double.answers()]
functions, _ = device_double.wanted(device_double.plugin())
assert all(any(rule.fullmatch(name) for name in functions) for rule in rules)
assert all(each[3] for each in device_double.answers())
refused = [name for name in functions if not any(rule.fullmatch(name) for rule in rules)]
for name in refused:
    child = os.fork()
    if not child:
        getattr(double, name)()
        os._exit(0)
    assert os.waitpid(child, 0)[1] & 0x7F == signal.SIGABRT, name
print(*refused)
"""
    done = command(PYTHON, "-c", program)
    assert done.returncode == 0, done.stderr
    refused = done.stdout.split()
    assert [line.split()[2] for line in lines(done.stderr)] == refused
    assert all(line.startswith(device_double.PREFIX) for line in lines(done.stderr))
    running = """cudaLaunchKernel cuLaunchKernel cudaMemcpy cudaMemcpyAsync cudaMemset cublasGemmEx cudnnSoftmaxForward
        cudnnConvolutionForward curandGenerateNormal ncclAllReduce ncclAllGather ncclSend ncclRecv"""
    assert set(running.split()) <= set(refused)


# Splits


@pytest.fixture(scope="module")
def random(tmp_path_factory):
    path = tmp_path_factory.mktemp("random") / "Net.mindir"
    done = split("random", path)
    assert done.returncode == 0, done.stderr
    assert not done.stderr
    return path


def test_a_split_net_agrees_with_the_unsharded_one(random):
    assert files(random) == ["Net.mindir", "Net0.mindir", "Net1.mindir"]
    assert {each.stat().st_mode & 0o777 for each in random.parent.iterdir()} == {0o644}
    found = groups(random.with_name("Net0.mindir"))
    assert found == groups(random.with_name("Net1.mindir"))
    assert {group for _, group in found} == {None}
    agrees(random, 2, x=x(8, 64))


def test_random_weights_are_the_unsharded_nets_on_all_ranks(random):
    """Of initialisers that wait, of set_data, of NumPy, and of a generator that no seed reaches."""
    whole = weights(random)
    assert {"lazy", "numpy", "unseeded", "replaced.weight", "replaced.bias"} <= set(whole)
    parts = [weights(random.with_name(f"Net{rank}.mindir")) for rank in range(2)]
    for name, array in whole.items():
        assert array.std() > 0 or name == "replaced.bias"
        mine = [part[name] for part in parts]
        if mine[0].shape == array.shape:
            assert np.array_equal(mine[0], array), name
            assert np.array_equal(mine[1], array), name
            continue
        axis = next(axis for axis in range(array.ndim) if mine[0].shape[axis] != array.shape[axis])
        assert np.array_equal(np.concatenate(mine, axis), array), name


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["recursive_programming", "dynamic_programming", "sharding_propagation"])
@pytest.mark.parametrize("count", [2, 4])
def test_mindspores_searches_split_unchanged_layers(tmp_path, mode, count):
    path = tmp_path / "Net.mindir"
    done = split("examples/split_dense.py:make_net", path, "--mode", mode, count=count)
    assert done.returncode == 0, done.stderr
    found = [groups(tmp_path / f"Net{rank}.mindir") for rank in range(count)]
    print(found[0])
    assert len(files(path)) == count + 1
    agrees(path, count, input_data=x(8, 64))


@pytest.mark.slow
def test_an_attention_block_by_strategies_on_a_mesh_of_2_x_2(tmp_path):
    path = tmp_path / "Net.mindir"
    mesh = "examples/split_attention.py:make_net"
    done = split(mesh, path, "--mode=semi_auto_parallel", shape=["4,16,64"], count=4)
    assert done.returncode == 0, done.stderr
    rows, columns = ("0-1", "0-1", "2-3", "2-3"), ("0-2", "1-3", "0-2", "1-3")
    for rank in range(4):
        shard = tmp_path / f"Net{rank}.mindir"
        assert groups(shard) == [("AllGather", columns[rank]), ("AllReduce", rows[rank])]
        assert {name: array.shape for name, array in weights(shard).items() if name.endswith("weight")} == {
            "query.weight": (32, 64), "key.weight": (32, 64), "value.weight": (32, 64), "output.weight": (64, 32),
        }  # fmt: skip
    agrees(path, 4, x=x(4, 16, 64))


@pytest.mark.slow
@pytest.mark.parametrize("net, count", [("pipeline", 2), ("pipeline_of_pairs", 4)])
def test_a_pipeline(tmp_path, net, count):
    path = tmp_path / "Net.mindir"
    done = split(net, path, "--mode=semi_auto_parallel", "--pipeline_stages=2", count=count)
    assert done.returncode == 0, done.stderr
    for rank in range(count):
        shard = tmp_path / f"Net{rank}.mindir"
        mine, other = ("first", "last") if rank < count // 2 else ("last", "first")
        names = [name for name, _ in groups(shard)]
        assert ("Send" in names, "Receive" in names) == (mine == "first", mine == "last")
        assert f"{mine}.weight" in weights(shard)
        assert f"{other}.weight" not in weights(shard)
    agrees(path, count, x=x(8, 64))


@pytest.mark.slow
def test_weights_from_a_checkpoint(tmp_path):
    """Saved by one seed, loaded by nets that are built with another."""
    program = f"""
import sys
sys.path.insert(0, {str(NETS.parent)!r})
import mindspore as ms, split_nets
ms.set_seed(5)
ms.save_checkpoint(split_nets.dense(), sys.argv[1])
"""
    saved, path = tmp_path / "saved.ckpt", tmp_path / "Net.mindir"
    assert command(PYTHON, "-c", program, saved).returncode == 0
    done = split("checkpoint", path, "--seed=6", CHECKPOINT=str(saved))
    assert done.returncode == 0, done.stderr
    read = (
        "import sys, mindspore as ms; print(ms.load_checkpoint(sys.argv[1])['0.weight'].asnumpy().ravel()[:4].tolist())"
    )
    first = command(PYTHON, "-c", read, saved).stdout
    assert np.array_equal(weights(path)["0.weight"].ravel()[:4], np.float32(eval(first)))
    agrees(path, 2, input_data=x(8, 64))


@pytest.mark.slow
@pytest.mark.parametrize("count", [2, 4])
def test_resnet_18_of_mindcv(tmp_path, count):
    path = tmp_path / "Net.mindir"
    done = split("resnet18", path, shape=["4,3,64,64"], count=count)
    assert done.returncode == 0, done.stderr
    found = [groups(tmp_path / f"Net{rank}.mindir") for rank in range(count)]
    print(found[0])
    assert all(found)
    agrees(path, count, x=x(4, 3, 64, 64))


@pytest.mark.slow
def test_minilm_split_by_mindspores_search_is_that_of_transformers(tmp_path):
    path = tmp_path / "Net.mindir"
    done = split("examples/split_minilm.py:make_net", path, shape=["int32:50,128", "int32:50,128"], timeout=280)
    assert done.returncode == 0, done.stderr
    print(groups(tmp_path / "Net0.mindir"))
    expected = np.load(str(ROOT / "tests" / "fixtures" / "minilm" / "expected.npz"))
    arrays = {name: np.pad(expected[name], ((0, 0), (0, 80)), "constant") for name in ("input_ids", "attention_mask")}
    found = agrees(path, 2, **arrays)
    error = np.max(np.abs(found - expected["embeddings"]))
    print(f"max difference {error:.1e}")
    assert error <= 1e-5


# From a program


PROGRAM = """
import sys
sys.path.insert(0, {models!r})
import mindspore as ms
import numpy as np
from mindspore import nn
from auto_parallel import export_split

def make_net():
    return nn.SequentialCell(nn.Dense(64, 256), nn.ReLU(), nn.Dense(256, 64))

{guard}
    export_split({net}, [ms.Tensor(np.ones((8, 64), np.float32))], ranks=2, path={path!r})
"""


def program(tmp_path, net="make_net", guard='if __name__ == "__main__":'):
    script = tmp_path / "program.py"
    text = PROGRAM.format(models=str(ROOT / "models"), guard=guard, net=net, path=str(tmp_path / "Net.mindir"))
    script.write_text(text, encoding="utf-8")
    return command(PYTHON, script)


@pytest.mark.slow
def test_from_a_program_of_ones_own(tmp_path):
    done = program(tmp_path)
    assert done.returncode == 0, done.stderr
    agrees(tmp_path / "Net.mindir", 2, input_data=x(8, 64))


def test_a_function_that_no_rank_could_import_is_refused(tmp_path):
    done = program(tmp_path, net="lambda: make_net()")
    assert done.returncode == 1
    assert "Stop: make_net is '<lambda>'" in lines(done.stderr)[-1]
    assert files(tmp_path / "Net.mindir") == ["program.py"]


def test_a_program_that_each_rank_would_start_anew_is_refused(tmp_path):
    done = program(tmp_path, guard="if True:")
    assert done.returncode == 1
    assert 'if __name__ == "__main__":' in lines(done.stderr)[-1]
    assert files(tmp_path / "Net.mindir") == ["program.py"]


# What can't be


@pytest.fixture
def before(tmp_path):
    """An earlier set, which has to be left alone."""
    for name in ("Net.mindir", "Net0.mindir", "Net1.mindir", "Net2.mindir"):
        (tmp_path / name).write_text(name, encoding="utf-8")
    yield tmp_path / "Net.mindir"
    assert files(tmp_path / "Net.mindir") == ["Net.mindir", "Net0.mindir", "Net1.mindir", "Net2.mindir"]
    assert all(each.read_text(encoding="utf-8") == each.name for each in tmp_path.iterdir())


@pytest.mark.parametrize(
    "net, options, words, texts",
    [
        ("none.py:make_net", {}, [], ["none.py: no such file"]),
        ("make_net", {"net": "x"}, [], ["no such function"]),
        ("dense", {"count": 1}, [], ["1 ranks", "at least 2"]),
        ("dense", {"count": 4}, ["--pipeline_stages=3"], ["3 pipeline stages, 4 ranks"]),
        ("dense", {"shape": ["8x64"]}, [], ["--input 8x64"]),
        ("dense", {"shape": ["float33:8,64"]}, [], ["--input float33:8,64"]),
    ],
)
def test_arguments_that_cannot_be_right(before, net, options, words, texts):
    if options.pop("net", ""):
        done = split(f"{NETS}:none", before, *words)
        assert done.returncode == 1
        assert "none" in lines(done.stderr)[-1]
        return
    assert_refused(split(net, before, *words, **options), 2, *texts)


@pytest.mark.parametrize("name", ["Net.onnx", "none/Net.mindir", "a b.mindir", "Net{rank}.mindir"])
def test_paths_that_cannot_be_written(tmp_path, name):
    assert_refused(split("dense", tmp_path / name), 2, name)
    assert not list(tmp_path.iterdir())


def test_a_net_that_cannot_be_built(before):
    assert_refused(split("broken", before), 1, "the unsharded net: KeyError", "no such layer")


def test_without_mindspore(before):
    """Where it is to go on, as in the ranks' environment and in the system's Python, which may have no NumPy either."""
    for start in (sys.executable, shutil.which("python3", path="/usr/bin:/usr/local/bin")):
        if start:
            done = split("dense", before, start=start, SPLIT_ENVIRONMENT="1")
            assert_refused(done, 3, "no MindSpore for", "requirements-export.txt")


def test_another_python_goes_on_in_the_environment_of_its_own(scripts, before):
    """The one that is here is MindSpore 2.0.0's, under the name and with the mark of one that was made."""
    made = scripts / ".venv-split"
    made.mkdir()
    for name in ("bin", "lib", "pyvenv.cfg"):
        (made / name).symlink_to(PYTHON.parent.parent / name)
    for name in ("run.sh", "requirements-export.txt"):
        shutil.copy(str(ROOT / name), str(scripts))
    shutil.copy(str(ROOT / "requirements-export.txt"), str(made / "installed"))
    done = split("dense", before, "--timeout=1", start=sys.executable, scripts=scripts)
    assert done.returncode == 124 and "exporting" in done.stdout, done.stderr


def test_an_environment_that_cannot_be_made(scripts, before):
    (scripts / "run.sh").write_text("environment() { return 1; }; find_python37() { echo python3; }")
    done = split("dense", before, start=sys.executable, scripts=scripts)
    assert_refused(done, 3, ".venv-split", "2.0.0")


@pytest.fixture
def scripts(tmp_path_factory):
    """The scripts in a folder of their own, where the double isn't built yet."""
    folder = tmp_path_factory.mktemp("scripts")
    shutil.copytree(
        str(ROOT / "models"), str(folder / "models"), ignore=shutil.ignore_patterns("built", "*.mindir", "*.whl")
    )
    shutil.copy(str(ROOT / "ranks.py"), str(folder))
    shutil.copytree(str(ROOT / "suite"), str(folder / "suite"))
    return folder


def test_without_a_compiler(before, scripts):
    assert_refused(split("dense", before, scripts=scripts, PATH=str(PYTHON.parent)), 3, "no gcc")
    broken = scripts / "bin"
    broken.mkdir()
    (broken / "gcc").write_text("#!/bin/sh\necho no headers here >&2\nexit 1\n", encoding="utf-8")
    (broken / "gcc").chmod(0o755)
    done = split("dense", before, scripts=scripts, PATH=f"{broken}:{ENVIRONMENT['PATH']}")
    assert_refused(done, 3, "status 1", "no headers here")
    assert not list((scripts / "models" / "device_double" / "built").iterdir())


@pytest.mark.slow
@pytest.mark.parametrize(
    "net, words, status, texts",
    [
        (
            "uneven",
            ["--mode=semi_auto_parallel"],
            1,
            ["rank ", "RuntimeError", "64 cannot be divisible by strategy value 3"],
        ),
        ("fails_on_rank_1", [], 1, ["rank 1: KeyError", "no such layer here"]),
        ("other_on_ranks", [], 1, ["ValueError: parameter"]),
        ("runs_on_the_device", [], 1, ["device double: cuda"]),
        ("crashing", [], 1, ["MindSpore crashed (SIG", "--mode"]),
        ("hangs", ["--timeout=5"], 124, ["5.0 s"]),
    ],
)
def test_a_net_that_cannot_be_split(before, net, words, status, texts):
    done = split(net, before, *words)
    assert_refused(done, status, *texts)
    print(done.stderr)
    log = done.stderr.split("all that was said: ")[1].strip().rstrip(")")
    with open(log, encoding="utf-8", errors="replace") as file:
        assert status == 124 or file.read()


def started(net, path):
    """Start auto_parallel.py; return its process when the net is being built."""
    words = ("--input", "8,64", "--ranks", "2", "--output", path)
    start = [PYTHON, ROOT / "models" / "auto_parallel.py", f"{NETS}:{net}", *words]
    process = subprocess.Popen([str(word) for word in start], env=ENVIRONMENT, stderr=subprocess.PIPE)
    while not running(path, "split_rank.py") or net == "hangs_on_ranks" and not running(path, "mpirun"):
        assert process.poll() is None
        time.sleep(0.1)
    return process


def running(path, name):
    """Return the processes with this name in their command line that work for the path."""
    return command("pgrep", "-f", f"{name}.*{path.parent}").stdout


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("net", ["hangs", "hangs_on_ranks"])
def test_one_that_is_ended_leaves_nothing(before, net, number):
    """By a signal, as `kill` or Ctrl-C sends it, while the unsharded net is exported or the ranks are at work."""
    process = started(net, before)
    process.send_signal(number)
    process.communicate(timeout=60)
    assert process.returncode == (130 if number == signal.SIGINT else 143)
    assert not running(before, "split_rank.py")


@pytest.mark.slow
@pytest.mark.parametrize("net", ["hangs", "hangs_on_ranks"])
def test_one_that_is_killed_leaves_no_process(tmp_path, net):
    process = started(net, tmp_path / "Net.mindir")
    process.kill()
    process.communicate(timeout=60)
    end = time.monotonic() + 20
    while running(tmp_path / "Net.mindir", "split_rank.py"):
        assert time.monotonic() < end
        time.sleep(0.1)
