"""A shard's stages as mindspore_lite's models on the CPU: write, convert, build and keep them for the next start.

Most of a build's time is mindspore_lite's converter. Its result depends on the stage with its weights, on the version
of mindspore_lite and on this file: a SHA-256 of these is the name under which it is kept.
"""

import hashlib
import os
import sys
import tempfile
from typing import NamedTuple

import mindspore_lite as mslite

import mindir
import ranks
from suite import kept, threads


class Source(NamedTuple):
    """What a stage is built from."""

    path: str  # a MindIR file, or mindspore_lite's own .ms
    keep: str = ""  # where it is to be kept, without its ending


def write(plan, shard, folder, cache=""):
    """Return the Source of each step of the plan, None for a collective: in the folder, or kept in `cache`."""
    steps = [
        (f"stage{index}", step if isinstance(step, mindir.Stage) else None) for index, step in enumerate(plan.steps)
    ]
    try:
        return [step and _source(step, shard, folder, name, cache) for name, step in steps]
    except OSError as error:
        message = f"{folder}: can't hold the stages of {shard.path}, {shard.nbytes >> 20} MiB: {error.strerror}"
        raise ranks.Stop(ranks.FAILED, f"{message}: set TMPDIR to a folder that can") from None


def _source(stage, shard, folder, name, cache):
    place = os.path.join(cache, _digest(stage, shard)) if cache else ""
    if place and kept.is_whole(place):
        return Source(f"{place}.ms")
    return Source(mindir.write(stage, shard, folder, name), place)


def _digest(stage, shard):
    digest = hashlib.sha256(f"{mslite.__version__} {sys.byteorder}".encode())
    kept.add_file(digest, __file__)  # how it is converted
    parameters = {tensor.name: tensor for tensor in shard.model.graph.parameter}
    digest.update(stage.model.SerializeToString(deterministic=True))  # so far its parameters are names and sizes
    for tensor in stage.model.graph.parameter:
        digest.update(mindir.values(shard.path, parameters[tensor.name]))
    return digest.hexdigest()[:32]


def build(model_path, steps, sources, model_type, context, config_path):
    """Return the stages as mslite.Model, None for a collective."""
    stages = [mslite.Model() if source else None for source in sources]
    converted = [
        bool(source) and model_type == mslite.ModelType.MINDIR and _converts(source.path) for source in sources
    ]
    first = _build_something(context) if any(converted) else None  # noqa: F841  (held)
    for index, (stage, step, source) in enumerate(zip(stages, steps, sources)):
        if not stage:
            continue
        try:
            path = _convert(source.path) if converted[index] else source.path
            with threads.safe(context, step.model):
                kind = mslite.ModelType.MINDIR_LITE if path.endswith(".ms") else model_type
                stage.build_from_file(path, kind, context, config_path)
        except RuntimeError as error:
            where = f"{model_path}: step {index + 1} of {len(steps)} (stage or collective)"
            raise ranks.Stop(ranks.FAILED, f"{where}: {error} ([ERROR] lines above say why)") from None
        if converted[index]:
            if source.keep:
                kept.keep_files(source.keep, {path: ".ms"})
            os.remove(path)
    return stages


def _build_something(context):
    """Build a net of one node and return its mslite.Model, before anything is converted.

    If mindspore_lite 2.0's converter folds constants in a process that has built nothing before, that process ends with
    SIGSEGV after everything is done: its libraries' objects are destroyed in the wrong order.
    """
    model = mindir.PROTO["Model"](ir_version="0.1.1", producer_name="MindSpore", model_version="2.0.0")
    model.mind_ir_version, model.little_endian, model.graph.name = 1, True, "something"
    model.primitives.add(name="Add", op_type="Add", instance_name="Add")
    model.graph.node.add(input=["x", "x"], output=["y"], name="y", op_type="REF::Add")
    for value in (model.graph.input.add(name="x"), model.graph.output.add(name="y")):
        value.tensor.add(dims=[1], data_type=1)
    shape = model.graph.node[0].attribute.add(name="shape", type=19)
    shape.tensors.add(dims=[1], data_type=1)
    built = mslite.Model()
    with tempfile.TemporaryDirectory(prefix="something-") as folder:
        path = os.path.join(folder, "add.mindir")
        with open(path, "wb") as file:
            file.write(model.SerializeToString())
        built.build_from_file(path, mslite.ModelType.MINDIR, context)
    return built


def _converts(path):
    """Return whether _convert() can take the file: by the version, and if it has weights and fits a .ms of 2 GiB."""
    if path.endswith(".ms"):
        return False
    weights = os.path.getsize(path[: -len("_graph.mindir")] + "_variables/data_0") - 64
    return mslite.__version__.startswith("2.0.") and hasattr(mslite, "Converter") and 0 < weights < 2**31 - 2**24


def _convert(path):
    """Write the stage beside its file as mindspore_lite's own .ms and return its path.

    mindspore_lite 2.0 does the same when it builds a MindIR, but then keeps four copies of the weights. From a .ms it
    keeps two: the file's, and one in the order that its products need.
    """
    converter = mslite.Converter()
    converter.save_type = mslite.ModelType.MINDIR_LITE
    converter.input_format = mslite.Format.NCHW  # as they are: it takes four dimensions for an image in another order
    target = path[: -len("_graph.mindir")]
    sys.stdout.flush()
    stdout = os.dup(1)
    with open(os.devnull, "wb") as nothing:
        os.dup2(nothing.fileno(), 1)  # it prints "CONVERT RESULT SUCCESS:0"
        try:
            converter.convert(mslite.FmkType.MINDIR, path, target)
        finally:
            os.dup2(stdout, 1)
            os.close(stdout)
    return f"{target}.ms"
