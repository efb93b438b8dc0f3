"""One rank: continue P prompts; rank 0 saves tokens (steps, P) and logits (steps, P, V).

mpirun -n 2 python tests/rank_writer.py X.mindir FILE.npz PROMPTS TOKENS

PROMPTS is JSON, lists of tokens: as many at a time as the model takes, P a multiple of that.
"""

import json
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
import numpy as np

import ranks
from suite import language_model
from suite.generation import Choice, generate


def main():
    comm = ranks.world()
    path, file, prompts, count = sys.argv[1:5]
    writer = language_model.load(path, comm)
    prompts = json.loads(prompts)
    size, tokens, logits = writer.sentences, [], []
    for start in range(0, len(prompts), size):
        made = list(generate(comm, writer, prompts[start : start + size], int(count), Choice(size)))
        tokens.append(np.array([chosen for chosen, _ in made]))
        logits.append(np.array([by for _, by in made]))
    if comm.rank == 0:
        np.savez(file, tokens=np.concatenate(tokens, 1), logits=np.concatenate(logits, 1))


ranks.run(main)
