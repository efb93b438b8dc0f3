"""Two models on one Ascend device that share their weights, such as prefill and decode of one network.

    python3 ascend_ge_shared_weights.py --model_path models/Prefill.mindir models/Decode.mindir \\
        --device_id=0 --rank_id=0 --config_file=config_file.ini

Of a distributed model, start one process a rank, each with its shards of both (Prefill0.mindir Decode0.mindir). The two
are put into one group before either is built; GE then keeps one copy of what has the same name in both.
"""

import mindspore_lite as mslite

import inference
import mindir
from ascend_ge_distributed import create_context, rank_table


def parse_arguments():
    parser = inference.argument_parser(__doc__)
    model = parser.add_argument_group("model")
    models = "two models of the same weights, or this rank's shards of them"
    model.add_argument("--model_path", metavar="X.mindir", nargs=2, required=True, help=models)
    config = "mindspore_lite's configuration file, which names the rank table (default: none, for one rank)"
    model.add_argument("--config_file", metavar="FILE", default="", help=config)
    rank = parser.add_argument_group("rank")
    rank.add_argument("--device_id", metavar="N", type=int, required=True, help="this rank's device on this server")
    rank.add_argument("--rank_id", metavar="N", type=int, required=True, help="this rank, from 0")
    return parser.parse_args()


def main(comm):
    args = parse_arguments()

    # what can't be shared, before any card is touched
    mindir.check_shared(*map(mindir.load, args.model_path))
    context = create_context(args.device_id, args.rank_id)
    if not hasattr(mslite, "ModelGroup"):
        message = f"mindspore_lite {mslite.__version__} has no ModelGroup, which shares weights: install 2.1 or later"
        raise inference.Stop(inference.UNAVAILABLE, message)

    # one group of both models: a model that is built already would share nothing
    models = [mslite.Model(), mslite.Model()]
    group = mslite.ModelGroup(mslite.ModelGroupFlag.SHARE_WEIGHT)
    group.add_model(models)

    # build both, with the same options: they get one session of GE
    options = rank_table(args.config_file)
    options["ge_session_options"] = {"ge.externalWeight": "1"}  # constants, too: GE shares variables alone
    for model, path in zip(models, args.model_path):
        model.build_from_file(path, mslite.ModelType.MINDIR, context, args.config_file, options)

    # set inputs as ones, execute inference, get output and print: one after the other
    for model, path in zip(models, args.model_path):
        inputs, _ = inference.fill_inputs(model, model.get_inputs())
        outputs = model.predict(inputs)
        print(f"{path}:")
        inference.print_outputs(outputs, comm)


if __name__ == "__main__":
    inference.run(main, inference.alone())
