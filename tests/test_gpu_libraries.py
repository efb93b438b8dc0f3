"""The GPU back end without a GPU: NVIDIA's libraries, the plug-in and mpirun are real; and the AllReduce rewrite."""

import shutil
import subprocess
from pathlib import Path

import nets
import numpy as np
import pytest
from conftest import MODEL, ROOT, assert_refused, count_gpus, lines, run_ranks

import mindir
from ranks import REFUSED, Stop
from suite import hub, kept, tensorrt

FIXTURES = ROOT / "tests" / "fixtures"
GPU = ROOT / ".venv" / "gpu" / "lib" / "python3.7" / "site-packages"  # where tests/run.sh puts requirements-gpu.txt


SEEN = """
import ranks, gpu_trt_distributed as gpu
comm = ranks.world()
gpu.load_libraries()
context = gpu.mslite.Context()
context.target = ["gpu"]
for text in comm.allgather(f"{context.gpu.rank_id} of {context.gpu.group_size}"):
    if comm.rank == 0:
        print(text)
"""


@pytest.mark.parametrize("count", [1, 2, 3])
def test_the_plug_in_reads_the_launchers_ranks(count):
    done = run_ranks(count, "-c", SEEN, PYTHONPATH=f"{ROOT}:{GPU}", LD_LIBRARY_PATH="")
    assert done.returncode == 0, done.stderr
    assert lines(done.stdout) == [f"{rank} of {count}" for rank in range(count)]


def run_script(packages, count=2):
    """Start gpu_trt_distributed.py by hand, with these packages to find libraries in."""
    words = ("gpu_trt_distributed.py", f"--model_path={MODEL}")
    return run_ranks(count, *words, PYTHONPATH=str(packages), LD_LIBRARY_PATH="", GLOG_v="4")


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
    assert_refused(done, 3, "plug-in", library)


@pytest.mark.skipif(count_gpus() > 0, reason="there is a GPU")
def test_a_missing_driver_is_reported():
    assert_refused(run_script(GPU), 3, "libcuda.so.1")


def test_the_group_size_must_be_the_launchers():
    """A plug-in that reads rank 0 of 1 (perhaps with another MPI) is detected: here there should be 2 ranks."""
    program = """
import functools, types, ranks, gpu_trt_distributed as gpu
ranks.world()
ranks.run(functools.partial(gpu.create_context, types.SimpleNamespace(rank=0, size=2)))
"""
    done = run_ranks(1, "-c", program, PYTHONPATH=f"{ROOT}:{GPU}", LD_LIBRARY_PATH="")
    assert_refused(done, 3, "rank 0 of 1", "0 of 2")


DRIVER = """
#include <stdlib.h>
#include <string.h>
static char *list(void) { char *text = getenv("CUDA_VISIBLE_DEVICES"); return text ? text : "0,1,2,3"; }
int cuInit(unsigned flags) { return 0; }
int cuDeviceGetCount(int *count) {
    *count = *list() != 0;
    for (char *at = list(); *at; at++) *count += *at == ',';
    return 0;
}
int cuDeviceGetUuid(void *uuid, int device) { memset(uuid, list()[2 * device], 16); return 0; }
"""
CHOOSE = """
import os, sys, ranks, gpu_trt_distributed as gpu
def main():
    comm = ranks.world()
    shown = sys.argv[1 + comm.rank]
    if shown != "-":
        os.environ["CUDA_VISIBLE_DEVICES"] = shown
    chosen = comm.allgather(gpu.choose_gpu(comm))
    if comm.rank == 0:
        print(*chosen)
ranks.run(main)
"""


@pytest.fixture(scope="module")
def driver(tmp_path_factory):
    """The folder of a double of NVIDIA's driver, with four GPUs, of which CUDA_VISIBLE_DEVICES shows some."""
    folder = tmp_path_factory.mktemp("driver")
    (folder / "cuda.c").write_text(DRIVER)
    subprocess.run(["gcc", "-shared", "-fPIC", "-o", str(folder / "libcuda.so.1"), str(folder / "cuda.c")], check=True)
    return folder


