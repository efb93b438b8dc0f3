"""How long do 1,000 sentences take? examples/embed.py and sentence-transformers, in turns, on the CPU.

    python3 benchmarks/sentences.py --model=models/MiniLM.mindir --package=FOLDER --peers=PEERS --words=12

PEERS is a Python with sentence-transformers and PyTorch; FOLDER is the model that the exporter takes from PyPI,
unpacked; --length are the model's tokens, --words those of a sentence, half as many to half as many again. Whole
commands are timed, from the start of Python to the file with the embeddings.
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import work

WORDS = """a teacher my neighbour the old captain nobody child in red coat committee her dog tired nurse reads about has
forgotten paints repairs is looking for wrote long letter sells dreams of bridge two bicycles an unknown planet budget
songs lost key weather warm bread every morning before storm while it rains summer again at night on Sundays"""
PEER = """
import sys, numpy as np, torch
from sentence_transformers import SentenceTransformer

package, sentences, output, length = sys.argv[1:]
torch.set_num_threads(2)
model = SentenceTransformer(package, device="cpu")
model.max_seq_length = int(length)
np.savez(output, embeddings=model.encode(open(sentences, encoding="utf-8").read().splitlines(), batch_size=32))
"""


def main():
    args = work.options(__doc__, model=str, package=str, peers=str, length=128, words=12, count=1000, rounds=3)
    draw, model, package = np.random.RandomState(1), os.path.abspath(args.model), os.path.abspath(args.package)
    os.environ["PYTHON"] = sys.executable  # the ranks': nothing is installed
    counts = (draw.randint(args.words // 2, args.words * 3 // 2 + 1) for _ in range(args.count))
    with tempfile.TemporaryDirectory() as folder:
        text = "".join(f"{' '.join(draw.choice(WORDS.split(), count)).capitalize()}.\n" for count in counts)
        Path(folder, "all.txt").write_text(text, encoding="utf-8")

        def ms(*command):
            words = {"check": True, "cwd": folder, "stdout": subprocess.DEVNULL}
            return work.ms(subprocess.run, command, **words) / args.count

        embed = [sys.executable, work.ROOT / "examples" / "embed.py", f"--model_path={model}"]
        embed += ["--file=all.txt", "--output=embed.npz", "--backend=cpu", "--check=off"]
        peer = [args.peers, "-c", PEER, package, "all.txt", "peer.npz", str(args.length)]
        peers = {"embed": lambda: ms(*embed), "sentence-transformers": lambda: ms(*peer)}
        work.compare(f"{args.count} sentences", "ms a sentence", args.rounds, **peers)
        mine, theirs = (np.load(f"{folder}/{name}.npz")["embeddings"] for name in ("embed", "peer"))
    print(f"the embeddings differ by {np.max(np.abs(mine - theirs)):.1e} at most")


main()
