"""What splits cost on CPU ranks: a pipeline's throughput, a group's collectives, MindSpore's search beside layers.

    .venv/bin/python benchmarks/splits.py FOLDER

FOLDER has what these make, with the Python of models/ in .venv-export:

    models/auto_parallel.py benchmarks/pipeline_net.py:make_net --input 256,1024 --ranks 2 --mode semi_auto_parallel \\
        --pipeline_stages 2 --output FOLDER/pipeline/Net.mindir
    models/auto_parallel.py examples/split_minilm.py:make_net --input int32:8,128 int32:8,128 --ranks 2 \\
        --output FOLDER/search/MiniLM.mindir
    models/export_minilm.py --ranks 2 --batch 8 --length 128 --output FOLDER/layers/MiniLM.mindir

Everything runs in turns on two cores, a rank on each, and the middle of the rounds is shown.
"""

import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile

import work

sys.path.insert(0, str(work.ROOT))
import mindir
from mindir.graph import attribute
from mindir.schema import PROTO

ROUNDS = 5


def start(model, ranks, cores, repeat=200):
    """Return (p50 of a predict in ms, peak memory of a rank in MiB) of main.py on so many CPU ranks."""
    environment = dict(os.environ, GLOG_v="3", OMPI_ALLOW_RUN_AS_ROOT="1", OMPI_ALLOW_RUN_AS_ROOT_CONFIRM="1")
    with tempfile.NamedTemporaryFile(suffix=".json") as report:
        command = ["taskset", "-c", cores, *work.mpirun(sys.executable, ranks), f"{work.ROOT}/main.py"]
        words = [f"--model_path={model}", "--backend=cpu", "--warmup=20", f"--repeat={repeat}", f"--json={report.name}"]
        process = subprocess.Popen([*command, *words], env=environment, stdout=subprocess.DEVNULL)
        _, status, usage = os.wait4(process.pid, 0)
        if status:
            raise SystemExit(f"{model}: status {status}")
        with open(report.name) as written:  # another file by now: main.py puts it there whole
            return json.load(written)["predict_ms"]["p50"], usage.ru_maxrss / 1024


def in_turns(runs):
    """Return {name: (middle p50, largest peak)} of runs {name: arguments of start}."""
    found = {name: [] for name in runs}
    for _ in range(ROUNDS):
        for name, arguments in runs.items():
            found[name].append(start(*arguments))
    return {name: (statistics.median(p50s), max(peaks)) for name, (p50s, peaks) in
            ((name, zip(*pairs)) for name, pairs in found.items())}  # fmt: skip


def in_a_group(model, folder):
    """Write the set of two shards again, its collectives among ranks 0 and 1 by name; return its path."""
    for number in range(2):
        shard = mindir.load(model.replace(".mindir", f"{number}.mindir"))
        for primitive in shard.model.primitives:
            group = attribute(primitive, "group")
            if group is not None:
                group.s = b"2-0123456789"
                text = PROTO["Attribute"](name="group_ranks", type=group.type, s=b"0-1")
                primitive.attribute.append(text)
        with open(os.path.join(folder, f"MiniLM{number}.mindir"), "wb") as file:
            file.write(shard.model.SerializeToString())
    shutil.copy(model, folder)
    return os.path.join(folder, "MiniLM.mindir")


def main():
    names = ("search/MiniLM.mindir", "layers/MiniLM.mindir", "pipeline/Net.mindir")
    search, layers, pipeline = (os.path.abspath(f"{sys.argv[1]}/{name}") for name in names)
    with tempfile.TemporaryDirectory() as folder:
        os.mkdir(f"{folder}/one")
        for name in ("Net.mindir", "Net0.mindir"):
            os.symlink(pipeline, f"{folder}/one/{name}")
        runs = {
            "pipeline, one rank of one thread": (f"{folder}/one/Net.mindir", 1, "0", 60),
            "pipeline, two stages of one thread": (pipeline, 2, "0,1", 60),
            "MiniLM 8 x 128 by layers": (layers, 2, "0,1", 30),
            "MiniLM 8 x 128 by layers, in a group": (in_a_group(layers, folder), 2, "0,1", 30),
            "MiniLM 8 x 128 by MindSpore's search": (search, 2, "0,1", 30),
        }
        print("| | p50 ms | a rank's peak MiB |\n|-|-|-|")
        for name, (p50, peak) in in_turns(runs).items():
            print(f"| {name} | {p50:.2f} | {peak:.0f} |")


if __name__ == "__main__":
    main()