@pytest.mark.parametrize(
    "shown, chosen",
    [
        (["-", "-"], "0 1"),
        (["2,3", "2,3"], "0 1"),
        (["0", "1"], "0 0"),  # as Slurm has it with one GPU per task
        (["0,1", "2,3"], "0 0"),
        (["0,1", "1,0"], "0 0"),
        (["-", "-", "-", "-"], "0 1 2 3"),
    ],
)
def test_each_rank_takes_a_gpu_of_its_own(driver, shown, chosen):
    done = run_ranks(len(shown), "-c", CHOOSE, *shown, PYTHONPATH=str(ROOT), LD_LIBRARY_PATH=str(driver))
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"{chosen}\n"


@pytest.mark.parametrize("shown, rank", [(["0", "0"], 1), (["1,2", "2,1", "1"], 2)])
def test_fewer_gpus_than_ranks_are_refused(driver, shown, rank):
    done = run_ranks(len(shown), "-c", CHOOSE, *shown, PYTHONPATH=str(ROOT), LD_LIBRARY_PATH=str(driver))
    assert_refused(done, 2, f"rank {rank}", "GPUs")


# AllReduce, which TensorRT's plug-in lacks


@pytest.mark.parametrize("name, count", [("mlp-all_reduce", 2), ("three_outputs", 3), ("skip", 4), ("reused", 2)])
def test_all_reduce_in_two_parts_is_the_same_model(tmp_path, name, count):
    for rank in range(count):
        shard = mindir.load(str(FIXTURES / name / str(count) / f"Net{rank}.mindir"))
        before = [collective.op for collective in shard.collectives]
        mindir.split_all_reduce(shard, count)
        path = tmp_path / f"Net{rank}.mindir"
        path.write_bytes(shard.model.SerializeToString())
        after = mindir.load(str(path))
        assert [collective.op for collective in after.collectives] == [
            part for op in before for part in (("ReduceScatter", "AllGather") if op == "AllReduce" else (op,))
        ]
        assert {collective.ranks for collective in after.collectives} == {count}
        for scatter, gather in zip(after.collectives[::2], after.collectives[1::2]):
            assert gather.shape == (scatter.shape[0] // count, *scatter.shape[1:])
        assert after.outputs == shard.outputs or len(after.outputs) == len(shard.outputs)
    np.savez(str(tmp_path / "in.npz"), **nets.inputs(name))
    words = ("--backend=cpu", f"--model_path={tmp_path / 'Net.mindir'}", "--input", tmp_path / "in.npz")
    done = run_ranks(count, "main.py", *words, "--output", tmp_path / "out.npz")
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


def files_to_build(name, tmp_path, precision=None, text=""):
    """Return what suite/tensorrt.py would give TensorRT, as far as that can be seen without a GPU."""
    config = tmp_path / "config.ini"
    config.write_text(text)
    path = str(FIXTURES / name / "2" / "Net0.mindir")
    settings = tensorrt._configuration(str(config), precision, None)
    return tensorrt._in_known_collectives(path, 2, settings, str(tmp_path)), settings


def test_what_tensorrt_gets_has_only_collectives_that_it_has(tmp_path):
    path, settings = files_to_build("skip", tmp_path, text="# mine\n[gpu_context]\nopt_dims=1,2\n")
    assert {collective.op for collective in mindir.load(path).collectives} == {"ReduceScatter", "AllGather"}
    assert dict(settings["gpu_context"]) == {"opt_dims": "1,2", "precision_mode": "enforce_fp32"}


@pytest.mark.parametrize(
    "name, precision, text, reason",
    [
        ("three_outputs", None, "", r"AllReduce-op\d+: AllReduce with (max|min|prod): .* only sums"),
        ("skip", "fp16", "", r"preferred_fp16 isn't safe with collectives \(Default/AllReduce-op\d+\)"),
        ("skip", None, "[gpu_context]\nprecision_mode=preferred_fp16\n", "isn't safe with collectives"),
        ("skip", "fp32", "[gpu_context]\nprecision_mode=preferred_fp16\n", "precision_mode=.* but --precision fp32"),
        ("skip", None, "[gpu_context\n", "config.ini: can't be read"),
    ],
)
def test_what_tensorrt_would_compute_wrongly_or_never_is_refused(tmp_path, name, precision, text, reason):
    with pytest.raises(Stop, match=reason) as refused:
        files_to_build(name, tmp_path, precision, text)
    assert refused.value.status == REFUSED


def test_a_cache_that_assign_keeps_is_refused_with_what_to_export(tmp_path):
    """mindspore_lite's TensorRT has no Assign."""
    path, settings = (
        str(ROOT / "tests" / "cases" / "25-kv-cache" / "Net0.mindir"),
        tensorrt._configuration("", None, None),
    )
    with pytest.raises(mindir.MindIRError, match=r"Net0.mindir: node .*Assign-op9: Assign .* an input and an output"):
        tensorrt._in_known_collectives(path, 2, settings, str(tmp_path))


class Context:
    """The part of a Context that suite/tensorrt.py needs: the device."""

    class gpu:
        device_id = 0


def no_driver(monkeypatch, card=b"Card A", version=8503):
    """Replace the driver and TensorRT by doubles that only know a card and a version."""

    class Library:
        @staticmethod
        def cuDeviceGetName(buffer, size, device):
            buffer.value = card

        @staticmethod
        def getInferLibVersion():
            return version

    monkeypatch.setattr(tensorrt.ctypes, "CDLL", lambda name: Library)


def kept_name(monkeypatch, tmp_path, path, card=b"Card A", version=8503, rank=0, size=2, **settings):
    no_driver(monkeypatch, card, version)
    config = tensorrt._configuration("", None, None)
    config["gpu_context"].update(settings)
    return tensorrt._place(str(tmp_path), hub.Ranks(rank, size), Context, str(path), config)


def test_an_engine_is_found_again_only_if_every_rank_has_its_own(monkeypatch, tmp_path):
    no_driver(monkeypatch)
    path, cache = str(FIXTURES / "transposed" / "2" / "Net0.mindir"), tmp_path / "engines"

    def start(comm):
        """Do what main.py and the engine do; return whether there was an engine."""
        with tensorrt.prepared(comm, Context, path, cache=str(cache)) as (model, config):
            assert {collective.op for collective in mindir.load(model).collectives} == {"ReduceScatter", "AllGather"}
            settings = Path(config).read_text().splitlines()
            (engine,) = (line.split("=")[1] for line in settings if line.startswith("serialize_path="))
            engine = Path(f"{engine}_trt0.bin_0")
            found = engine.exists()
            if not found:
                engine.write_bytes(b"engine")
        return found

    comm = hub.Ranks(0, 2)
    assert [start(comm), start(comm)] == [False, True]
    without = hub.Ranks(0, 2)  # the other rank has none
    without.allgather = lambda value: [value, False] if isinstance(value, bool) else [value]
    assert [start(without), start(comm)] == [False, True]
    (engine,) = cache.glob("*.bin_0")
    engine.write_bytes(b"damaged")
    assert [start(comm), start(comm)] == [False, True]
    assert len(list(cache.iterdir())) == 2


def test_an_engines_name_changes_with_all_that_it_depends_on(monkeypatch, tmp_path):
    shards = [str(MODEL.with_name(name)) for name in ("Matmul0.mindir", "Matmul1.mindir")]
    same = [kept_name(monkeypatch, tmp_path, shards[0]) for _ in range(2)]
    assert same[0] == same[1]
    others = [
        kept_name(monkeypatch, tmp_path, shards[1]),
        kept_name(monkeypatch, tmp_path, shards[0], card=b"Card B"),
        kept_name(monkeypatch, tmp_path, shards[0], version=8601),
        kept_name(monkeypatch, tmp_path, shards[0], rank=1),
        kept_name(monkeypatch, tmp_path, shards[0], size=4),
        kept_name(monkeypatch, tmp_path, shards[0], precision_mode="preferred_fp16"),
    ]
    assert len({same[0], *others}) == 7


def test_an_engine_is_used_only_as_it_was_written(tmp_path):
    place, parts = str(tmp_path / "kept"), ("_trt0.bin_0", "_trt0.bin_1")
    for part in parts:
        (tmp_path / f"built{part}").write_bytes(part.encode() * 100)
    assert not kept.is_whole(place)
    kept.keep_files(place, {str(tmp_path / f"built{part}"): part for part in parts})
    assert kept.is_whole(place)
    second = tmp_path / "kept_trt0.bin_1"
    data = second.read_bytes()
    for damage in (data[:-1], b"x" + data[1:], b""):
        second.write_bytes(damage)
        assert not kept.is_whole(place)
    second.unlink()
    assert not kept.is_whole(place)
    (tmp_path / "kept.sha256").write_text("not a sum\n")
    assert not kept.is_whole(place)
