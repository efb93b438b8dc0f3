"""The nets that MindSpore itself split (fixtures/splits), in NumPy: their outputs in float64.

GeLU is MindSpore's, with tanh: mindspore_lite's CPU has the one with erf, 9e-5 off for a block, and is repaired.
"""

import math

import numpy as np
from conftest import ROOT

import mindir

SPLITS = ROOT / "tests" / "fixtures" / "splits"
NAMES = sorted(path.name for path in SPLITS.iterdir() if path.is_dir())


def count(name):
    """Return how many ranks the set is for."""
    return int(name.rsplit("_", 1)[1])


def weights(name):
    """Return {name: float64 array} of the unsharded net's parameters."""
    tensors = mindir.load(str(SPLITS / name / "Net.mindir")).model.graph.parameter
    return {
        mindir.short_name(tensor.name): np.frombuffer(tensor.raw_data, np.float32).reshape(tensor.dims).astype(float)
        for tensor in tensors
    }


def expected(name):
    """Return the net's output in float64."""
    w = weights(name)
    (x,) = np.load(str(SPLITS / name / "in.npz")).values()
    x = x if x.dtype.kind == "i" else x.astype(float)
    return NETS[name.split("_")[0]](x, w)


def relu(x):
    return np.maximum(x, 0)


def block(x, w):
    batch, length, width = x.shape
    heads = 4

    def normal(y, layer):
        y = (y - y.mean(-1, keepdims=True)) / np.sqrt(y.var(-1, keepdims=True) + 1e-7)
        return y * w[f"{layer}.gamma"] + w[f"{layer}.beta"]

    def split(y):
        return y.reshape(batch, length, heads, width // heads).transpose(0, 2, 1, 3)

    y = normal(x, "ln1")
    query, key, value = (split(y @ w[f"w{part}"] + w[f"b{part}"]) for part in "qkv")
    scores = np.exp(query @ key.transpose(0, 1, 3, 2) * (width // heads) ** -0.5)
    y = (scores / scores.sum(-1, keepdims=True)) @ value
    x = x + y.transpose(0, 2, 1, 3).reshape(batch, length, width) @ w["wo"] + w["bo"]
    y = normal(x, "ln2") @ w["w1"] + w["b1"]
    y = y * (1 + np.tanh(math.sqrt(2 / math.pi) * (y + 0.044715 * y**3))) / 2
    return x + y @ w["w2"] + w["b2"]


def convolve(x, kernel):
    """A convolution of 3 by 3 that keeps the size."""
    padded, (height, width) = np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1))), x.shape[2:]
    windows = [padded[:, :, i : i + height, j : j + width] for i in range(3) for j in range(3)]
    return np.einsum("knchw,ock->nohw", np.stack(windows), kernel.reshape(*kernel.shape[:2], 9))


def conv(x, w):
    y = relu(convolve(relu(convolve(x, w["c1.weight"])), w["c2.weight"]))
    y = y.reshape(*y.shape[:2], y.shape[2] // 2, 2, y.shape[3] // 2, 2).max((3, 5))
    return y.reshape(len(y), -1) @ w["d.weight"].T + w["d.bias"]


def emb(x, w):
    return w["table"][x].reshape(-1, 32) @ w["w"]


def mlp2d(x, w):
    return relu(x @ w["w"] + w["b"]) @ w["v"]


def plain(x, w):
    return relu(x @ w["d1.weight"].T + w["d1.bias"]) @ w["d2.weight"].T + w["d2.bias"]


def pipe(x, w):
    return relu(relu(x @ w["a.w"]) @ w["b.w"])


NETS = {
    "block": block,
    "blockauto": block,
    "conv": conv,
    "emb": emb,
    "mlp2d": mlp2d,
    "plain": plain,
    "pipe": pipe,
}
