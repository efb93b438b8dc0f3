"""What splits cost on CPU ranks: a pipeline's throughput, a group's collectives, MindSpore's search beside layers.

    .venv/bin/python benchmarks/splits.py FOLDER

FOLDER has what these make, with the Python of models/ in .venv-export:

    models/auto_parallel.py benchmarks/pipeline_net.py:make_net --input 256,1024 --ranks 2 --mode semi_auto_parallel \\
        --pipeline_stages 2 --output FOLDER/pipeline/Net.mindir
    models/auto_parallel.py examples/split_minilm.py:make_net --input int32:8,128 int32:8,128 --ranks 2 \\
        --output FOLDER/search/MiniLM.mindir
    models/export_minilm.py --ranks 2 --batch 8 --length 128 --output FOLDER/layers/MiniLM.mindir

Everything runs in turns on two cores, a rank on each, and the middle of five rounds is shown.
"""

import functools
import shutil
import statistics
import sys
import tempfile
from pathlib import Path

import work

sys.path.insert(0, str(work.ROOT))
import mindir
from mindir.graph import attribute
from mindir.schema import PROTO


def in_a_group(model, folder):
    """Write the set of two shards again, its collectives among ranks 0 and 1 by name; return its path."""
    for number in range(2):
        shard = mindir.load(str(model).replace(".mindir", f"{number}.mindir"))
        for primitive in shard.model.primitives:
            group = attribute(primitive, "group")
            if group is not None:
                group.s = b"2-0123456789"
                primitive.attribute.append(PROTO["Attribute"](name="group_ranks", type=group.type, s=b"0-1"))
        Path(folder, f"MiniLM{number}.mindir").write_bytes(shard.model.SerializeToString())
    return shutil.copy(str(model), folder)


def main():
    names = ("search/MiniLM.mindir", "layers/MiniLM.mindir", "pipeline/Net.mindir")
    search, layers, pipeline = (Path(sys.argv[1], name).resolve() for name in names)
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryDirectory() as one:
        for name in ("Net.mindir", "Net0.mindir"):
            Path(one, name).symlink_to(pipeline)  # unsharded
        runs = {  # name: (model, cores and ranks, predicts)
            "pipeline, one rank of one thread": (f"{one}/Net.mindir", 1, 60),
            "pipeline, two stages of one thread": (pipeline, 2, 60),
            "MiniLM 8 x 128 by layers": (layers, 2, 30),
            "MiniLM 8 x 128 by layers, in a group": (in_a_group(layers, folder), 2, 30),
            "MiniLM 8 x 128 by MindSpore's search": (search, 2, 30),
        }
        starts, rows = {}, []
        for name, (model, cores, repeat) in runs.items():
            words, under = ["--backend=cpu", "--warmup=20", f"--repeat={repeat}"], ["taskset", "-c", f"0-{cores - 1}"]
            starts[name] = functools.partial(work.run_sh, model, *words, under=under)
        for name, reports in work.in_turns(5, starts).items():
            p50 = statistics.median(report["predict_ms"]["p50"] for report in reports)
            rows.append([name, f"{p50:.2f}", f"{max(report['peak_mib'] for report in reports):.0f}"])
        work.table(["", "p50 ms", "a rank's peak MiB"], rows)


main()
