"""One rank: write after two prompts with the tiny decoder; rank 0 saves tokens (steps, B) and logits (steps, B, V).

mpirun -n 2 python tests/rank_writer.py X.mindir FILE.npz PROMPTS TOKENS [--decode_only]
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
    made = list(generate(comm, writer, prompts, int(count), Choice(len(prompts))))
    if comm.rank == 0:
        np.savez(file, tokens=[tokens for tokens, _ in made], logits=[logits for _, logits in made])


ranks.run(main)
