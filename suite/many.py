"""Build once, then predict many files of inputs and write the outputs of each."""

import os

import ranks
from suite import batches, check, files, hub, inputs, memory
from suite.outputs import Outputs

NAMED = 10  # at most so many refused files are named at the end


def prepare(args, comm):
    """Make the folder for the outputs; return [(file with inputs, file for its outputs)], the same on all ranks."""
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

    The outputs of the first file that isn't refused are compared with those of the unsharded model `reference`, if that
    isn't None. Refused files are left out; a Stop (status 2) names them at the end, or at once with --stop_at_first.
    """
    values = {inputs.short_name(value.name): value for shard in everyone for value in shard.inputs}
    wrong, verdict = [], None
    if args.backend != "ascend":
        memory.keep_memory()
    for index, (path, target) in enumerate(found):
        step = f"predict {index + 1} of {len(found)}"
        ranks.step(step)
        arrays, reason = comm.bcast(read(path, values, args.backend) if hub.is_first(comm) else None)
        if reason:
            wrong.append(reason)
            if args.stop_at_first:
                break
            continue
        outputs = Outputs(comm, everyone, model.predict(inputs.fill_by_name(model, arrays)))
        if verdict is None:
            ranks.step("check")  # it has a build's time limit, as it may build the unsharded model
            whole = inputs.unsharded_inputs(reference, values, arrays, arrays) if reference else {}
            verdict = check.compared(args, comm, reference, whole, outputs)
            if verdict["result"] == "FAIL":
                raise ranks.Stop(ranks.DIFFERENT, f"{path}: {verdict['reason']}")
            ranks.step(step)
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
    """Return ({name: array} of a file, "") or (None, why it is refused)."""
    try:
        return inputs.match_values(values, files.load_arrays(path), path, backend), ""
    except ranks.Stop as error:
        return None, str(error)


def write(comm, outputs, target):
    """Have the first rank write the outputs of the first rank that has some."""

    def convert(tensor):
        return tensor.name.rstrip(), tensor.get_data_to_numpy()

    arrays = outputs.first(convert) if outputs.partial else [convert(tensor) for tensor in outputs.mine]
    if hub.is_first(comm) and arrays is not None:
        files.save_outputs(target, arrays)
