"""What is behind the double's Model: its log, its faults and the mathematics."""

import contextlib
import ctypes
import importlib
import json
import os
import re
import signal
import sys
import tempfile
from pathlib import Path

import numpy as np

from mindspore_lite import _state

BUILD_FAILED = "build_from_file failed! Error is Common error code."
PREDICT_FAILED = "predict failed!"


class Refused(Exception):
    """The engine refuses something; the text is for its log."""


@contextlib.contextmanager
def engine(message):
    """Stands for the time inside the engine: a Refused becomes an [ERROR] line and RuntimeError(message).

    Python's signal handlers don't run meanwhile, as the real engine is C++ on the main thread; a signal without one
    ends the process at once.
    """
    handled = [number for number in range(1, signal.NSIG) if callable(_handler(number))]
    before = signal.pthread_sigmask(signal.SIG_BLOCK, handled)
    try:
        yield
    except Refused as error:
        print(f"[ERROR] ME({os.getpid()},double): {error}", file=sys.stderr, flush=True)
        raise RuntimeError(message) from None
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _handler(number):
    with contextlib.suppress(ValueError):
        return signal.getsignal(number)


# What tests see and do


class Log:
    """Appends every call as one line of JSON to <folder>/rank<rank_id>.jsonl, pid<pid>.jsonl while the rank is open."""

    def __init__(self, folder):
        self.file = Path(folder) / f"pid{os.getpid()}.jsonl" if folder else None

    def __call__(self, call, **arguments):
        if self.file:
            with open(str(self.file), "a") as file:
                file.write(json.dumps({"call": call, "arguments": arguments}, default=str) + "\n")

    def rank_is(self, rank):
        """Continue in this rank's file, with what was written so far."""
        if self.file and self.file.name != f"rank{rank}.jsonl":
            old, self.file = self.file, self.file.with_name(f"rank{rank}.jsonl")
            with open(str(self.file), "a") as file:
                file.write(old.read_text() if old.exists() else "")
            if old.exists():
                old.unlink()


class Faults:
    """ASCEND_DOUBLE_FAULT: what goes wrong on which rank at which step."""

    STEP = r"(context|build|built|predict[1-9]\d*|collective[1-9]\d*\.[1-9]\d*|exit)"
    ACTION = r"(raise|exit7|kill|segv|stop|hang|busy)"

    def __init__(self, text):
        self.planned = {}
        for fault in filter(None, text.split(",")):
            match = re.fullmatch(rf"(\d+):{self.STEP}:{self.ACTION}", fault)
            if not match:  # a fault that never happens would be a test that can't fail
                raise ValueError(f"ASCEND_DOUBLE_FAULT: {fault!r} isn't rank:step:action: {self.STEP}, {self.ACTION}")
            if match.group(2) == "exit" and match.group(3) in ("raise", "exit7"):
                raise ValueError(f"ASCEND_DOUBLE_FAULT: {fault!r}: at exit that has no effect on the process's status")
            if match.groups()[:2] in self.planned:
                raise ValueError(f"ASCEND_DOUBLE_FAULT: {fault!r}: this rank has a fault at this step")
            self.planned[match.groups()[:2]] = match.group(3)

    def __call__(self, rank, step, message):
        """Cause the fault that is planned for this step, once; `message` is the engine's for a failure there."""
        action = self.planned.pop((str(rank), step), None)
        if not action:
            return
        if os.environ.get("ASCEND_DOUBLE_FIRED"):
            with open(os.environ["ASCEND_DOUBLE_FIRED"], "a") as file:
                file.write(f"{rank}:{step}:{action}\n")
        if action == "exit7":
            sys.exit(7)
        elif action == "busy":
            while True:
                pass
        elif action in ("kill", "segv", "stop"):
            os.kill(os.getpid(), getattr(signal, f"SIG{action.upper()}"))
        else:
            with engine(message):
                if action == "hang":
                    ctypes.PyDLL(None).sleep(10**6)  # PyDLL keeps the interpreter's lock: no Python thread runs
                if action == "raise":
                    raise Refused(f"fault of the double on rank {rank} at {step}")


# The mathematics


