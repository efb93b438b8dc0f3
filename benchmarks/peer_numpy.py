"""A rank of plain NumPy and mpi4py, timed by compare.py: peer_numpy.py ADDRESS WORK WEIGHTS.safetensors"""

import os
import sys

os.environ.update(OPENBLAS_NUM_THREADS="1", OMP_NUM_THREADS="1")
import numpy as np
import work
from mpi4py import MPI
from scipy.special import erf

comm = MPI.COMM_WORLD


def matmul(name):
    w, (x,) = work.columns(name, comm.rank, comm.size), work.inputs(name)
    part = np.empty((len(x), w.shape[1]), np.float32)
    everyone = np.empty((comm.size, *part.shape), np.float32)

    def predict():
        np.matmul(x, w, out=part)
        comm.Allgather(part, everyone)
        return everyone.transpose(1, 0, 2).reshape(len(x), -1)

    return predict


def split(weights, rank, ranks):
    """Return this rank's columns of the weights and biases that are split by columns, and its rows of the others."""
    columns = {key: np.ascontiguousarray(np.split(each, ranks)[rank].T) for key, each in weights.items()
               if any(word in key for word in ("self.", "intermediate")) and key.endswith("weight")}  # fmt: skip
    columns.update({key: np.split(each, ranks)[rank] for key, each in weights.items()
                    if any(word in key for word in ("self.", "intermediate")) and key.endswith("bias")})  # fmt: skip
    rows = {key: np.ascontiguousarray(np.split(each, ranks, axis=1)[rank].T) for key, each in weights.items()
            if key.endswith("output.dense.weight")}  # fmt: skip
    return columns, rows


def minilm(name, weights):
    rank, ranks, heads = comm.rank, comm.size, work.HEADS // comm.size
    ids, mask = work.inputs(name)
    batch, length = ids.shape
    bias = ((mask[:, None, None, :] - 1) * np.float32(1e4)).astype(np.float32)
    columns, rows = split(weights, rank, ranks)
    table = weights["embeddings.word_embeddings.weight"]
    size = -(-len(table) // ranks)
    table, mine = table[rank * size : (rank + 1) * size], (ids >= rank * size) & (ids < (rank + 1) * size)
    where = np.where(mine, ids - rank * size, 0)
    positions = weights["embeddings.position_embeddings.weight"][:length]
    positions = positions + weights["embeddings.token_type_embeddings.weight"][0]

    def norm(x, key):
        x = x - x.mean(-1, keepdims=True)
        x *= 1 / np.sqrt((x * x).mean(-1, keepdims=True) + np.float32(1e-12))
        x *= weights[f"{key}.weight"]
        x += weights[f"{key}.bias"]
        return x

    def total(x):
        comm.Allreduce(MPI.IN_PLACE, x)
        return x

    def up(x, key):
        x = x @ columns[f"{key}.weight"]
        x += columns[f"{key}.bias"]
        return x

    def down(x, key):
        return total(x @ rows[f"{key}.weight"]) + weights[f"{key}.bias"]

    def predict():
        x = total(table[where] * mine[..., None]) + positions
        x = norm(x.reshape(-1, work.WIDTH), "embeddings.LayerNorm")
        for index in range(work.LAYERS):
            key = f"encoder.layer.{index}"
            q, k, v = (
                up(x, f"{key}.attention.self.{each}").reshape(batch, length, heads, -1).transpose(0, 2, 1, 3)
                for each in ("query", "key", "value")
            )
            score = q @ k.transpose(0, 1, 3, 2)
            score *= np.float32((work.WIDTH / work.HEADS) ** -0.5)
            score += bias
            score -= score.max(-1, keepdims=True)
            np.exp(score, out=score)
            score /= score.sum(-1, keepdims=True)
            y = (score @ v).transpose(0, 2, 1, 3).reshape(batch * length, -1)
            x = norm(x + down(y, f"{key}.attention.output.dense"), f"{key}.attention.output.LayerNorm")
            y = up(x, f"{key}.intermediate.dense")
            y *= (erf(y * np.float32(0.5**0.5)) + 1) * np.float32(0.5)
            x = norm(x + down(y, f"{key}.output.dense"), f"{key}.output.LayerNorm")
        x = (x.reshape(batch, length, -1) * mask[..., None]).sum(1) / mask.sum(1, keepdims=True)
        return (x / np.linalg.norm(x, axis=1, keepdims=True)).astype(np.float32)

    return predict


if __name__ == "__main__":
    address, name, path = sys.argv[1:]
    work.pin(comm.rank, comm.size)
    if name in work.MATMULS:
        function = matmul(name)
    else:
        from safetensors.numpy import load_file

        function = minilm(name, load_file(path))
    work.serve(address, comm.rank, comm.Barrier, function, f"NumPy {np.__version__}, mpi4py")
