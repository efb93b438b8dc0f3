"""How long do 1,000 sentences take? examples/embed.py, as it was before it had a Session, and sentence-transformers.

    python3 benchmarks/sentences.py --model=models/MiniLM.mindir --earlier_model=OLD/MiniLM.mindir \\
        --package=FOLDER --peers=PEERS

PEERS is a Python with sentence-transformers and PyTorch; FOLDER is the model that the exporter takes from PyPI,
unpacked. Whole commands are timed, from the start of Python to the file with the embeddings, in turns. The earlier
embed.py, which started all ranks for each batch, takes the first 100 sentences only. All run on the CPU.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

root = Path(__file__).resolve().parent.parent
EARLIER, FEW = "8560e34", 100  # the commit before the Session
WORDS = {
    "who": "a teacher,my neighbour,the old captain,nobody,a child in a red coat,the committee,her dog,a tired nurse",
    "does": "reads about,has forgotten,paints,repairs,is looking for,wrote a long letter about,sells,dreams of",
    "what": "the bridge,two bicycles,an unknown planet,the town's budget,old songs,a lost key,the weather,warm bread",
    "when": "every morning,before the storm,while it rains,in the summer of 1969,after work,again,at night,on Sundays",
}
PEER = """
import sys, numpy as np, torch
from sentence_transformers import SentenceTransformer

folder, sentences, output, length = sys.argv[1:]
torch.set_num_threads(2)
model = SentenceTransformer(folder, device="cpu")
model.max_seq_length = int(length)
np.savez(output, embeddings=model.encode(open(sentences, encoding="utf-8").read().splitlines(), batch_size=32))
"""


def make_sentences(count, is_long):
    """Return this many different sentences: of about 12 words, or of over 100."""
    lists, draw = [text.split(",") for text in WORDS.values()], np.random.RandomState(1)
    numbers = draw.permutation(8**4)

    def one(number):
        return " ".join(words[number // 8**place % 8] for place, words in enumerate(lists))

    if not is_long:
        return [f"{one(number)}." for number in numbers[:count]]
    return [". ".join(one(each) for each in draw.choice(8**4, 14)) for _ in range(count)]


def timed(words, folder, **environment):
    began = time.perf_counter()
    done = subprocess.run(list(map(str, words)), capture_output=True, cwd=str(folder),
                          env={**os.environ, **environment})  # fmt: skip
    if done.returncode:
        sys.exit(f"{words[0]}: status {done.returncode}: {done.stderr.decode()[-2000:]}")
    return time.perf_counter() - began


def earlier(folder):
    """Lay the earlier suite out in the folder; return its embed.py."""
    archive = subprocess.run(["git", "archive", EARLIER], cwd=str(root), stdout=subprocess.PIPE, check=True).stdout
    subprocess.run(["tar", "x", "-C", str(folder)], input=archive, check=True)
    return Path(folder) / "examples" / "embed.py"


def embeddings(file):
    return np.load(str(file))["embeddings"]


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0], allow_abbrev=False)
    parser.add_argument("--model", required=True, metavar="X.mindir", help="the sharded MiniLM")
    what = "the same, as the earlier exporter made it"
    parser.add_argument("--earlier_model", required=True, metavar="X.mindir", help=what)
    parser.add_argument("--package", required=True, metavar="FOLDER", help="sentence-transformers' form of it")
    parser.add_argument("--peers", required=True, metavar="PYTHON", help="what has sentence-transformers")
    parser.add_argument("--length", type=int, default=128, metavar="N", help="the model's tokens (default: 128)")
    parser.add_argument("--long", action="store_true", help="sentences of over 100 words, not of about 12")
    parser.add_argument("--count", type=int, default=1000, metavar="N", help="sentences (default: 1000)")
    parser.add_argument("--rounds", type=int, default=3, metavar="N", help="turns of each (default: 3)")
    args = parser.parse_args()
    found = {"embed": [], "earlier": [], "peer": []}
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryDirectory() as before:
        sentences = make_sentences(args.count, args.long)
        (Path(folder) / "all.txt").write_text("\n".join(sentences), encoding="utf-8")
        (Path(folder) / "few.txt").write_text("\n".join(sentences[:FEW]), encoding="utf-8")
        rank = {"PYTHON": sys.executable}  # the ranks', for both: nothing is installed
        now_model, old_model = (
            [f"--model_path={Path(path).resolve()}", "--backend=cpu", "--check=off"]
            for path in (args.model, args.earlier_model)
        )
        now, old = [sys.executable, root / "examples" / "embed.py"], [sys.executable, earlier(before)]
        for _ in range(args.rounds):
            words = [*now, "--file=all.txt", "--output=now.npz", *now_model]
            found["embed"].append(timed(words, folder, **rank) / args.count)
            words = [*old, "--file=few.txt", "--output=old.npz", *old_model]
            found["earlier"].append(timed(words, folder, **rank) / FEW)
            words = [args.peers, "-c", PEER, args.package, "all.txt", "peer.npz", args.length]
            found["peer"].append(timed(words, folder) / args.count)
        mine, theirs = embeddings(f"{folder}/now.npz"), embeddings(f"{folder}/peer.npz")
        old_error = np.max(np.abs(mine[:FEW] - embeddings(f"{folder}/old.npz")))
        error = np.max(np.abs(mine - theirs))
    for name, times in found.items():
        print(f"{name}: {1e3 * np.median(times):.2f} ms a sentence, {[round(1e3 * each, 2) for each in times]}")
    for name in ("earlier", "peer"):
        ratio = np.median([theirs / mine for mine, theirs in zip(found["embed"], found[name])])
        print(f"embed is {ratio:.2f} times as fast as {name}")
    print(f"differences: {old_error:.1e} from the earlier, {error:.1e} from sentence-transformers")
    print(f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")


if __name__ == "__main__":
    main()
