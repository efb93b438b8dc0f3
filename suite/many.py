"""Predict each of many files of inputs and write what comes of each, after one build."""

import os

import ranks
from suite import batches, check, files, hub, inputs, memory
from suite.outputs import Outputs

NAMED = 10  # files that can't be right are named at the end, so many at most


def prepare(args, comm):
    """Make the folder of the outputs; return [(file of inputs, file of its outputs)], which all ranks do in turn."""
    found = comm.bcast(batches.find(args.input, args.output) if hub.is_first(comm) else None)
    if hub.is_first(comm):
        try:
            os.makedirs(args.output, exist_ok=True)
        except OSError as error:
            raise ranks.Stop(ranks.REFUSED, f"--output {args.output}: can't be created: {error.strerror}") from None
        files.check_writable(os.path.join(args.output, os.path.basename(found[0][1])))
    return found


def predict_all(args, comm, model, reference, everyone, found):
    """Predict each file and write its outputs; all ranks call this together.

    The first one that can be right is compared with the unsharded model `reference` (None: not). Files that can't be
    right are left out and named at the end by a Stop (status 2), or with --stop_at_first by one at once.
    """
    values = {inputs.short_name(value.name): value for shard in everyone for value in shard.inputs}
    wrong, verdict = [], None
    if args.backend != "ascend":
        memory.keep_memory()
    for index, (path, target) in enumerate(found):
        ranks.step(f"predict {index + 1} of {len(found)}")
        arrays, reason = comm.bcast(read(path, values, args.backend) if hub.is_first(comm) else None)
        if reason:
            wrong.append(reason)
            if args.stop_at_first:
                break
            continue
        outputs = Outputs(comm, everyone, model.predict(inputs.put(model, arrays)))
        if verdict is None:
            whole = inputs.whole(reference, values, arrays, arrays) if reference else {}
            verdict = check.compared(args, comm, reference, whole, outputs)
            if verdict["result"] == "FAIL":
                raise ranks.Stop(ranks.DIFFERENT, f"{path}: {verdict['reason']}")
        write(comm, outputs, target)
    ranks.step("check")  # everything is written
    if hub.is_first(comm):
        print(f"{index + 1 - len(wrong)} of {len(found)} files predicted, outputs in {args.output}")
        if verdict:
            print(check.verdict(verdict), flush=True)
    if wrong:
        more = f"; and {len(wrong) - NAMED} more" if len(wrong) > NAMED else ""
        count = f"{len(wrong)} of {len(found)} files are refused: " if len(wrong) > 1 else ""
        raise ranks.Stop(ranks.REFUSED, count + "; ".join(wrong[:NAMED]) + more)


def read(path, values, backend):
    """Return ({name: array} of a file, "") or (None, why it can't be right)."""
    try:
        return inputs.match_values(values, files.load_arrays(path), path, backend), ""
    except ranks.Stop as error:
        return None, str(error)


def write(comm, outputs, target):
    """Write the outputs, those of the first rank that has some, on the first rank."""

    def convert(tensor):
        return tensor.name.rstrip(), tensor.get_data_to_numpy()

    arrays = outputs.first(convert) if outputs.partial else [convert(tensor) for tensor in outputs.mine]
    if hub.is_first(comm) and arrays is not None:
        files.save_outputs(target, arrays)
