"""The memory of a language model's CPU ranks, on 1, 2 and 3 of them, as a table.

    .venv/bin/python benchmarks/language_model_memory.py MODELS

MODELS/N/SmolLM2.mindir is the set for N ranks; models/export_smollm.py makes it, in .venv-export, where it isn't there.
Each row is a start of its own: with the decode net alone or with both, and once more with what --engine_cache kept of
the first. A rank is measured when it has read a prompt of 16 tokens and written 8; of several ranks the largest is
shown. What else the machine does makes no difference. Started by itself under run.sh, with MODEL CACHE.
"""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import work

sys.path.insert(0, str(work.ROOT))
import ranks

NETS = {"decode alone": ["decode"], "prefill and decode": ["prefill", "decode"]}
COLUMNS = ("ranks", "nets", "a shard's file", "resident", "before", "without that", "times the shard", "peak")


def memory(name):
    """Return this process's VmRSS, what is resident, or VmHWM, the most that has been at a time: MiB."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{name}:")) / 1024


def rank(path, cache):
    """Print, on rank 0, the figures of the rank that has most."""
    from suite import language_model  # and mindspore_lite
    from suite.generation import Choice, generate

    comm = ranks.world()
    before = memory("VmRSS")
    writer = language_model.load(path, comm, engine_cache=cache)
    for _ in generate(comm, writer, [[1] * 16] * writer.sentences, 8, Choice(writer.sentences)):
        pass
    shard = os.path.getsize(ranks.find(ranks.insert(language_model.part_of(path, "decode"), comm.rank))) / 2**20
    everyone = comm.allgather((memory("VmRSS"), memory("VmHWM"), before, shard))
    if comm.rank == 0:
        print(json.dumps(max(everyone)))


def rows(models):
    """Yield the table's rows, each as it is measured."""
    for count in (1, 2, 3):
        model = models / str(count) / "SmolLM2.mindir"
        if not model.with_name(f"SmolLM2.decode{count - 1}.mindir").exists():
            model.parent.mkdir(parents=True, exist_ok=True)
            python, script = work.ROOT / ".venv-export" / "bin" / "python", work.ROOT / "models" / "export_smollm.py"
            subprocess.run([python, script, f"--ranks={count}", f"--output={model}"], stdout=sys.stderr, check=True)
        for nets, names in NETS.items():
            with tempfile.TemporaryDirectory() as folder:
                for name in names:
                    for file in model.parent.glob(f"SmolLM2.{name}[0-9]*.mindir"):
                        Path(folder, file.name).symlink_to(file)
                for again in ("", ", second start"):
                    start = [work.ROOT / "run.sh", "--backend=cpu", f"--ranks={count}", "--untagged"]
                    words = [f"--log_dir={folder}/logs", __file__, f"{folder}/{model.name}", f"{folder}/engines"]
                    made = subprocess.check_output([*start, *words], text=True)
                    resident, peak, before, shard = json.loads(made.splitlines()[-1])
                    own = resident - before
                    mib = [f"{figure:.0f} MiB" for figure in (shard, resident, before, own)]
                    yield [count, nets + again, *mib, f"{own / shard:.1f}", f"{peak:.0f} MiB"]


if len(sys.argv) == 3:
    ranks.run(lambda: rank(*sys.argv[1:]))
else:
    work.table(COLUMNS, rows(Path(sys.argv[1]).resolve()))
