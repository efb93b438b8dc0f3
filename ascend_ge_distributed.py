"""One rank on Ascend: GE runs the rank's shard, HCCL its collectives.

    python3 ascend_ge_distributed.py --model_path=models/Matmul0.mindir --device_id=0 --rank_id=0 \\
        --config_file=config_file.ini &
    python3 ascend_ge_distributed.py --model_path=models/Matmul1.mindir --device_id=1 --rank_id=1 \\
        --config_file=config_file.ini

One process a rank, each with its own shard, device and rank; config_file.ini names the rank table that joins them.
"""

import argparse

import mindspore_lite as mslite

import inference


def create_context(device_id, rank_id):
    """Return a Context for this rank's device; raise Stop (status 3) where mindspore_lite can't tell it its rank."""
    context = mslite.Context()
    # set Ascend target and distributed info
    context.target = ["Ascend"]
    # before 2.1 these are no properties: setting them does nothing, and every rank would run alone
    if not isinstance(getattr(type(context.ascend), "rank_id", None), property):
        raise inference.Stop(
            inference.UNAVAILABLE,
            f"mindspore_lite {mslite.__version__} has no distributed inference on Ascend, 2.1 or later has: install it",
        )
    context.ascend.device_id = device_id
    context.ascend.rank_id = rank_id
    context.ascend.provider = "ge"
    return context


def main(comm):
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--model_path", required=True, help="this rank's shard")
    parser.add_argument("--device_id", type=int, required=True, help="this rank's device on this server")
    parser.add_argument("--rank_id", type=int, required=True, help="this rank")
    parser.add_argument("--config_file", default="", help="names the rank table, in its section [ascend_context]")
    args = parser.parse_args()

    # init context
    context = create_context(args.device_id, args.rank_id)

    # create Model and build Model
    model = mslite.Model()
    model.build_from_file(args.model_path, mslite.ModelType.MINDIR, context, args.config_file)

    # set model input as ones
    inputs = model.get_inputs()
    inputs, _ = inference.fill_inputs(model, inputs)

    # execute inference
    outputs = model.predict(inputs)

    # get output and print
    inference.print_outputs(outputs, comm)


if __name__ == "__main__":
    inference.run(main, inference.alone())
