"""Is the result right? The unsharded model's outputs, on this machine's CPU, and how far off the ranks' are."""

import os
import tempfile

import mindspore_lite as mslite
import numpy as np

import mindir
import ranks
from suite import backends, hub, inputs, reading, threads
from suite.arrays import array_dtype


def unsharded(args):
    """Return the mindir.Shard of the unsharded model, without its message; None if this CPU can't run it.

    On Ascend, shards may keep state, and then this CPU can't: that is an error (MindIRError) with --check=on.
    """
    shard = reading.load(args.model_path, args.backend)
    try:
        if args.backend == "ascend":
            mindir.check_stateless(mindir.Graph(shard.path, shard.model))
    except mindir.MindIRError:
        if args.check == "on":
            raise
        return None
    return shard.summary()


def unsharded_outputs(model_path, arrays):
    """Return the outputs, as arrays, of the unsharded model on this process's CPU, given {input's name: array}.

    mindspore_lite's CPU takes float16 as float32 and int64 as int32; the arrays are converted to that.
    """
    context = mslite.Context()
    context.target = ["cpu"]
    context.cpu.thread_num = len(os.sched_getaffinity(0))
    model = mslite.Model()
    with tempfile.TemporaryDirectory(prefix="unsharded-") as folder:
        shard = mindir.repair(reading.load(model_path))
        path = mindir.save(shard, folder)
        try:
            with threads.safe(context, shard.model):
                model.build_from_file(path, mslite.ModelType.MINDIR, context)
        except RuntimeError as error:
            message = f"{model_path}: the unsharded model doesn't build on the CPU: {error}"
            advice = "([ERROR] lines above say why): correct it or --check=off"
            raise ranks.Stop(ranks.FAILED, f"{message} {advice}") from None
    names = {inputs.short_name(tensor.name): ranks.dtype(tensor) for tensor in model.get_inputs()}
    tensors, _ = inputs.fill(model, {name: arrays[name].astype(dtype) for name, dtype in names.items()})
    return [output.get_data_to_numpy().copy() for output in model.predict(tensors)]


def compare(outputs, expected, dtypes, tolerances):
    """Compare arrays with the expected ones; return (largest error, its tolerance, what is wrong or "").

    The error of an output is max |output - expected| / max |expected|: relative to the output's largest value, as the
    ranks sum in another order than the unsharded model. Of several outputs, the one nearest to its tolerance counts.
    Integers and booleans have to be equal: their error is the share of elements that aren't.
    """
    if len(outputs) != len(expected):
        return float("inf"), 0.0, f"{len(outputs)} outputs, the unsharded model has {len(expected)}"
    worst = (0.0, tolerances.get(dtypes[0], 0.0) if dtypes else 0.0, "")
    for index, (output, right, dtype) in enumerate(zip(outputs, expected, dtypes)):
        tolerance, name = tolerances.get(dtype, 0.0), f"output {index}"
        if output.shape != right.shape:
            return float("inf"), tolerance, f"{name} has the shape {output.shape}, the unsharded model's {right.shape}"
        if output.dtype != array_dtype(dtype):
            return float("inf"), tolerance, f"{name} is {output.dtype}, the unsharded model's {dtype}"
        error, wrong = _error(output, right, tolerance)
        if wrong or not error <= tolerance:
            wrong = wrong or f"differs: max error {error:.1e}, tolerance {tolerance:.0e}"
            return error, tolerance, f"{name} {wrong}"
        if error * (worst[1] or 1) >= worst[0] * (tolerance or 1):
            worst = (error, tolerance, "")
    return worst


def _error(output, right, tolerance):
    """Return an output's (error, what is wrong with its values that aren't finite, or "")."""
    exact = float(np.count_nonzero(output != right)) / max(output.size, 1)  # the share of elements that differ
    output, right = output.astype(np.float64), right.astype(np.float64)
    mine, theirs = ~np.isfinite(output), ~np.isfinite(right)
    if mine.any() and np.array_equal(mine, theirs):
        advice = "an input or a weight that isn't finite, or an overflow: nothing to compare"
        return float("nan"), f"is not finite on both sides, {mine.sum()} of {mine.size} values: {advice}"
    for where, whose in ((mine, "has"), (theirs, "of the unsharded model has")):
        if where.any():
            return float("nan"), f"{whose} {where.sum()} values that aren't finite among {where.size}"
    error = float(np.max(np.abs(output - right), initial=0) / (np.max(np.abs(right), initial=0) or 1))
    return error if tolerance else exact, ""


def check(comm, expected, outputs, dtypes, path, tolerances):
    """Compare every rank's outputs with the expected ones of the unsharded model `path`, whose file says their dtypes.

    `outputs` is None on a rank that has none: in a stage of a pipeline that isn't the last. Returns, on every rank,
    {"result": "PASS" or "FAIL", "max_error", "tolerance", "against", "reason"} of the rank that is furthest off; a
    number that isn't finite is left out.
    """
    mine = None
    if outputs is not None:
        mine = compare([output.get_data_to_numpy() for output in outputs], expected, dtypes, tolerances)
    everyone = [(rank, result) for rank, result in comm.allgather((comm.rank, mine)) if result is not None]
    wrong = [(rank, result) for rank, result in everyone if result[2]]
    nearest = max(everyone, key=lambda found: found[1][0] / (found[1][1] or 1))
    rank, (error, tolerance, reason) = wrong[0] if wrong else nearest
    figures = {"max_error": error, "tolerance": tolerance}
    return {
        "result": "FAIL" if wrong else "PASS",
        **{name: value for name, value in figures.items() if np.isfinite(value)},
        "against": path,
        "reason": f"rank {rank}: {reason} (against {path})" if wrong else "",
    }


def compared(args, comm, reference, arrays, outputs):
    """Run the unsharded model and return what check() returns for these outputs; all ranks call this together."""
    if not reference:
        there = f"{args.model_path} keeps state, which the CPU can't" if ranks.find(args.model_path) else ""
        reason = f"--check {args.check}" if args.check == "off" else there or f"no {args.model_path}"
        return {"result": "none", "reason": reason}
    if outputs.first(str) is None:
        return {"result": "none", "reason": f"the outputs are those of {outputs.who()}, on another server"}
    expected = comm.bcast(unsharded_outputs(reference.path, arrays) if hub.is_first(comm) else None)
    dtypes = [value.dtype for value in reference.outputs]
    tolerances = backends.BACKENDS[args.backend].tolerances
    return check(comm, expected, outputs.mine, dtypes, reference.path, tolerances)


def verdict(check):
    """Return the last line of a run."""
    if check["result"] == "none":
        return f"check: none  ({check['reason']})"
    figures = f"max error {check.get('max_error', float('nan')):.1e} (tolerance {check['tolerance']:.0e})"
    return f"check: {check['result']}  {figures} against {check['against']}"
