"""all-MiniLM-L6-v2 on ranks, once for PyTorch and NumPy: stages, between which the ranks' sums are made."""

import numpy as np
from safetensors.numpy import load_file

LAYERS, HEADS, WIDTH, INNER = 6, 12, 384, 1536


def load(models, rank, ranks):
    """Return (position embeddings (512, 384), [a stage's arrays, ...]): a rank's part of the weights.

    The stages are embedding, then attention and feed-forward in turn, and pooling. Each but the first begins with
    LayerNorm(x + sum + bias): its arrays are bias, gamma, beta, then those of its layers: weights (out, in) split by
    their rows with a bias, and by their columns without.
    """
    weights = load_file(f"{models}/weights.safetensors")

    def norm(bias, key):
        return [bias, weights[f"{key}LayerNorm.weight"], weights[f"{key}LayerNorm.bias"]]

    def part(*keys, axis=0):
        return np.ascontiguousarray(np.concatenate([np.split(weights[key], ranks, axis)[rank] for key in keys]))

    words = part("embeddings.word_embeddings.weight")
    stages = [[np.pad(words, ((1, 1), (0, 0)))]]  # zeros for the words before and after this rank's
    start = norm(weights["embeddings.token_type_embeddings.weight"][0], "embeddings.")
    for key in (f"encoder.layer.{index}." for index in range(LAYERS)):
        qkv = [f"{key}attention.self.{name}." for name in ("query", "key", "value")]
        for up, down in ((qkv, f"{key}attention.output."), ([f"{key}intermediate.dense."], f"{key}output.")):
            layers = [part(*(layer + kind for layer in up)) for kind in ("weight", "bias")]
            stages.append([*start, *layers, part(f"{down}dense.weight", axis=1)])
            start = norm(weights[f"{down}dense.bias"], down)
    return weights["embeddings.position_embeddings.weight"], [*stages, start]


def functions(F, rank):
    """Return the stages' functions, of their arrays and of what they are given; F: as torch.nn.functional."""

    def embed(words, ids):
        before = rank * (len(words) - 2) - 1
        return F.embedding((ids - before).clip(0, len(words) - 1), words).reshape(-1, WIDTH)

    def norm(x, total, bias, gamma, beta):
        return F.layer_norm(x + (total + bias), (WIDTH,), gamma, beta, 1e-12)

    def attend(bias, gamma, beta, qkv_weight, qkv_bias, out, x, total, hidden):
        x = norm(x, total, bias, gamma, beta)
        qkv = F.linear(x, qkv_weight, qkv_bias).reshape(len(hidden), hidden.shape[-1], 3, -1, WIDTH // HEADS)
        q, k, v = (qkv[:, :, index].swapaxes(1, 2) for index in range(3))
        y = F.scaled_dot_product_attention(q, k, v, attn_mask=hidden)
        return x, F.linear(y.swapaxes(1, 2).reshape(x.shape[0], -1), out)

    def feed_forward(bias, gamma, beta, up_weight, up_bias, down, x, total):
        x = norm(x, total, bias, gamma, beta)
        return x, F.linear(F.gelu(F.linear(x, up_weight, up_bias)), down)

    def pool(bias, gamma, beta, x, total, real):
        x = norm(x, total, bias, gamma, beta).reshape(len(real), -1, WIDTH)
        return F.normalize((x * real).sum(1) / real.sum(1), dim=1)

    return [embed, *(attend, feed_forward) * LAYERS, pool]


def predict(stages, positions, total, ids, mask):
    """Return the embeddings (batch, 384): the stages in turn, total(x) summing up over the ranks what they give.

    ids (batch, length) are integers, mask the same in floating point, positions (batch * length, 384).
    """
    first, *blocks, last = stages
    hidden, real = (mask[:, None, None, :] - 1) * 1e4, mask[:, :, None]
    x, sums = positions, total(first(ids))
    for index, block in enumerate(blocks):
        x, sums = block(x, sums) if index % 2 else block(x, sums, hidden)
        sums = total(sums)
    return last(x, sums, real)
