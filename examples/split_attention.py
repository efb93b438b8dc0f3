"""A transformer's block, split by its own strategies: the batch over one axis of a mesh of ranks, heads over the other.

    python3 models/auto_parallel.py examples/split_attention.py:make_net --input 4,16,64 --ranks 4 \\
        --mode semi_auto_parallel --output Attention.mindir

A strategy says for each input of an operator into how many parts each of its dimensions is split. MindSpore decides the
rest. The product with the last weight is split by the weight's rows, so MindSpore sums it over the ranks of a row.
"""

from mindspore import nn, ops

DATA, HEAD = 2, 2  # the mesh: 2 x 2 ranks
WIDTH, HEADS = 64, 8


class Attention(nn.Cell):
    """x + attention of x with itself: float32 (B, L, 64) -> (B, L, 64)."""

    def __init__(self):
        super().__init__()
        self.query, self.key, self.value = (columns() for _ in range(3))
        self.output = rows()
        self.scores = ops.BatchMatMul(transpose_b=True).shard(((DATA, HEAD, 1, 1), (DATA, HEAD, 1, 1)))
        self.scale = ops.Mul().shard(((DATA, HEAD, 1, 1), ()))
        self.softmax = ops.Softmax().shard(((DATA, HEAD, 1, 1),))
        self.mix = ops.BatchMatMul().shard(((DATA, HEAD, 1, 1), (DATA, HEAD, 1, 1)))
        self.split_heads = ops.Transpose().shard(((DATA, 1, HEAD, 1),))
        self.join_heads = ops.Transpose().shard(((DATA, HEAD, 1, 1),))
        self.reshape = ops.Reshape()
        self.add = ops.Add().shard(((DATA, 1, 1), (DATA, 1, 1)))

    def construct(self, x):
        batch, length, width = x.shape
        flat = self.reshape(x, (batch * length, width))
        q, k, v = self.heads(self.query(flat), x), self.heads(self.key(flat), x), self.heads(self.value(flat), x)
        y = self.mix(self.softmax(self.scale(self.scores(q, k), (width // HEADS) ** -0.5)), v)
        y = self.reshape(self.join_heads(y, (0, 2, 1, 3)), (batch * length, width))
        return self.add(x, self.reshape(self.output(y), x.shape))

    def heads(self, y, x):
        """(B * L, 64) -> (B, heads, L, width of a head)."""
        return self.split_heads(self.reshape(y, (x.shape[0], x.shape[1], HEADS, -1)), (0, 2, 1, 3))


def columns():
    """A Dense layer whose outputs, rows of MindSpore's weight (outputs, inputs), are split as the heads are."""
    layer = nn.Dense(WIDTH, WIDTH)
    layer.matmul.shard(((DATA, 1), (HEAD, 1)))
    layer.bias_add.shard(((DATA, HEAD), (HEAD,)))
    return layer


def rows():
    """A Dense layer whose inputs are split so: each rank has a part of every sum, and an AllReduce adds the parts."""
    layer = nn.Dense(WIDTH, WIDTH)
    layer.matmul.shard(((DATA, HEAD), (1, HEAD)))
    layer.bias_add.shard(((DATA, 1), (1,)))
    return layer


def make_net():
    return Attention()
