"""One rank on Ascend: GE runs the rank's shard, HCCL its collectives.

    python3 ascend_ge_distributed.py --model_path=models/Matmul0.mindir --device_id=0 --rank_id=0 \\
        --config_file=config_file.ini &
    python3 ascend_ge_distributed.py --model_path=models/Matmul1.mindir --device_id=1 --rank_id=1 \\
        --config_file=config_file.ini

One process a rank, each with its own shard, device and rank; config_file.ini names the rank table that joins them.
"""

import ctypes
import os

import mindspore_lite as mslite

import inference

TOLERANCE = {"float32": 1e-2, "float16": 1e-2}  # GE computes float32 in float16 unless the configuration says otherwise


def create_context(device_id, rank_id):
    """Return a Context for this rank's device; raise Stop (status 3) where mindspore_lite or CANN can't serve it."""
    context = mslite.Context()
    # set Ascend target and distributed info
    context.target = ["Ascend"]
    # before 2.1 these are no properties: setting them does nothing, and every rank would run alone
    missing = [name for name in ("rank_id", "provider") if not _is_property(context.ascend, name)]
    if missing:
        found = f"mindspore_lite {mslite.__version__} has no context.ascend.{missing[0]}"
        message = f"{found}: distributed inference on Ascend needs the vendor's 2.1 or later: install it"
        raise inference.Stop(inference.UNAVAILABLE, message)
    try:
        ctypes.CDLL("libascendcl.so")
    except OSError as error:
        home = os.environ.get("ASCEND_HOME_PATH", "/usr/local/Ascend/ascend-toolkit")
        message = f"CANN isn't there: {error}: install it, and before the start: source {home}/set_env.sh"
        raise inference.Stop(inference.UNAVAILABLE, message) from None
    context.ascend.device_id = device_id
    context.ascend.rank_id = rank_id
    context.ascend.provider = "ge"
    return context


def _is_property(device, name):
    return isinstance(getattr(type(device), name, None), property)


def rank_table(config_file):
    """Return what to build with beside the configuration file: its rank table with the path made absolute.

    GE takes a relative path from where the process was started; here it is taken from the configuration file's folder.
    Raises Stop (status 2) where RANK_TABLE_FILE in the environment, which others read, names another one.
    """
    lines, section, path = [], "", ""
    if config_file:
        with open(config_file, encoding="utf-8") as file:
            lines = [line.strip() for line in file]
    for line in lines:  # as mindspore_lite reads it: the first of two equal keys counts
        key, _, value = (each.strip() for each in line.partition("="))
        section = line if line.startswith("[") else section
        if section == "[ascend_context]" and key == "rank_table_file" and not path:
            path = os.path.join(os.path.dirname(os.path.abspath(config_file)), value)
    other = os.environ.get("RANK_TABLE_FILE") or path
    if os.path.realpath(other) != os.path.realpath(path):
        names = f"rank_table_file is {path or 'not set'}, but RANK_TABLE_FILE in the environment is {other}"
        raise inference.Stop(inference.REFUSED, f"{config_file or 'no --config_file'}: {names}: unset it")
    if not path:
        return {}
    return {"ascend_context": {"rank_table_file": path}}


def parse_arguments():
    parser = inference.argument_parser(__doc__)
    model = parser.add_argument_group("model")
    model.add_argument("--model_path", metavar="X1.mindir", required=True, help="this rank's shard")
    config = "mindspore_lite's configuration file, which names the rank table (default: none, for one rank)"
    model.add_argument("--config_file", metavar="FILE", default="", help=config)
    rank = parser.add_argument_group("rank")
    rank.add_argument("--device_id", metavar="N", type=int, required=True, help="this rank's device on this server")
    rank.add_argument("--rank_id", metavar="N", type=int, required=True, help="this rank, from 0")
    return parser.parse_args()


def main(comm):
    args = parse_arguments()

    # init context
    context = create_context(args.device_id, args.rank_id)
    table = rank_table(args.config_file)

    # create Model and build Model
    model = mslite.Model()
    model.build_from_file(args.model_path, mslite.ModelType.MINDIR, context, args.config_file, table)

    # set model input as ones
    inputs = model.get_inputs()
    inputs, arrays = inference.fill_inputs(model, inputs)

    # execute inference
    outputs = model.predict(inputs)

    # get output and print
    inference.print_outputs(outputs, comm)


if __name__ == "__main__":
    inference.run(main, inference.alone())
