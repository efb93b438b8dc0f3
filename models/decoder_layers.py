"""Layers of a decoder, a language model that writes, split over ranks as tensor_parallel.py does it.

Nets for several lengths L have the same weights under the same names, so that a device can share them: one that reads
a prompt, many tokens at a time, and one that writes, a token at a time. They also have the same nodes, with nothing in
them that depends on L: CPU ranks, whose engine takes other shapes as it runs, build one net for all lengths.

B sentences of L tokens, H wide; a head is W wide; T is the context, the room in the cache. float32 but for what is
said to be int32. What a rank has of the attention are whole groups: one head of keys and values, with the `share` heads
of queries that use it. Groups that can't be dealt out evenly get company: groups of zeros, which add nothing, so that
all ranks' caches have one shape (3 groups on 2 ranks are 4, on 4 ranks as well).
"""

import mindspore as ms
import numpy as np
from mindspore import nn, ops
from tensor_parallel import (
    COLLECTIVES,
    ColumnParallel,
    GatherColumns,
    RowParallel,
    Sum,
    here,
    parameter,
    part,
)


def groups_of_rank(kv_heads):
    """Return how many heads of keys and values a rank has in its cache, the padding included."""
    return -(-kv_heads // here.ranks)


def padded(array, axis, size):
    """Return the array with zeros behind it along an axis, up to this size."""
    widths = [(0, 0)] * array.ndim
    widths[axis] = (0, size - array.shape[axis])
    return np.pad(array, widths)


def by_rank(*weights):
    """Return the weights (K, N) side by side, but rank by rank: a rank's columns of all of them lie together."""
    parts = [np.split(weight, here.ranks, 1) for weight in weights]
    return np.concatenate([part[rank] for rank in range(here.ranks) for part in parts], 1)


class Between(nn.Cell):
    """x[..., first:last] along one axis of `dimensions`, to the end without `last`; the others stay whole.

    Not by Split: mindspore_lite 2.0.0 doesn't build some nets that split what was reshaped.
    """

    def __init__(self, axis, first, last=None, dimensions=4):
        super().__init__()
        self.slice = ops.Slice()
        self.begin = tuple(first if dimension == axis else 0 for dimension in range(dimensions))
        self.size = tuple(last - first if dimension == axis and last else -1 for dimension in range(dimensions))

    def construct(self, x):
        return self.slice(x, self.begin, self.size)


class RMSNorm(nn.Cell):
    """x / sqrt(mean of x^2 over the last axis + epsilon) * weight, x (M, H) (Zhang and Sennrich, arXiv:1910.07467).

    Without a weight (H,) where the next product's has been multiplied by it. Not by Rsqrt: mindspore_lite 2.0.0's on
    the CPU is off by 1e-4.
    """

    def __init__(self, epsilon, weight=None):
        super().__init__()
        self.epsilon, self.weight = epsilon, None if weight is None else parameter(weight, "weight")
        self.mean, self.sqrt = ops.ReduceMean(keep_dims=True), ops.Sqrt()

    def construct(self, x):
        y = x / self.sqrt(self.mean(x * x, 1) + self.epsilon)
        return y if self.weight is None else y * self.weight


class TiedEmbedding(nn.Cell):
    """One table (V, H), split by vocabulary, for what goes in and what comes out: ids (B, L) int32 -> (B L, H), back.

    A rank has V / ranks rows, rounded up and filled with zeros, and gives zeros for another rank's ids, so the sum over
    the ranks is the row. scores(x) are the products of x (M, H) with all rows: (M, V), on all ranks.
    """

    def __init__(self, table, collective=COLLECTIVES[0]):
        super().__init__()
        size, self.rows = len(table), -(-len(table) // here.ranks)
        self.table = parameter(part(padded(table, 0, self.rows * here.ranks), 0, "rows"), "table")
        self.ranks, self.first, self.flat = here.ranks, here.rank * self.rows, (-1, table.shape[1])
        self.minimum, self.maximum, self.gather, self.cast = ops.Minimum(), ops.Maximum(), ops.Gather(), ops.Cast()
        self.abs, self.reshape, self.sum = ops.Abs(), ops.Reshape(), Sum(collective, by_rows=False)
        self.multiply, self.across = ops.MatMul(transpose_b=True), GatherColumns()
        self.real = Between(1, 0, size, dimensions=2) if size < self.rows * here.ranks else None

    def construct(self, ids):
        if self.ranks == 1:
            return self.reshape(self.gather(self.table, ids, 0), self.flat)
        ids = self.reshape(ids - self.first, (-1,))
        inside = self.minimum(self.maximum(ids, 0), self.rows - 1)
        mine = self.cast(1 - self.minimum(self.abs(ids - inside), 1), ms.float32)  # 1 or 0
        return self.sum(self.gather(self.table, inside, 0) * self.reshape(mine, (-1, 1)))

    def scores(self, x):
        y = self.across(self.multiply(x, self.table))
        return y if self.real is None else self.real(y)


class Rotary(nn.Cell):
    """Matrices by which queries and keys are turned: positions (B, L) int32 -> (B L, W, W), one for each token.

    Number i of a head's first half and number i of its second are turned by position * theta^(-2 i / W) (Su and others,
    arXiv:2104.09864, with the halves as Hugging Face's Llama has them). Cosines and sines come from tables of the
    context's T positions, as no engine's Cos is exact; later ones, of padding, take the last row. As a matrix, made
    once for all blocks: a block then has one product for it, and not six small nodes.
    """

    def __init__(self, context, width, theta):
        super().__init__()
        angle = np.arange(context)[:, None] * theta ** (-np.arange(0, width, 2) / width)
        cos, sin = np.cos(angle), np.sin(angle)
        self.cos = parameter(np.concatenate([cos, cos], 1).astype(np.float32), "cos")
        self.sin = parameter(np.concatenate([-sin, sin], 1).astype(np.float32), "sin")
        one = np.eye(width, dtype=np.float32)[None]
        self.straight, self.crossed = ms.Tensor(one), ms.Tensor(np.roll(one, width // 2, 1))
        self.last, self.shape = context - 1, (-1, 1, width)
        self.gather, self.minimum, self.reshape = ops.Gather(), ops.Minimum(), ops.Reshape()

    def construct(self, positions):
        places = self.reshape(self.minimum(positions, self.last), (-1,))
        cos = self.reshape(self.gather(self.cos, places, 0), self.shape)
        sin = self.reshape(self.gather(self.sin, places, 0), self.shape)
        return self.straight * cos + self.crossed * sin


class Mask(nn.Cell):
    """What is added to the scores, (B, 1, share L, T + L), by positions (B, L) int32: 0 or -1e4, as exp(-1e4) is 0.

    The rows are those of `share` heads of queries. What lies in the cache before the first of these tokens counts, and
    of the tokens themselves each sees itself and those before it. positions are each token's place in its sentence, one
    more from token to token.
    """

    def __init__(self, context, share, batch):
        super().__init__()
        self.places = ms.Tensor(np.arange(1, context + 1, dtype=np.float32)[None])
        self.first, self.share = Between(1, 0, 1, dimensions=2), share
        self.row, self.column, self.batch, self.context = (batch, 1, -1, 1), (batch, 1, 1, -1), batch, context
        self.minimum, self.maximum, self.reshape = ops.Minimum(), ops.Maximum(), ops.Reshape()
        self.cast, self.tile, self.along = ops.Cast(), ops.Tile(), ops.Concat(3)

    def far(self, difference):
        return self.maximum(self.minimum(difference, 0.0), -1.0) * 1e4

    def construct(self, positions):
        positions = self.cast(positions, ms.float32)
        rows = self.reshape(positions, self.row)
        cached = self.reshape(self.far(self.first(positions) - self.places), (self.batch, 1, 1, self.context))
        cached = self.minimum(cached, rows)  # as it is, but once for each token: no position is below 0
        causal = self.far(rows - self.reshape(positions, self.column))
        return self.tile(self.along((cached, causal)), (1, 1, self.share, 1))


class AtPosition(nn.Cell):
    """x's row of the token at position `last` (B,) int32 in each sentence: x (B L, H), positions (B, L) -> (B, H).

    As a product with 1 there and 0 elsewhere, which any value of `last` leaves within x.
    """

    def __init__(self, batch, width):
        super().__init__()
        self.one, self.rows, self.column, self.wide = (batch, 1, -1), (batch, -1, width), (batch, 1), (batch, width)
        self.minimum, self.abs, self.cast = ops.Minimum(), ops.Abs(), ops.Cast()
        self.reshape, self.multiply = ops.Reshape(), ops.BatchMatMul()

    def construct(self, x, positions, last):
        distance = self.abs(positions - self.reshape(last, self.column))
        chosen = self.cast(1 - self.minimum(distance, 1), ms.float32)
        y = self.multiply(self.reshape(chosen, self.one), self.reshape(x, self.rows))
        return self.reshape(y, self.wide)


class CachedAttention(nn.Cell):
    """Grouped-query attention (Ainslie and others, arXiv:2305.13245) to a cache and to the tokens themselves.

    x (B L, H), rotation of Rotary, mask of Mask, keys (B, G, W, T) and values (B, G, T, W) of this rank's G groups
    -> (x + attention, (B L, H); what the tokens add to keys and values, (B, 2 G, L, W), keys first). Keys lie with the
    context last: that product is what a long context costs. Weights: query (H, heads W), key and value (H, kv_heads W),
    output (heads W, H); `norm` is multiplied into the first three.

    Queries and keys, which are turned, are one product, and values another. Then all are brought into the order of the
    heads at once, in which what the tokens add lies together.
    """

    def __init__(self, query, key, value, output, norm, batch, kv_heads, width, context, epsilon, collective):
        super().__init__()
        share = query.shape[1] // width // kv_heads
        groups = groups_of_rank(kv_heads)
        padded_groups = groups * here.ranks
        query = padded(query * width**-0.5, 1, padded_groups * share * width)
        key, value = (padded(weight, 1, padded_groups * width) for weight in (key, value))
        self.norm, self.value = RMSNorm(epsilon), ColumnParallel(norm[:, None] * value)
        self.query_key = ColumnParallel(norm[:, None] * by_rank(query, key))
        self.output = RowParallel(padded(output, 0, padded_groups * share * width), None, collective, by_rows=False)
        self.batch, self.heads, self.groups, self.width = batch, share * groups, groups, width
        self.heads_first, self.by_group = (0, 2, 1, 3), (batch, groups, -1, width)
        self.queries, self.added = Between(1, 0, self.heads), Between(1, self.heads)
        self.new_keys, self.new_values = Between(1, 0, groups), Between(1, groups)
        self.to_cache, self.to_new = Between(3, 0, context), Between(3, context)
        self.along, self.across = ops.Concat(3), ops.Concat(1)
        self.multiply_t, self.multiply = ops.BatchMatMul(transpose_b=True), ops.BatchMatMul()
        self.softmax, self.reshape, self.transpose = ops.Softmax(), ops.Reshape(), ops.Transpose()

    def construct(self, x, rotation, mask, keys, values):
        y = self.norm(x)
        turned = self.multiply(self.reshape(self.query_key(y), (-1, self.heads + self.groups, self.width)), rotation)
        every = self.across((turned, self.reshape(self.value(y), (-1, self.groups, self.width))))
        every = self.reshape(every, (self.batch, -1, self.heads + 2 * self.groups, self.width))
        every = self.transpose(every, self.heads_first)
        q, added = self.reshape(self.queries(every), self.by_group), self.added(every)
        k, v = self.new_keys(added), self.new_values(added)
        p = self.softmax(self.along((self.multiply(q, keys), self.multiply_t(q, k))) + mask)
        y = self.multiply(self.to_cache(p), values) + self.multiply(self.to_new(p), v)
        y = self.transpose(self.reshape(y, (self.batch, self.heads, -1, self.width)), self.heads_first)
        return self.output(self.reshape(y, (-1, self.heads * self.width)), x), added


class GatedFeedForward(nn.Cell):
    """x + down(silu(x gate) * x up), x (M, H), silu(y) = y sigmoid(y): SwiGLU (Shazeer, arXiv:2002.05202).

    gate and up (H, N), down (N, H). `norm` (H,) of the RMSNorm before it is multiplied into the first two.
    """

    def __init__(self, gate, up, down, norm, epsilon, collective):
        super().__init__()
        self.norm = RMSNorm(epsilon)
        self.gate, self.up = ColumnParallel(norm[:, None] * gate), ColumnParallel(norm[:, None] * up)
        self.down = RowParallel(down, None, collective, by_rows=False)
        self.sigmoid = ops.Sigmoid()

    def construct(self, x):
        y = self.norm(x)
        gate = self.gate(y)
        return self.down(gate * self.sigmoid(gate) * self.up(y), x)


class Decoder(nn.Cell):
    """A Llama-like decoder: ids and positions (B, L), last (B,), int32, and the cache -> logits (B, V) of `last`, ...

    The cache is keys (B, G, W, T) and values (B, G, T, W) of this rank's G groups, block by block. Behind the logits
    come what the tokens add to it, one (B, 2 G, L, W) for each block, keys first; the caller writes it there. positions
    are the tokens' places in their sentences, rising one by one; what the cache holds before the first of them counts.
    `config` has blocks, width, heads, kv_heads, head, theta, epsilon; `weights` are by GGUF's names, (inputs, outputs).
    """

    def __init__(self, config, weights, batch, context, collective=COLLECTIVES[0]):
        super().__init__()
        self.words = TiedEmbedding(weights["token_embd"], collective)
        self.rotary = Rotary(context, config.head, config.theta)
        self.mask = Mask(context, config.heads // config.kv_heads, batch)
        self.attention, self.feed_forward = nn.CellList(), nn.CellList()
        sizes = (batch, config.kv_heads, config.head, context, config.epsilon, collective)
        for block in (f"blk.{index}." for index in range(config.blocks)):
            names = ("attn_q", "attn_k", "attn_v", "attn_output", "attn_norm")
            self.attention.append(CachedAttention(*(weights[block + name] for name in names), *sizes))
            names = ("ffn_gate", "ffn_up", "ffn_down", "ffn_norm")
            four = (weights[block + name] for name in names)
            self.feed_forward.append(GatedFeedForward(*four, config.epsilon, collective))
        self.at_position = AtPosition(batch, config.width)
        self.norm = RMSNorm(config.epsilon, weights["output_norm"])
        self.blocks = config.blocks

    def construct(self, ids, positions, last, *cache):
        rotation, mask = self.rotary(positions), self.mask(positions)
        x, added = self.words(ids), ()
        for index in range(self.blocks):
            keys, values = cache[2 * index], cache[2 * index + 1]
            x, new = self.attention[index](x, rotation, mask, keys, values)
            added += (new,)
            x = self.feed_forward[index](x)
        return (self.words.scores(self.norm(self.at_position(x, positions, last))),) + added


def decoder_inputs(config, batch, length, context):
    """Return Tensors such as a Decoder takes, zeros, for `here`."""
    groups = groups_of_rank(config.kv_heads)
    tokens = _zeros(ms.int32, batch, length)
    keys, values = (batch, groups, config.head, context), (batch, groups, context, config.head)
    cache = [_zeros(ms.float32, *shape) for _ in range(config.blocks) for shape in (keys, values)]
    return [tokens, tokens, _zeros(ms.int32, batch), *cache]


def _zeros(dtype, *shape):
    return ms.Tensor(np.zeros(shape), dtype)
