"""What is computed in every benchmark, and how every peer is timed: read by all peers' Pythons, with NumPy alone.

A peer's rank makes a function predict() -> array and gives it to serve(). compare.py then asks all its ranks at once
for so many predicts, and goes on to the next peer, again and again, so that what slows the machine down meets all.
"""

import math
import os
import time
from multiprocessing import connection

import numpy as np

# name: (M, K, N) of x (M, K) w (K, N), its columns over the ranks, the result whole on each of them
MATMULS = {
    "small": (4, 256, 128),
    "large": (256, 4096, 4096),
    "large_gpu": (2048, 8192, 8192),
    "decode": (16, 16384, 8192),
}
# name: (batch, tokens) of all-MiniLM-L6-v2, sums over the ranks after attention and feed-forward
MINILMS = {"minilm_1x32": (1, 32), "minilm_1x128": (1, 128), "minilm_8x32": (8, 32), "minilm_8x128": (8, 128)}
LAYERS, HEADS, WIDTH, VOCABULARY, INNER = 6, 12, 384, 30522, 1536


def columns(work, rank, ranks=2):
    """Return a rank's columns (K, N / ranks) of w. The whole is that of two ranks, whoever asks."""
    _, k, n = MATMULS[work]
    halves = [_normal((k, n // 2), 10 + half) for half in range(2) if ranks == 1 or half == rank]
    return np.concatenate(halves, axis=1) if len(halves) > 1 else halves[0]


def inputs(work):
    """Return the model's inputs in their order."""
    if work in MATMULS:
        return [_normal(MATMULS[work][:2], 1)]
    batch, length = MINILMS[work]
    random = np.random.RandomState(2)
    mask = (np.arange(length) < random.randint(length // 2, length + 1, (batch, 1))).astype(np.int32)
    return [(random.randint(1000, VOCABULARY, (batch, length)) * mask).astype(np.int32), mask]


def _normal(shape, seed):
    return np.random.default_rng(seed).standard_normal(shape, dtype=np.float32)


def expected(work, weights):
    """Return (rows, the result's values there in float64): those rows of a product that is too large for all."""
    if work in MATMULS:
        (x,) = inputs(work)
        rows = np.linspace(0, len(x) - 1, min(len(x), 16)).astype(int)
        return rows, np.concatenate([x[rows].astype(np.float64) @ columns(work, half) for half in range(2)], axis=1)
    return slice(None), minilm(weights, *inputs(work))


def minilm(weights, ids, mask):
    """Return the embeddings (batch, 384) of the unsharded model, in NumPy with float64."""
    erf = np.vectorize(math.erf, otypes=[float])
    weights = {name: each.astype(np.float64) for name, each in weights.items() if each.dtype.kind == "f"}

    def dense(x, name):
        return x @ weights[f"{name}.weight"].T + weights[f"{name}.bias"]

    def norm(x, name):
        x = x - x.mean(-1, keepdims=True)
        return (
            x / np.sqrt((x * x).mean(-1, keepdims=True) + 1e-12) * weights[f"{name}.weight"] + weights[f"{name}.bias"]
        )

    batch, length = ids.shape
    x = weights["embeddings.word_embeddings.weight"][ids] + weights["embeddings.position_embeddings.weight"][:length]
    x = norm(x + weights["embeddings.token_type_embeddings.weight"][0], "embeddings.LayerNorm")
    for index in range(LAYERS):
        name = f"encoder.layer.{index}"
        q, k, v = (
            dense(x, f"{name}.attention.self.{each}").reshape(batch, length, HEADS, -1).transpose(0, 2, 1, 3)
            for each in ("query", "key", "value")
        )
        score = q @ k.transpose(0, 1, 3, 2) / np.sqrt(WIDTH / HEADS) + (mask[:, None, None, :] - 1) * 1e4
        score = np.exp(score - score.max(-1, keepdims=True))
        y = (score / score.sum(-1, keepdims=True) @ v).transpose(0, 2, 1, 3).reshape(batch, length, WIDTH)
        x = norm(x + dense(y, f"{name}.attention.output.dense"), f"{name}.attention.output.LayerNorm")
        y = dense(x, f"{name}.intermediate.dense")
        y = y * (1 + erf(y / np.sqrt(2))) / 2
        x = norm(x + dense(y, f"{name}.output.dense"), f"{name}.output.LayerNorm")
    x = (x * mask[..., None]).sum(1) / mask.sum(1, keepdims=True)
    return x / np.linalg.norm(x, axis=1, keepdims=True)


def flops(work):
    """Return the floating-point operations of a predict's matrix products, all ranks'."""
    if work in MATMULS:
        return 2.0 * np.prod(MATMULS[work], dtype=float)
    batch, length = MINILMS[work]
    return LAYERS * 2.0 * batch * length * (4 * WIDTH * WIDTH + 2 * WIDTH * INNER + 2 * length * WIDTH)


def read_bytes(work):
    """Return the bytes of weights that a predict has to read, all ranks'."""
    if work in MATMULS:
        return 4.0 * MATMULS[work][1] * MATMULS[work][2]
    return 4.0 * LAYERS * (4 * WIDTH * WIDTH + 2 * WIDTH * INNER)


def collectives(work, ranks):
    """Return [(how many, kind, bytes of the result)] of a predict."""
    if work in MATMULS:
        m, _, n = MATMULS[work]
        return [(1, "allgather", 4 * m * n)] if ranks > 1 else []
    batch, length = MINILMS[work]
    return [(1 + 2 * LAYERS, "allreduce", 4 * batch * length * WIDTH)] if ranks > 1 else []


def pin(rank, ranks):
    """Give this rank a core of its own, and one thread, as all peers have; of one rank alone it is the first core."""
    cores = sorted(os.sched_getaffinity(0))
    if ranks <= len(cores):
        os.sched_setaffinity(0, {cores[rank]})


def serve(address, rank, barrier, predict, about=""):
    """Show compare.py this rank's result, then predict as often as it asks, until it hangs up."""
    listener = connection.Client(address, "AF_UNIX")
    for _ in range(2):  # the second, in case that one is late
        result = np.ascontiguousarray(predict())
    listener.send((rank, about, str(result.dtype), result.shape, result.tobytes()))
    while True:
        try:
            count = listener.recv()
        except EOFError:
            return
        seconds = []
        for _ in range(count):
            barrier()
            start = time.perf_counter()
            predict()
            seconds.append(time.perf_counter() - start)
        listener.send(seconds)