def _suite_mindir():
    """Return the suite's package mindir, wherever the process runs and whatever is in its folder."""
    suite = str(Path(__file__).resolve().parents[3])
    sys.path.insert(0, suite)
    try:
        return importlib.import_module("mindir")
    finally:
        sys.path.remove(suite)


class Program:
    """One shard: its stages are models on the real wheel's CPU, its collectives are left to `exchange`."""

    def __init__(self, real, path):
        self.mindir = _suite_mindir()
        try:
            self.shard = self.mindir.load(path, 1)  # what computes here is mindspore_lite 2.0.0's CPU
        except self.mindir.MindIRError as error:
            raise Refused(error) from None
        self.real, self.path = real, self.shard.path
        # by the part of their names that loading keeps, by which the models of a group share them
        self.parameters = {tensor.name.split(":", 1)[-1]: tensor for tensor in self.shard.model.graph.parameter}

    def values(self, name):
        """Return the bytes of a parameter."""
        tensor = self.parameters[name]
        if not tensor.HasField("external_data"):
            return tensor.raw_data
        with open(self.mindir.data_file(self.path, tensor), "rb") as file:
            file.seek(tensor.external_data.offset)
            return file.read(tensor.external_data.length)

    def check(self, table, size):
        """Refuse what these ranks can't run: the real one fails or, if shapes agree by chance, is wrong."""
        for step in self.shard.collectives:
            if not table:
                raise Refused(f"node {step.node}: {step.op}, but no rank_table_file: no hccl mode")
            if step.world and step.ranks not in (0, size) or max(step.members, default=0) >= size:
                raise Refused(f"node {step.node}: {step.op} of {step.ranks} ranks, the rank table has {size}")

    def build(self):
        """Cut the shard and build its stages."""
        try:
            shard, kept = _state.opened(self.mindir, self.shard)
            self.plan = self.mindir.cut(shard)  # it may add parameters, for mindir.repair()
        except self.mindir.MindIRError as error:
            raise Refused(error) from None
        self.kept = [  # the current values of what Assign changes
            np.frombuffer(self.values(name.split(":", 1)[-1]), dtype).reshape(shape)
            for name, (dtype, shape) in kept.items()
        ]
        self.stages = []
        with tempfile.TemporaryDirectory(prefix="ascend-double-") as folder:
            for index, step in enumerate(self.plan.steps):
                self.stages.append(None)
                if isinstance(step, self.mindir.Stage):
                    context, self.stages[-1] = self.real.Context(), self.real.Model()
                    context.cpu.thread_num = context.cpu.inter_op_parallel_num = 1
                    path = self.mindir.write(step, shard, folder, f"stage{index}")
                    self.stages[-1].build_from_file(path, self.real.ModelType.MINDIR, context)

    def run(self, arrays, exchange):
        """Return the outputs for the inputs; exchange(Collective, array) does the collectives."""
        values = {**self.plan.constants, **dict(zip(self.plan.inputs, [*arrays, *self.kept]))}
        for step, stage in zip(self.plan.steps, self.stages):
            if stage:
                values.update(zip(step.outputs, _predict(stage, [values[name] for name in step.inputs])))
            else:
                given = values[step.input].astype(step.dtype) if step.input else np.empty(step.shape, step.dtype)
                values[step.output] = exchange(step, given)
        given = len(self.plan.outputs) - len(self.kept)
        self.kept = [values[name] for name in self.plan.outputs[given:]]
        if self.shard.passes_on:  # the output of this pipeline stage is a constant of MindSpore's
            return [np.ones(output.shape, output.dtype) for output in self.shard.outputs]
        return [values[name].astype(output.dtype) for name, output in zip(self.plan.outputs, self.shard.outputs)]


def _predict(stage, arrays):
    """Return the outputs of a stage; the CPU takes float16 as float32 and int64 as int32."""
    if [tensor.shape for tensor in stage.get_inputs()] != [list(array.shape) for array in arrays]:
        stage.resize(stage.get_inputs(), [list(array.shape) for array in arrays])
    inputs = stage.get_inputs()
    kept = [np.asarray(array, tensor.dtype.name.lower(), order="C") for array, tensor in zip(arrays, inputs)]
    for tensor, array in zip(inputs, kept):
        tensor.set_data_from_numpy(array.view(array.dtype.name))
    return [output.get_data_to_numpy().copy() for output in stage.predict(inputs)]
