"""models/auto_parallel.py: MindSpore splits nets by itself, with the compile-only device double, and they run."""

import sys

import numpy as np
import pytest
from conftest import ROOT, command, lines
from split_runs import NETS, PYTHON, assert_agrees, files, groups, random_array, split, weights

sys.path.append(str(ROOT / "models"))
import device_double

# The double


def test_every_function_of_the_double_that_is_not_listed_ends_the_process_with_its_name():
    """Each is called in its own process; and every line of answers.json has a function and a reason."""
    program = """
import ctypes, os, re, signal, sys
sys.path.insert(0, "models")
import device_double
folder = device_double.build()
device_double.load(folder)
double = ctypes.CDLL(folder + "/libdevice_double.so")
count = ctypes.c_int()
assert double.cudaGetDeviceCount(ctypes.byref(count)) == 0 and count.value > 0
rules = [re.compile(row[0]) for row in device_double.read_answers()]
functions, _ = device_double.needed_symbols(device_double.find_plugin())
assert all(any(rule.fullmatch(name) for name in functions) for rule in rules)
assert all(row[3] for row in device_double.read_answers())
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
    assert {file.stat().st_mode & 0o777 for file in random.parent.iterdir()} == {0o644}
    found = groups(random.with_name("Net0.mindir"))
    assert found == groups(random.with_name("Net1.mindir"))
    assert {group for _, group in found} == {None}
    assert_agrees(random, 2, x=random_array(8, 64))


def test_random_weights_are_the_unsharded_nets_on_all_ranks(random):
    """Weights from delayed initialisers, set_data, NumPy, and a generator that no seed controls."""
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
    assert_agrees(path, count, input_data=random_array(8, 64))


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
    assert_agrees(path, 4, x=random_array(4, 16, 64))


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
    assert_agrees(path, count, x=random_array(8, 64))


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
    assert_agrees(path, 2, input_data=random_array(8, 64))


@pytest.mark.slow
@pytest.mark.parametrize("count", [2, 4])
def test_resnet_18_of_mindcv(tmp_path, count):
    path = tmp_path / "Net.mindir"
    done = split("resnet18", path, shape=["4,3,64,64"], count=count)
    assert done.returncode == 0, done.stderr
    found = [groups(tmp_path / f"Net{rank}.mindir") for rank in range(count)]
    print(found[0])
    assert all(found)
    assert_agrees(path, count, x=random_array(4, 3, 64, 64))


def test_the_nets_in_examples_can_be_imported():
    """Splitting them takes longer."""
    done = command(PYTHON, "-c", "import split_minilm; print(split_minilm.make_net.__name__)", cwd=ROOT / "examples")
    assert done.stdout == "make_net\n", done.stderr


@pytest.mark.slow
def test_minilm_split_by_mindspores_search_is_that_of_transformers(tmp_path):
    path = tmp_path / "Net.mindir"
    done = split("examples/split_minilm.py:make_net", path, shape=["int32:50,128", "int32:50,128"], timeout=280)
    assert done.returncode == 0, done.stderr
    print(groups(tmp_path / "Net0.mindir"))
    expected = np.load(str(ROOT / "tests" / "fixtures" / "minilm" / "expected.npz"))
    arrays = {name: np.pad(expected[name], ((0, 0), (0, 80)), "constant") for name in ("input_ids", "attention_mask")}
    found = assert_agrees(path, 2, **arrays)
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
    assert_agrees(tmp_path / "Net.mindir", 2, input_data=random_array(8, 64))


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
