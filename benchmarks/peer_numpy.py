"""A rank of plain NumPy and mpi4py, timed by compare.py: peer_numpy.py ADDRESS WORK MODELS

expected() is what all peers are compared with: the same net on one rank, in float64.
"""

import functools
import os
import sys

if __name__ == "__main__":
    os.environ.update(OPENBLAS_NUM_THREADS="1", OMP_NUM_THREADS="1")
import minilm
import numpy as np
import work
from scipy.special import erf


class F:
    """What minilm.py takes of torch.nn.functional, some of it in place."""

    def embedding(ids, table):
        return table[ids]

    def linear(x, weight, bias=None):
        y = x @ weight.T
        return y if bias is None else np.add(y, bias, out=y)

    def layer_norm(x, shape, gamma, beta, epsilon):
        x -= x.mean(-1, keepdims=True)
        x *= 1 / np.sqrt((x * x).mean(-1, keepdims=True) + epsilon)
        x *= gamma
        return np.add(x, beta, out=x)

    def scaled_dot_product_attention(q, k, v, attn_mask):
        score = q @ k.swapaxes(2, 3)
        score *= q.shape[-1] ** -0.5
        score += attn_mask
        score -= score.max(-1, keepdims=True)
        np.exp(score, out=score)
        score /= score.sum(-1, keepdims=True)
        return score @ v

    def gelu(x):
        x *= (erf(x * 0.5**0.5) + 1) * 0.5
        return x

    def normalize(x, dim):
        return x / np.linalg.norm(x, axis=dim, keepdims=True)


def embeddings(name, folder, total, rank=0, ranks=1, dtype=np.float32):
    """Return predict() of MiniLM."""
    positions, arrays = minilm.load(folder, rank, ranks)
    ids, mask = work.inputs(name)
    positions = np.tile(positions[: ids.shape[1]], (len(ids), 1)).astype(dtype)
    stages = [
        functools.partial(function, *(array.astype(dtype) for array in stage))
        for function, stage in zip(minilm.functions(F, rank), arrays)
    ]
    return lambda: minilm.predict(stages, positions, total, ids, mask.astype(dtype))


def expected(name, folder):
    """Return (rows, the result's values there in float64): those rows of a product that is too large for all."""
    if name in work.MINILMS:
        return slice(None), embeddings(name, folder, lambda x: x, dtype=np.float64)()
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

    function = matmul(name, comm) if name in work.MATMULS else embeddings(name, folder, total, comm.rank, comm.size)
    work.serve(address, comm.rank, comm.Barrier, function, f"NumPy {np.__version__}, mpi4py")


if __name__ == "__main__":
    main()
