"""One rank on Ascend: GE runs the rank's shard, HCCL its collectives.

    python3 ascend_ge_distributed.py --model_path=models/Matmul0.mindir --device_id=0 --rank_id=0 \\
        --config_file=config_file.ini &
    python3 ascend_ge_distributed.py --model_path=models/Matmul1.mindir --device_id=1 --rank_id=1 \\
        --config_file=config_file.ini

One process per rank, each with its own shard, device and rank; config_file.ini names the rank table that joins them.
To copy this page, take ranks.py along.
"""

import argparse
import ctypes
import os

import mindspore_lite as mslite
import numpy as np

import ranks


def create_context(device_id, rank_id):
    """Return a Context for this rank's device; raise Stop (status 3) if mindspore_lite or CANN can't be used for it."""
    context = mslite.Context()
    # set Ascend target and distributed info
    context.target = ["Ascend"]
    for name in ("rank_id", "provider"):  # before 2.1 setting them does nothing, and every rank would run alone
        if not isinstance(getattr(type(context.ascend), name, None), property):
            found = f"mindspore_lite {mslite.__version__} has no context.ascend.{name}"
            message = f"{found}: distributed inference on Ascend needs the vendor's 2.1 or later: install it"
            raise ranks.Stop(ranks.UNAVAILABLE, message)
    try:
        ctypes.CDLL("libascendcl.so")
    except OSError as error:
        home = os.environ.get("ASCEND_HOME_PATH", "/usr/local/Ascend/ascend-toolkit")
        message = f"CANN isn't there: {error}: install it, and before the start: source {home}/set_env.sh"
        raise ranks.Stop(ranks.UNAVAILABLE, message) from None
    context.ascend.device_id = device_id
    context.ascend.rank_id = rank_id
    context.ascend.provider = "ge"
    return context


def rank_table(config_file):
    """Return options to build with besides the configuration file: its rank table, as an absolute path.

    To GE a relative path begins where the process was started; here it begins in the configuration file's folder.
    Raises Stop (status 2) if the file can't be read or RANK_TABLE_FILE, which other programs read, names another table.
    """
    lines, section, path = [], "", ""
    try:
        if config_file:
            with open(config_file, encoding="utf-8-sig") as file:
                lines = [line.strip() for line in file]
    except (OSError, UnicodeError) as error:
        raise ranks.Stop(ranks.REFUSED, f"--config_file {config_file}: can't be read: {error}") from None
    for line in lines:  # as mindspore_lite reads it: the first of two equal keys counts
        key, _, value = (part.strip() for part in line.partition("="))
        section = line if line.startswith("[") else section
        if section == "[ascend_context]" and key == "rank_table_file" and not path:
            path = os.path.join(os.path.dirname(os.path.abspath(config_file)), value)
    other = os.environ.get("RANK_TABLE_FILE") or path
    if os.path.realpath(other) != os.path.realpath(path):
        names = f"rank_table_file is {path or 'not set'}, but RANK_TABLE_FILE in the environment is {other}"
        raise ranks.Stop(ranks.REFUSED, f"{config_file or 'no --config_file'}: {names}: unset it")
    return {"ascend_context": {"rank_table_file": path}} if path else {}


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model_path", required=True, help="this rank's shard; {rank} is replaced by its number")
    config = "mindspore_lite's configuration file, which names the rank table (default: none, for one rank)"
    parser.add_argument("--config_file", default="", help=config)
    for name, text in (("device_id", "this rank's device on this server"), ("rank_id", "this rank, from 0")):
        given = os.environ.get(name.upper())  # as msrun does
        text += f" (default: {name.upper()} in the environment)"
        parser.add_argument(f"--{name}", type=int, default=given, required=not given, help=text)
    return parser.parse_args()


def main():
    if os.environ.get("MS_ROLE") == "MS_SCHED":  # msrun starts this once more, for MindSpore's own networking
        return
    args = parse_arguments()
    model_path = args.model_path.replace("{rank}", str(args.rank_id))
    table = rank_table(args.config_file)

    # init context
    context = create_context(args.device_id, args.rank_id)

    # create Model and build Model
    model = mslite.Model()
    model.build_from_file(model_path, mslite.ModelType.MINDIR, context, args.config_file, table)

    # set model input as ones
    inputs = model.get_inputs()
    for input_i in inputs:
        input_i.set_data_from_numpy(np.ones(input_i.shape, dtype=ranks.dtype(input_i)))
    # or as arrays of your own, the same on all ranks
    # inputs = ranks.fill(inputs, np_inputs)

    # execute inference
    outputs = model.predict(inputs)

    # get output and print
    print("\n".join(ranks.describe(outputs)) + "\n", end="", flush=True)


if __name__ == "__main__":
    ranks.run(main)
