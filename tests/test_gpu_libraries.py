"""The GPU back end without a GPU: NVIDIA's libraries, the plug-in and mpirun are real; and the AllReduce rewrite."""

import shutil

import nets
import numpy as np
import pytest
from conftest import MODEL, ROOT, assert_refused, cards, lines, ranks

import mindir

FIXTURES = ROOT / "tests" / "fixtures"
GPU = ROOT / ".venv" / "gpu" / "lib" / "python3.7" / "site-packages"  # where tests/run.sh puts requirements-gpu.txt


SEEN = """
import inference, gpu_trt_distributed as gpu
comm = inference.world(gpu.MPI)
inference.together(comm, gpu.load_libraries)
context = gpu.mslite.Context()
context.target = ["gpu"]
for text in comm.allgather(f"{context.gpu.rank_id} of {context.gpu.group_size}"):
    if comm.rank == 0:
        print(text)
"""


@pytest.mark.parametrize("count", [1, 2, 3])
def test_the_plug_in_reads_the_launchers_ranks(count):
    done = ranks(count, "-c", SEEN, PYTHONPATH=f"{ROOT}:{GPU}", LD_LIBRARY_PATH="")
    assert done.returncode == 0, done.stderr
    assert lines(done.stdout) == [f"{rank} of {count}" for rank in range(count)]


def run_script(packages, count=2):
    """Start gpu_trt_distributed.py by hand, with these packages to find libraries in."""
    words = ("gpu_trt_distributed.py", f"--model_path={MODEL}")
    return ranks(count, *words, PYTHONPATH=str(packages), LD_LIBRARY_PATH="", GLOG_v="4")


@pytest.mark.parametrize(
    "folder, library",
    [("nvidia/cudnn", "libcudnn.so.8"), ("tensorrt", "libnvinfer.so.8"), ("nvidia/nccl", "libnccl.so.2")],
)
def test_a_missing_library_is_named_and_no_rank_runs_alone(tmp_path, folder, library):
    shutil.copytree(
        str(GPU), str(tmp_path / "packages"), symlinks=True, copy_function=lambda a, b: (tmp_path / b).symlink_to(a)
    )
    shutil.rmtree(str(tmp_path / "packages" / folder))
    done = run_script(tmp_path / "packages")
    assert_refused(done, 3, f"plug-in doesn't load: {library}: cannot open shared object file")


@pytest.mark.skipif(cards() > 0, reason="there is a GPU")
def test_no_driver_is_said():
    assert_refused(run_script(GPU), 3, "no NVIDIA driver here: libcuda.so.1: cannot open shared object file")


def test_the_group_size_must_be_the_launchers():
    """A plug-in that reads rank 0 of 1 (another MPI's, say) is found out: here the ranks are said to be 2."""
    program = """
import types, inference, gpu_trt_distributed as gpu
inference.world(gpu.MPI)
inference.run(gpu.create_context, types.SimpleNamespace(rank=0, size=2, Abort=__import__("sys").exit))
"""
    done = ranks(1, "-c", program, PYTHONPATH=f"{ROOT}:{GPU}", LD_LIBRARY_PATH="")
    assert_refused(done, 3, "reads rank 0 of 1, mpirun gave 0 of 2")


def test_gpu_options_are_refused_elsewhere():
    for word in ("--precision=fp16", "--engine_cache=/tmp/x"):
        assert_refused(
            ranks(2, "main.py", "--backend=cpu", f"--model_path={MODEL}", word), 2, "are for gpu, this is cpu"
        )


# AllReduce, which TensorRT's plug-in lacks


@pytest.mark.parametrize("name", ["mlp-all_reduce", "branches", "three_outputs", "skip", "shared"])
@pytest.mark.parametrize("count", [2, 3, 4])
def test_all_reduce_in_two_parts_is_the_same_model(tmp_path, name, count):
    for rank in range(count):
        shard = mindir.load(str(FIXTURES / name / str(count) / f"Net{rank}.mindir"))
        before = [each.op for each in shard.collectives]
        mindir.split_all_reduce(shard, count)
        path = tmp_path / f"Net{rank}.mindir"
        path.write_bytes(shard.model.SerializeToString())
        after = mindir.load(str(path))
        assert [each.op for each in after.collectives] == [
            part for op in before for part in (("ReduceScatter", "AllGather") if op == "AllReduce" else (op,))
        ]
        assert {each.ranks for each in after.collectives} == {count}
        assert after.outputs == shard.outputs or len(after.outputs) == len(shard.outputs)
    np.savez(str(tmp_path / "in.npz"), **nets.inputs(name))
    words = ("--backend=cpu", f"--model_path={tmp_path / 'Net.mindir'}", "--input", tmp_path / "in.npz")
    done = ranks(count, "main.py", *words, "--output", tmp_path / "out.npz")
    assert done.returncode == 0, done.stderr
    outputs = list(np.load(str(tmp_path / "out.npz")).values())
    for output, right in zip(outputs, nets.expected(name, nets.inputs(name), count)):
        assert np.max(np.abs(output - right)) <= 2e-6 * np.max(np.abs(right))


def test_an_all_reduce_that_cannot_be_scattered_says_so():
    shard = mindir.load(str(FIXTURES / "mlp-all_reduce" / "2" / "Net0.mindir"))
    with pytest.raises(
        mindir.MindIRError, match=r"AllReduce-op\d+: AllReduce of \(12, 8\), whose first .* over 5 ranks"
    ):
        mindir.split_all_reduce(shard, 5)
