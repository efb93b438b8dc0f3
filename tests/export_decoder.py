"""Export a tiny decoder with random weights for 2 and 3 ranks: FOLDER/N/Tiny.prefill.mindir, ..., weights.npz.

    .venv-export/bin/python tests/export_decoder.py FOLDER

2 blocks, 72 wide, 6 heads of queries and 3 of keys and values, 263 words: neither words nor groups can be split evenly
over 2 ranks.
"""

import functools
import os
import sys

import numpy as np

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path[:0] = [ROOT, os.path.join(ROOT, "models")]
from decoder_layers import Decoder, decoder_inputs  # noqa: E402  (found only now)
from export_smollm import Config  # noqa: E402
from tensor_parallel import export_shards  # noqa: E402

CONFIG = Config(2, 72, 6, 3, 16, 1e4, 1e-5, 64)
BATCH, CONTEXT, CHUNK, WORDS, INNER = 2, 32, 5, 263, 96


def weights():
    """Return the weights by GGUF's names: large enough for scores that differ."""
    random, width = np.random.RandomState(5), CONFIG.width
    queries, keys = CONFIG.heads * CONFIG.head, CONFIG.kv_heads * CONFIG.head
    shapes = {"attn_q": (width, queries), "attn_k": (width, keys), "attn_v": (width, keys)}
    shapes.update(attn_output=(queries, width), ffn_gate=(width, INNER), ffn_up=(width, INNER), ffn_down=(INNER, width))
    made = {"token_embd": random.standard_normal((WORDS, width)), "output_norm": 1 + random.standard_normal(width) / 4}
    for block in range(CONFIG.blocks):
        for name, shape in shapes.items():
            made[f"blk.{block}.{name}"] = random.standard_normal(shape) * 2 / np.sqrt(shape[0])
        for name in ("attn_norm", "ffn_norm"):
            made[f"blk.{block}.{name}"] = 1 + random.standard_normal(width) / 4
    return {name: array.astype(np.float32) for name, array in made.items()}


def main():
    arrays, folder = weights(), sys.argv[1]
    np.savez(os.path.join(folder, "weights.npz"), **arrays)
    for ranks, collective in ((2, "reduce_scatter"), (3, "all_reduce")):
        os.mkdir(os.path.join(folder, str(ranks)))
        for net, length in (("prefill", CHUNK), ("decode", 1)):
            make_net = functools.partial(Decoder, CONFIG, arrays, BATCH, CONTEXT, collective)
            inputs = functools.partial(decoder_inputs, CONFIG, BATCH, length, CONTEXT)
            export_shards(make_net, inputs, ranks, os.path.join(folder, str(ranks), f"Tiny.{net}.mindir"))


if __name__ == "__main__":
    main()
