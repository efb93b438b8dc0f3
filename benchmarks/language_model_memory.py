"""The memory of a language model's CPU ranks, on 1, 2 and 3 of them, as a table: each row as it is measured.

    .venv/bin/python benchmarks/language_model_memory.py MODELS

MODELS/N/SmolLM2.mindir is the set for N ranks; models/export_smollm.py makes it, in .venv-export, where it isn't there.
Each row is a start of its own: with the decode net alone or with both, and once more with what --engine_cache kept of
the first. A rank is measured when it has read a prompt of 16 tokens and written 8; of several ranks the largest is
shown. What else the machine does makes no difference. Started by itself under run.sh, with --rank MODEL CACHE.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

root = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(root))
COUNTS = (1, 2, 3)
NETS = {"decode alone": ["decode"], "prefill and decode": ["prefill", "decode"]}
COLUMNS = ("ranks", "nets", "a shard's file", "resident", "without {} MiB", "times the shard", "peak")


# One rank


def memory(name):
    """Return this process's VmRSS, what is resident, or VmHWM, the most that has been at a time: MiB."""
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) for line in file if line.startswith(f"{name}:")) / 1024


def rank(path, cache):
    """Print, on rank 0, the figures of the rank that has most."""
    import ranks
    from suite import language_model  # and mindspore_lite
    from suite.generation import Choice, generate

    comm = ranks.world()
    before = memory("VmRSS")
    writer = language_model.load(path, comm, cache)
    for _ in generate(comm, writer, [[1] * 16] * writer.sentences, 8, Choice(writer.sentences)):
        pass
    shard = ranks.find(ranks.insert(language_model.part_of(path, "decode"), comm.rank))
    mine = {
        "resident": memory("VmRSS"),
        "peak": memory("VmHWM"),
        "before": before,
        "shard": os.path.getsize(shard) / 2**20,
    }
    everyone = comm.gather(mine)
    if comm.rank == 0:
        print(json.dumps(max(everyone, key=lambda one: one["resident"])))


# All


def export(models, count):
    """Make the set for so many ranks, unless it is there."""
    model = models / str(count) / "SmolLM2.mindir"
    if not model.with_name(f"SmolLM2.decode{count - 1}.mindir").exists():
        model.parent.mkdir(parents=True, exist_ok=True)
        python = root / ".venv-export" / "bin" / "python"
        words = ["models/export_smollm.py", f"--ranks={count}", f"--output={model.resolve()}"]
        subprocess.run([str(python), *words], cwd=str(root), stdout=sys.stderr, check=True)
    return model


def measure(model, count, cache):
    """Start the ranks; return the figures of the one that has most."""
    start = [
        str(root / "run.sh"),
        "--backend=cpu",
        f"--ranks={count}",
        "--untagged",
        f"--log_dir={model.parent / 'logs'}",
    ]
    words = [__file__, "--rank", str(model), str(cache)]
    done = subprocess.run([*start, *words], stdout=subprocess.PIPE, text=True, timeout=1800, check=True)
    return json.loads(done.stdout.strip().splitlines()[-1])


def rows(models):
    """Yield (ranks, what was started, figures)."""
    for count in COUNTS:
        model = export(models, count)
        for nets, names in NETS.items():
            with tempfile.TemporaryDirectory() as folder:
                folder = Path(folder)
                for name in names:
                    for file in model.parent.glob(f"SmolLM2.{name}[0-9]*.mindir"):
                        (folder / file.name).symlink_to(file.resolve())
                for again in ("", ", second start"):
                    yield count, nets + again, measure(folder / model.name, count, folder / "engines")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", type=Path, metavar="MODELS", help="the folder of the sets")
    args = parser.parse_args()
    for index, (count, nets, figures) in enumerate(rows(args.models)):
        if index == 0:
            names = " | ".join(COLUMNS).format(round(figures["before"]))
            print(f"| {names} |\n{'|---' * len(COLUMNS)}|")
        own = figures["resident"] - figures["before"]
        numbers = [f"{figures['shard']:.0f} MiB", f"{figures['resident']:.0f} MiB", f"{own:.0f} MiB"]
        numbers += [f"{own / figures['shard']:.1f}", f"{figures['peak']:.0f} MiB"]
        print(f"| {' | '.join([str(count), nets, *numbers])} |", flush=True)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--rank"]:
        import ranks

        ranks.run(lambda: rank(*sys.argv[2:]))
    else:
        main()
