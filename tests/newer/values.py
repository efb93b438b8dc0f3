"""The arrays that nets take, and how a file of nets lists its nets."""

import numpy as np

DRAW = np.random.RandomState(12)


def U(*shape, lo=-3, hi=3):
    """Return uniform float32 values between lo and hi."""
    return DRAW.uniform(lo, hi, shape).astype(np.float32)


X, Y = U(3, 4), U(3, 4)
S, T = U(2, 3, 4), U(2, 3, 4)
P = np.abs(S) + 0.5
I1, I2, I3 = U(2, 3, 10), U(2, 4, 8, 8), U(2, 2, 4, 6, 6)  # inputs for convolutions of one, two and three dimensions
N = DRAW.randint(-5, 9, (3, 4)).astype(np.int32)
N[0, 0] = 0
Q = DRAW.randint(1, 5, (3, 4)).astype(np.int32)
L = N.astype(np.int64)
M = X > 0
IDS = np.array([[2, 0, 1], [1, 1, 2]], np.int32)
V = U(4)
u = X / 3.1  # between -1 and 1


class Nets(dict):
    """{name: (what the net is, inputs..., options)}: "name = a cell; ... -> what construct returns of x, y, z"."""

    def __init__(self, prefix="o_"):
        self.prefix = prefix

    def net(self, name, *net):
        self[name] = net

    def expression(self, text, *inputs, prefix=""):
        """Add a net that is one expression, called after it."""
        key = (prefix or self.prefix) + "".join(letter if letter.isalnum() else "_" for letter in text)[:60]
        while key in self:
            key += "2"
        self[key] = (text if " -> " in text else f" -> {text}", *inputs)


def words(text):
    return text.split()
