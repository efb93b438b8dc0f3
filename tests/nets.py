"""The test nets in NumPy: their weights, a rank's part of them, and their outputs in float64.

export_fixtures.py has the same nets in MindSpore. Every dimension that is split can be split by 1, 2, 3 and 4.
"""

import numpy as np

RANKS = (1, 2, 3, 4)
BATCH, WIDTH, HIDDEN, ROWS = 12, 8, 24, 36


def weights(name):
    """Return the net's whole weights: {name: float32 array}."""
    draw = np.random.RandomState(sum(map(ord, name))).standard_normal
    shapes = {
        "mlp": {"up": (WIDTH, HIDDEN), "bias": (HIDDEN,), "down": (HIDDEN, WIDTH), "last": (WIDTH,)},
        "branches": {"left": (HIDDEN, WIDTH), "right": (WIDTH, HIDDEN), "out": (WIDTH, HIDDEN)},
        "two_inputs": {"table": (ROWS, WIDTH), "project": (WIDTH, WIDTH)},
        "three_outputs": {"up": (WIDTH, HIDDEN)},
        "skip": {
            key: shape
            for index in range(5)
            for key, shape in ((f"w{index}", (WIDTH, HIDDEN)), (f"v{index}", (HIDDEN, WIDTH)))
        },
        "shared": {"w": (WIDTH, HIDDEN)},
        "reused": {"up": (WIDTH, HIDDEN), "down": (HIDDEN, WIDTH), "last": (WIDTH, HIDDEN)},
        "scattered": {"up": (WIDTH, HIDDEN), "down": (HIDDEN, WIDTH)},
        "converted": {"half": (WIDTH, HIDDEN)},
        "transposed": {"up": (WIDTH, HIDDEN), "down": (HIDDEN, WIDTH)},
        "dtypes": {"half": (WIDTH, HIDDEN)},
        "dynamic": {"up": (WIDTH, HIDDEN), "down": (HIDDEN, WIDTH)},
    }[name.split("-")[0]]
    return {key: (draw(shape) / np.sqrt(shape[0])).astype(np.float32) for key, shape in shapes.items()}


def part(array, axis, rank, ranks):
    """Return the rank's part of the array, split along an axis."""
    return np.ascontiguousarray(np.split(array, ranks, axis)[rank])


def inputs(name, seed=1):
    """Return inputs for the net: {input name: array}."""
    random = np.random.RandomState(seed)
    x = random.standard_normal((BATCH, WIDTH)).astype(np.float32)
    if name == "two_inputs":
        return {"x": x, "ids": random.randint(0, ROWS, BATCH).astype(np.int32)}
    if name == "branches":
        return {"x": x, "z": random.standard_normal((BATCH, HIDDEN)).astype(np.float32)}
    if name in ("dtypes", "converted"):
        return {
            "half": (x / 4).astype(np.float16),
            "long": random.randint(-(2**20), 2**20, BATCH),
            "flag": random.rand(BATCH) < 0.5,
        }
    return {"x": x}


def expected(name, given, ranks):
    """Return the net's outputs for the inputs `given`, computed in float64 without any sharding."""
    w = {key: value.astype(np.float64) for key, value in weights(name).items()}
    given = {key: value.astype(np.float64) if value.dtype.kind == "f" else value for key, value in given.items()}
    x = given.get("x")
    if name.startswith("mlp"):
        return [np.maximum(x @ w["up"] + w["bias"], 0) @ w["down"] + w["last"]]
    if name == "branches":
        return [(given["z"] @ w["left"]) + np.tanh(x @ w["right"]) @ w["out"].T]
    if name == "two_inputs":
        return [w["table"][given["ids"]] + x @ w["project"], given["ids"] * ranks]
    if name == "three_outputs":
        parts = np.stack(np.split(x @ w["up"], ranks, axis=1))
        return [parts.max(axis=0), parts.min(axis=0), parts.prod(axis=0)]
    if name == "skip":
        h = x
        for index in range(5):
            h = np.tanh(h @ w[f"w{index}"]) @ w[f"v{index}"]
        return [h + np.tanh(x)]
    if name == "shared":
        return [np.tanh(x @ w["w"]) @ w["w"].T]
    if name == "transposed":
        turned = np.tanh(x).reshape(3, 2, 2, WIDTH).transpose(0, 2, 1, 3).reshape(BATCH, WIDTH)
        return [turned @ w["up"] @ w["down"]]
    if name == "reused":
        y = x @ w["up"]
        return [np.maximum(y, 0) @ w["down"] @ w["last"] + y]
    if name == "scattered":
        return [np.tanh(x @ w["up"] @ w["down"])]
    if name == "converted":
        half = weights(name)["half"].astype(np.float16).astype(np.float64)
        return [np.tile(given["half"], (ranks, 1)) @ half, given["long"] * ranks + 1, given["flag"]]
    if name == "dtypes":
        half = given["half"] @ weights(name)["half"].astype(np.float16).astype(np.float64)
        return [half @ np.ones((HIDDEN, 1)), given["long"] * ranks, np.tile(given["half"], (ranks, 1)), ~given["flag"]]
    return [np.maximum(x @ w["up"], 0) @ w["down"]]  # dynamic


NAMES = (
    "mlp-all_reduce",
    "mlp-reduce_scatter",
    "branches",
    "two_inputs",
    "three_outputs",
    "skip",
    "shared",
    "transposed",
    "reused",
    "scattered",
    "converted",
    "dtypes",
    "dynamic",
)
