"""all-MiniLM-L6-v2 on ranks, in PyTorch: stages, between which the ranks' sums are made."""

import functools

import numpy as np
from safetensors.numpy import load_file
from torch.nn import functional as F

LAYERS, HEADS, WIDTH = 6, 12, 384


def load(models, rank, ranks):
    """Return (position embeddings (512, 384), [(a stage's function, a rank's part of its weights), ...]).

    The stages are embedding, then attention and feed-forward in turn, and pooling. Each but the first begins with
    LayerNorm(x + sum + bias): its arrays are bias, gamma, beta, then those of its layers: weights (out, in) split by
    their rows with a bias, and by their columns without.
    """
    weights = load_file(f"{models}/weights.safetensors")

    def norm(bias, key):
        return [bias, weights[f"{key}LayerNorm.weight"], weights[f"{key}LayerNorm.bias"]]

    def part(*keys, axis=0):
        return np.ascontiguousarray(np.concatenate([np.split(weights[key], ranks, axis)[rank] for key in keys]))

    words = weights["embeddings.word_embeddings.weight"]
    words = np.split(np.pad(words, ((0, -len(words) % ranks), (0, 0))), ranks)[rank]
    stages = [[np.pad(words, ((1, 1), (0, 0)))]]  # zeros for the words before and after this rank's
    start = norm(weights["embeddings.token_type_embeddings.weight"][0], "embeddings.")
    for key in (f"encoder.layer.{index}." for index in range(LAYERS)):
        qkv = [f"{key}attention.self.{name}." for name in ("query", "key", "value")]
        for up, down in ((qkv, f"{key}attention.output."), ([f"{key}intermediate.dense."], f"{key}output.")):
            layers = [part(*(layer + kind for layer in up)) for kind in ("weight", "bias")]
            stages.append([*start, *layers, part(f"{down}dense.weight", axis=1)])
            start = norm(weights[f"{down}dense.bias"], down)
    functions = [functools.partial(embed, rank=rank), *(attend, feed_forward) * LAYERS, pool]
    return weights["embeddings.position_embeddings.weight"], list(zip(functions, [*stages, start]))


def embed(words, ids, rank):
    before = rank * (len(words) - 2) - 1
    return F.embedding((ids - before).clip(0, len(words) - 1), words).reshape(-1, WIDTH)


def norm(x, total, bias, gamma, beta):
    return F.layer_norm(x + (total + bias), (WIDTH,), gamma, beta, 1e-12)


def attend(bias, gamma, beta, qkv_weight, qkv_bias, out, x, total, hidden):
    x = norm(x, total, bias, gamma, beta)
    qkv = F.linear(x, qkv_weight, qkv_bias).reshape(len(hidden), hidden.shape[-1], 3, -1, WIDTH // HEADS)
    q, k, v = qkv.permute(2, 0, 3, 1, 4)
    y = F.scaled_dot_product_attention(q, k, v, attn_mask=hidden)
    return x, F.linear(y.swapaxes(1, 2).reshape(x.shape[0], -1), out)


def feed_forward(bias, gamma, beta, up_weight, up_bias, down, x, total):
    x = norm(x, total, bias, gamma, beta)
    return x, F.linear(F.gelu(F.linear(x, up_weight, up_bias)), down)


def pool(bias, gamma, beta, x, total, real):
    x = norm(x, total, bias, gamma, beta).reshape(len(real), -1, WIDTH)
    return F.normalize((x * real).sum(1) / real.sum(1), dim=1)


def predict(stages, positions, total, ids, mask):
    """Return the embeddings (batch, 384) of ids (batch, length): total(x) sums up over the ranks between two stages."""
    hidden, real = (mask[:, None, None, :] - 1) * 1e4, mask[:, :, None]
    x, sums = positions, total(stages[0](ids))
    for attention, feed in zip(stages[1:-1:2], stages[2:-1:2]):
        x, sums = attention(x, sums, hidden)
        x, sums = feed(x, total(sums))
        sums = total(sums)
    return stages[-1](x, sums, real)
