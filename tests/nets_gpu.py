"""Run all nets in folders on GPUs, each in its own process, several at a time, and print which are right.

    .venv/bin/python tests/nets_gpu.py FOLDER... [--at_a_time=20] [--known=FILE]

A net is X.mindir with X.npz beside it, as for nets_table.py. Right means within 2e-3 (float16: 1e-2) of the expected
outputs, relative to the largest value or 1: TensorRT computes float32 in TF32. --known wrote repairs/known_gpu.tsv.
"""

import argparse
import json
import os
import subprocess
import sys
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from itertools import cycle
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
LIMIT = 90  # seconds per net
UNCLEAR = "Select"  # right in some nets and wrong in others, so never known to be right


def run_one(path):
    """Run the net at `path` and print the result as JSON: {"primitives", "errors" or "refused" or "failed"}."""
    import mindspore_lite as mslite
    from nets_worker import difference, stored

    import mindir
    import ranks
    from gpu_trt_distributed import create_context
    from mindir.graph import Graph
    from mindir.repairs import known
    from suite import reading, tensorrt

    comm, result = ranks.world(), {}
    arrays = path[: -len("mindir")] + "npz"
    try:
        shard = mindir.repair(reading.load(path), "gpu")
        found = known.primitives(Graph(shard.path, shard.model))
        result["primitives"] = sorted({f"{op} {dtype}" for _, op, dtype in found})
        context, model = create_context(comm), mslite.Model()
        with tensorrt.prepared(comm, context, path) as (built, configuration):
            model.build_from_file(built, mslite.ModelType.MINDIR, context, configuration)
        tensors = model.get_inputs()
        given = [array.astype(ranks.dtype(tensor)) for tensor, array in zip(tensors, stored(arrays, "in"))]
        ranks.fill(tensors, given)
        model.predict(tensors)
        made, wanted = [output.get_data_to_numpy() for output in model.predict(tensors)], stored(arrays, "out")
        is_half = ["float16" in array.dtype.name for array in wanted]
        errors = [difference(*pair) for pair in zip(made, wanted)]
        result["errors"] = errors + [float("inf")] * (len(made) != len(wanted))
        result["right"] = all(error <= (1e-2 if half else 2e-3) for error, half in zip(errors, is_half))
    except (mindir.MindIRError, ranks.Stop) as error:
        result["refused"] = str(error)
    except RuntimeError as error:
        result["failed"] = str(error)
    print(json.dumps(result), flush=True)
    os._exit(0)  # TensorRT's own end may crash


def run_net(path, card, is_all):
    """Return the net's verdict, what `run_one` printed, and an explanation."""
    environment = dict(os.environ, CUDA_VISIBLE_DEVICES=card, GLOG_v="4", PYTHONPATH=str(Path(__file__).parent))
    if is_all:
        environment["NETS_KNOWN"] = "1"
    command = [sys.executable, __file__, "--one", str(path)]
    try:
        done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, timeout=LIMIT, check=False)
    except subprocess.TimeoutExpired:
        return "HUNG", {}, f"no answer in {LIMIT} s"
    lines = done.stdout.decode(errors="replace").splitlines()
    if done.returncode or not lines:
        return "CRASHED", {}, f"status {done.returncode}"
    answer = json.loads(lines[-1])
    if "errors" in answer:
        return "right" if answer["right"] else "WRONG", answer, str(answer["errors"])
    return "refused" if "refused" in answer else "not built", answer, answer.get("refused") or answer["failed"]


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0], allow_abbrev=False)
    parser.add_argument("folders", nargs="*", metavar="FOLDER", help="with X.mindir and X.npz")
    parser.add_argument("--at_a_time", type=int, default=20, metavar="N", help="processes at a time (default: 20)")
    parser.add_argument("--cards", default="0,1", help="the cards, which take turns (default: 0,1)")
    parser.add_argument("--known", metavar="FILE", help="write what the right nets are made of")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    parser.add_argument("--all", action="store_true", help="refuse nothing for not being known")
    args = parser.parse_args()
    if args.one:
        run_one(args.one)
    nets = [net for folder in args.folders for net in sorted(Path(folder).glob("*.mindir"))]
    counted, seen = Counter(), {}
    print("| net | result | why |\n|-|-|-|")
    with ThreadPoolExecutor(args.at_a_time) as pool:
        cards = cycle(args.cards.split(","))
        verdicts = pool.map(lambda pair: run_net(*pair, args.all), zip(nets, cards))
        for net, (verdict, answer, words) in zip(nets, verdicts):
            counted[verdict] += 1
            print(f"| {net.stem} | {verdict} | {words} |", flush=True)
            for primitive in answer.get("primitives", ()) if verdict == "right" else ():
                op, dtype = primitive.split()
                seen.setdefault(op, set()).add(dtype)
    print(", ".join(f"{number} {verdict}" for verdict, number in sorted(counted.items())))
    seen.pop(UNCLEAR, None)
    if args.known:
        with open(args.known, "w") as file:
            file.write("# primitive, dtypes of its first input: by tests/nets_gpu.py --known\n")
            file.writelines("\t".join((op, *sorted(dtypes))) + "\n" for op, dtypes in sorted(seen.items()))
    return 1 if set(counted) & {"WRONG", "CRASHED", "HUNG"} else 0


if __name__ == "__main__":
    sys.exit(main())
