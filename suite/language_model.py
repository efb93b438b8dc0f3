"""The nets of a language model on this rank, and the check of their logits against the unsharded model's."""

import os
import sys
import tempfile

import mindspore_lite as mslite
import numpy as np

import mindir
import ranks
from suite import hub, memory, nets, reading
from suite.backends import BACKENDS
from suite.generation import Writer

TOLERANCE = 1e-3  # largest |logits - unsharded model's| / max |unsharded model's|, where the back end's isn't larger


def part_of(model_path, net):
    """Return the path of one of the model's nets: X.decode.mindir for X.mindir."""
    if not model_path.endswith(".mindir"):
        raise ranks.Stop(ranks.REFUSED, f"--model_path {model_path}: must end in .mindir")
    return f"{model_path[: -len('.mindir')]}.{net}.mindir"


def tokenizer(model_path):
    """Return the tokenizer from the file beside the model, X.tokenizer.json for X.mindir."""
    try:
        from tokenizers import Tokenizer
    except ImportError:
        advice = f"{sys.executable} -m pip install tokenizers"
        raise ranks.Stop(ranks.UNAVAILABLE, f"the tokenizers package isn't installed: {advice}") from None
    path = part_of(model_path, "tokenizer")[: -len("mindir")] + "json"
    try:
        return Tokenizer.from_file(path)
    except Exception as error:  # tokenizers raises no class of its own
        advice = "models/export_smollm.py writes it beside the model"
        raise ranks.Stop(ranks.REFUSED, f"{path}: {error}: {advice}") from None


def read_lines(file):
    """Return the lines of a UTF-8 text file that aren't blank; raise Stop (status 2) if there are none."""
    try:
        with open(file, encoding="utf-8") as opened:
            lines = [line.strip() for line in opened if line.strip()]
    except (OSError, UnicodeDecodeError) as error:
        raise ranks.Stop(ranks.REFUSED, f"{file}: can't be read: {error}") from None
    if not lines:
        raise ranks.Stop(ranks.REFUSED, f"{file}: has no prompts: write one per line")
    return lines


def load(model_path, comm, config_file="", engine_cache=""):
    """Build this rank's shards of X.decode.mindir and, if there is one, of X.prefill.mindir; return the Writer.

    What is built is kept in the folder `engine_cache`, if one is given, for the next start.
    """
    paths = [part_of(model_path, net) for net in ("prefill", "decode")]
    if not ranks.find(ranks.insert(paths[0], 0)):
        del paths[0]  # the prompt is read token by token
    models = nets.build(comm, paths, config_file, engine_cache)
    ranks.step("predict: the first")
    writer = Writer(models, filled_each_time=nets.backend() == "ascend")
    if nets.backend() == "gpu":
        memory.lock_pages(writer.cache.values())  # all of it goes to the GPU at every token
    return writer


class Record:
    """The first tokens and their logits, to be compared with the unsharded model's logits for the same tokens."""

    def __init__(self, prompts, most=8):
        self.prompts, self.most, self.steps = prompts, most, []  # (tokens, logits)

    def add(self, tokens, logits):
        if len(self.steps) < self.most:
            self.steps.append((tokens, logits))

    def check(self, comm, model_path):
        """Return, on all ranks, the largest error of the logits; None if the unsharded decode net isn't there.

        Raises Stop (status 4) if it is over the back end's tolerance. The first rank builds the unsharded net for this,
        and has the weights in memory twice meanwhile.
        """
        path = part_of(model_path, "decode")
        tolerance = max(TOLERANCE, BACKENDS[nets.backend()].tolerances["float32"])
        if not comm.bcast(hub.is_first(comm) and ranks.find(path)):
            return None
        ranks.step("check")
        error = comm.bcast(self._error(path) if hub.is_first(comm) else None)
        if not error <= tolerance:
            message = f"logits differ: max error {error:.1e}, tolerance {tolerance:.0e} (against {path})"
            raise ranks.Stop(ranks.DIFFERENT, message)
        return error

    def _error(self, path):
        writer, errors = Writer([unsharded(path)]), []
        logits = writer.read(self.prompts)
        for tokens, mine in self.steps:
            alive = np.array(tokens) >= 0
            differences = np.abs(mine[alive].astype(np.float64) - logits[alive]).max()
            errors.append(differences / np.abs(logits[alive]).max())
            if (writer.filled >= writer.context).any():
                break
            logits = writer.step(tokens)
        return float(np.max(errors))  # NaN, if there is one


def unsharded(path):
    """Return mindspore_lite's own Model of a file, on this process's CPU."""
    context, model = mslite.Context(), mslite.Model()
    context.target = ["cpu"]
    context.cpu.thread_num = len(os.sched_getaffinity(0))
    with tempfile.TemporaryDirectory(prefix="unsharded-") as folder:
        try:
            model.build_from_file(
                mindir.save(mindir.repair(reading.load(path)), folder), mslite.ModelType.MINDIR, context
            )
        except RuntimeError as error:
            message = f"{path}: {error} ([ERROR] lines above say why): correct it or --check=off"
            raise ranks.Stop(ranks.FAILED, message) from None
    return model
