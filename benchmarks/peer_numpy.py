"""A rank of plain NumPy and mpi4py, timed by compare.py: peer_numpy.py ADDRESS WORK MODELS

expected() is what all peers are compared with: the same net on one rank, in float64.
"""

import functools
import os
import sys

if __name__ == "__main__":
    os.environ.update(OPENBLAS_NUM_THREADS="1", OMP_NUM_THREADS="1")
import numpy as np
import work
from scipy.special import erf


def norm(x, total, bias, gamma, beta):
    x = x + (total + bias)
    x -= x.mean(-1, keepdims=True)
    x *= 1 / np.sqrt((x * x).mean(-1, keepdims=True) + 1e-12)
    x *= gamma
    x += beta
    return x


def dense(x, weight, bias):
    x = x @ weight
    x += bias
    return x


def embed(first, table, ids):
    """The rows of this rank's part of the vocabulary, which begins at `first`; zeros for the others'."""
    return table[np.clip(ids - first + 1, 0, len(table) - 1)].reshape(-1, work.WIDTH)


def attend(bias, gamma, beta, qkv_weight, qkv_bias, out, x, total, hidden):
    x = norm(x, total, bias, gamma, beta)
    batch, length, size = len(hidden), hidden.shape[-1], work.WIDTH // work.HEADS
    q, k, v = dense(x, qkv_weight, qkv_bias).reshape(batch, length, 3, -1, size).transpose(2, 0, 3, 1, 4)
    score = q @ k.swapaxes(2, 3)
    score *= size**-0.5
    score += hidden
    score -= score.max(-1, keepdims=True)
    np.exp(score, out=score)
    score /= score.sum(-1, keepdims=True)
    return x, (score @ v).transpose(0, 2, 1, 3).reshape(len(x), -1) @ out


def feed_forward(bias, gamma, beta, up_weight, up_bias, down, x, total):
    x = norm(x, total, bias, gamma, beta)
    y = dense(x, up_weight, up_bias)
    y *= (erf(y * 0.5**0.5) + 1) * 0.5
    return x, y @ down


def pool(bias, gamma, beta, x, total, real):
    x = norm(x, total, bias, gamma, beta).reshape(len(real), -1, work.WIDTH)
    x = (x * real).sum(1) / real.sum(1)
    return x / np.linalg.norm(x, axis=1, keepdims=True)


def minilm(name, folder, total, rank=0, ranks=1, dtype=np.float32):
    positions, (table, *others) = work.load_minilm(folder, rank, ranks)
    ids, mask = work.inputs(name)
    positions = np.tile(positions[: ids.shape[1]], (len(ids), 1)).astype(dtype)
    arrays = [[table[0].astype(dtype)], *([np.ascontiguousarray(each.T, dtype) for each in stage] for stage in others)]
    first = functools.partial(embed, rank * (len(table[0]) - 2))
    functions = [first, *(attend, feed_forward) * work.LAYERS, pool]
    stages = [functools.partial(function, *stage) for function, stage in zip(functions, arrays)]
    return lambda: work.minilm(stages, positions, total, ids, mask.astype(dtype))


def expected(name, folder):
    """Return (rows, the result's values there in float64): those rows of a product that is too large for all."""
    if name in work.MINILMS:
        return slice(None), minilm(name, folder, lambda x: x, dtype=np.float64)()
    (x,) = work.inputs(name)
    rows = np.linspace(0, len(x) - 1, min(len(x), 16)).astype(int)
    x = x[rows].astype(np.float64)
    return rows, np.concatenate([x @ work.columns(name, half) for half in range(2)], axis=1)


def matmul(name, comm):
    w, (x,) = work.columns(name, comm.rank), work.inputs(name)
    part = np.empty((len(x), w.shape[1]), np.float32)
    everyone = np.empty((comm.size, *part.shape), np.float32)

    def predict():
        np.matmul(x, w, out=part)
        comm.Allgather(part, everyone)
        return everyone.transpose(1, 0, 2).reshape(len(x), -1)

    return predict


def main():
    from mpi4py import MPI

    address, name, folder = sys.argv[1:4]
    comm = MPI.COMM_WORLD
    work.pin(comm.rank, comm.size)

    def total(x):
        comm.Allreduce(MPI.IN_PLACE, x)
        return x

    function = matmul(name, comm) if name in work.MATMULS else minilm(name, folder, total, comm.rank, comm.size)
    work.serve(address, comm.rank, comm.Barrier, function, f"NumPy {np.__version__}, mpi4py")


if __name__ == "__main__":
    main()
