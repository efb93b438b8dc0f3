"""Write the shipped product in other sizes and with other weights: products.py FOLDER WORK... makes FOLDER/WORK."""

import sys
from pathlib import Path

import numpy as np
import work

sys.path.insert(0, str(work.ROOT))
import mindir


def resized(m, k, n, halves, folder):
    """Write x (m, k) w (k, n) for two ranks, w's columns being `halves`, and unsharded; return the path."""
    new = {4: m, 256: k, 128: n, 64: n // 2, 8: 2 * m}
    folder.mkdir(parents=True, exist_ok=True)
    for shard, part in (("", np.concatenate(halves, axis=1)), ("0", halves[0]), ("1", halves[1])):
        model = mindir.load(str(work.ROOT / "models" / f"Matmul{shard}.mindir")).model
        tensors = [entry.tensor[0] for entry in (*model.graph.input, *model.graph.output)]
        for node in model.graph.node:
            for attribute in node.attribute:
                tensors += attribute.tensors
                for value in attribute.values:  # the shapes that Reshape takes
                    value.ints[:] = [new.get(size, size) for size in value.ints]
        for tensor in (*tensors, *model.graph.parameter):
            tensor.dims[:] = [new.get(size, size) for size in tensor.dims]
        model.graph.parameter[0].raw_data = np.ascontiguousarray(part).tobytes()
        (folder / f"Matmul{shard}.mindir").write_bytes(model.SerializeToString())
    return folder / "Matmul.mindir"


if __name__ == "__main__":
    for name in sys.argv[2:]:
        resized(*work.MATMULS[name], [work.columns(name, half) for half in range(2)], Path(sys.argv[1]) / name)
