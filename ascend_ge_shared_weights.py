"""Two models on one Ascend device that share their weights, such as prefill and decode of one network.

    python3 ascend_ge_shared_weights.py --model_path models/Prefill.mindir models/Decode.mindir \\
        --device_id=0 --rank_id=0 --config_file=config_file.ini

Of a distributed model, start one process per rank, each with its shards of both (Prefill0.mindir Decode0.mindir). The
two are put into one group before either is built; GE then keeps one copy of what has the same name in both.
To copy this page, take ranks.py, mindir/ and ascend_ge_distributed.py along.
"""

import argparse

import mindspore_lite as mslite
import numpy as np

import mindir
import ranks
from ascend_ge_distributed import create_context, rank_table

OPTIONS = {"ge_session_options": {"ge.externalWeight": "1"}}  # for constants: GE shares only variables by itself


def new_group():
    """Return a ModelGroup that shares weights; raise Stop (status 3) if this mindspore_lite has none."""
    if not hasattr(mslite, "ModelGroup"):
        message = f"mindspore_lite {mslite.__version__} has no ModelGroup, which shares weights: install 2.1 or later"
        raise ranks.Stop(ranks.UNAVAILABLE, message)
    return mslite.ModelGroup(mslite.ModelGroupFlag.SHARE_WEIGHT)


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    models = "two models of the same weights, or this rank's shards of them"
    parser.add_argument("--model_path", metavar="X.mindir", nargs=2, required=True, help=models)
    config = "mindspore_lite's configuration file, which names the rank table (default: none, for one rank)"
    parser.add_argument("--config_file", default="", help=config)
    parser.add_argument("--device_id", type=int, required=True, help="this rank's device on this server")
    parser.add_argument("--rank_id", type=int, required=True, help="this rank, from 0")
    return parser.parse_args()


def main():
    args = parse_arguments()
    options = {**rank_table(args.config_file), **OPTIONS}

    # refuse what can't be shared, before any device is touched
    mindir.check_shared(*map(mindir.load, args.model_path))

    # init context
    context = create_context(args.device_id, args.rank_id)

    # create both Models in one group: a model that is built already would share nothing
    models = [mslite.Model(), mslite.Model()]
    group = new_group()
    group.add_model(models)

    # build both Models, with the same options: they get one session of GE
    for model, path in zip(models, args.model_path):
        model.build_from_file(path, mslite.ModelType.MINDIR, context, args.config_file, options)

    for model, path in zip(models, args.model_path):
        # set model input as ones
        inputs = model.get_inputs()
        for input_i in inputs:
            input_i.set_data_from_numpy(np.ones(input_i.shape, dtype=ranks.dtype(input_i)))

        # execute inference
        outputs = model.predict(inputs)

        # get output and print
        print("\n".join([f"{path}:", *ranks.describe(outputs)]) + "\n", end="", flush=True)


if __name__ == "__main__":
    ranks.run(main)
