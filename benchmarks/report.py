"""Make the page results/NAME.md and its plots of what compare.py measured, results/NAME.json: report.py NAME.json"""

import json
import sys
from pathlib import Path

import jinja2
import matplotlib
import minilm
import numpy as np
import work

matplotlib.use("Agg")
from matplotlib import pyplot, ticker

RANKS = 2
ONE = "unsharded, one thread"
NAMES = {name: "product {}×{}×{}".format(*shape) for name, shape in work.MATMULS.items()}
NAMES.update({name: "MiniLM {} × {} tokens".format(*shape) for name, shape in work.MINILMS.items()})
GOALS = [  # work, the peer whose time is divided by the suite's, at least
    ("small", "PyTorch NCCL eager", 2.0),
    ("large_gpu", "plain script", 2.5),
    ("decode", "PyTorch NCCL eager", 1.0),
    ("decode", "PyTorch NCCL compiled", 1.0),
    ("large", "PyTorch gloo eager", 1.5),
    ("large", "PyTorch gloo compiled", 1.5),
    ("minilm_8x128", "PyTorch gloo eager", 1.2),
    ("minilm_8x128", "PyTorch gloo compiled", 1.2),
    ("large", ONE, 0.9),  # per rank: scaling
    ("minilm_8x128", ONE, 0.85),
]


def ratio(result, other):
    """Return result's time over other's: the median over the turns, in which both were asked one after the other."""
    return float(np.median([np.median(a) / np.median(b) for a, b in zip(result["ms"], other["ms"])]))


def demand(name):
    """Return a predict's floating-point operations and bytes of weights, both of all ranks, and its collectives.

    They are (how many, kind, bytes of the result).
    """
    if name in work.MATMULS:
        m, k, n = work.MATMULS[name]
        return 2.0 * m * k * n, 4.0 * k * n, (1, "allgather", 4 * m * n)
    batch, length = work.MINILMS[name]
    block = 4 * minilm.WIDTH * minilm.WIDTH + 2 * minilm.WIDTH * minilm.INNER
    flops = minilm.LAYERS * 2.0 * batch * length * (block + 2 * length * minilm.WIDTH)
    return flops, 4.0 * minilm.LAYERS * block, (1 + 2 * minilm.LAYERS, "allreduce", 4 * batch * length * minilm.WIDTH)


def bound(found, name):
    """Return the milliseconds that a predict takes at least on two ranks, and those of its parts."""
    limits, (flops, nbytes, (count, kind, size)) = found["limits"], demand(name)
    sizes = sorted(map(int, limits[kind]))
    parts = {"compute": flops / RANKS / peak(found) / 1e6}
    parts["weights"] = nbytes / (limits["copy_gbs"] * RANKS if found["gpu"] else limits["copy_gbs_together"]) / 1e6
    parts["collectives"] = count * np.interp(size, sizes, [limits[kind][str(known)] for known in sizes]) / 1e3
    if found["gpu"]:
        m, k, n = work.MATMULS.get(name, (1, 1, 1))
        parts["host"] = 4 * m * k / limits["to_gpu_gbs"] / 1e6 + 4 * m * n / limits["to_host_gbs"] / 1e6
    return {"least": sum(parts.values()) - min(parts["compute"], parts["weights"]), "parts": parts}


def peak(found):
    """Return the GFLOP/s of a core, or a GPU: the best that any library reached."""
    seen = [found["limits"]["torch_gflops"]]
    if not found["gpu"]:
        one = found["works"].get("large", {}).get("unsharded, one thread", {})
        seen += [demand("large")[0] / np.min(np.concatenate(one["ms"])) / 1e6] if "ms" in one else []
        seen.append(found["limits"]["numpy_gflops"])
    return max(seen)


def load(source):
    """Return what compare.py wrote, with what follows from it."""
    found = json.loads(source.read_text())
    found["limits"].update(found.get("limits_torch", {}))  # of earlier files
    own, works = found.get("own", {}), found["works"]
    found.update(stem=source.stem, names=NAMES, peak=peak(found), run_sh=own.get("run.sh", {}).get("seconds"))
    found["bounds"] = {name: bound(found, name) for name in works}
    results = [(result, peers["suite"]) for peers in works.values() for result in peers.values()]
    found["about"] = sorted({result["about"] for result, _ in results if "about" in result})
    timed = [(result, suite) for result, suite in results if "ms" in result]
    for result, suite in timed:
        result["percentiles"] = tuple(np.percentile(np.concatenate(result["ms"]), [50, 90, 99]))
        result["ratio"] = ratio(result, suite) if "ms" in suite else None
    found["turns"] = max(len(result["ms"]) for result, _ in timed)
    found["most"] = max(len(turn) for result, _ in timed for turn in result["ms"])
    found["goals"] = []
    for name, peer, least in GOALS:
        value, scaling = works.get(name, {}).get(peer, {}).get("ratio"), peer == ONE
        what = "scaling from one rank to two" if scaling else f"{peer}'s time ÷ the suite's"
        found["goals"] += [(name, what, least, value / RANKS if scaling else value)] if value else []
    found["own"] = {name: cost for name, cost in own.items() if "steps" in cost}  # the others failed
    for cost in found["own"].values():
        cost.update(own_ms=cost["own_us"] / 1e3, memory_mib=cost["peak_mib"] - cost["before_mib"])
        cost["shares"] = tuple(
            ms / cost["predict_ms"] * 100 for ms in (cost["own_ms"], cost["own_ms"] + cost["sums_ms"])
        )
    return found


# Plots


def draw_peers(found):
    works = found["works"]
    figure, axes = pyplot.subplots(figsize=(11, 4.5), layout="constrained")
    peers = [peer for peer in next(iter(works.values())) if peer != "suite"]
    for index, peer in enumerate(peers):
        values = np.array([peers.get(peer, {}).get("ratio") or np.nan for peers in works.values()])
        places = np.arange(len(works)) + (index - len(peers) / 2 + 0.5) * 0.8 / len(peers)
        axes.bar(places, values - 1, 0.8 / len(peers), bottom=1, label=peer)  # from 1, up or down
    axes.axhline(1, color="black", linewidth=1)
    axes.set_yscale("log", base=2)
    axes.yaxis.set_major_formatter(ticker.FormatStrFormatter("%g"))
    axes.set_ylabel("time ÷ the suite's (above 1: the suite is faster)")
    axes.set_xticks(range(len(works)), [NAMES[name] for name in works], rotation=20, ha="right")
    return figure


def draw_collectives(found):
    figure, axes = pyplot.subplots(figsize=(8, 4), layout="constrained")
    for kind in ("allreduce", "allgather"):
        axes.loglog(*zip(*sorted((int(size), time) for size, time in found["limits"][kind].items())), "o-", label=kind)
    axes.set_xlabel("bytes of the result")
    axes.set_ylabel("µs")
    axes.grid(alpha=0.3)
    return figure


def draw_own(found):
    """What a predict of MiniLM takes and what a rank holds, by the number of ranks."""
    models = [cost for name, cost in found["own"].items() if name.startswith("minilm_8x128")]
    models.sort(key=lambda cost: cost["ranks"])
    places, bottom = np.arange(len(models)), np.zeros(len(models))
    figure, (left, right) = pyplot.subplots(1, 2, figsize=(11, 4), layout="constrained")
    for key, name in (("engine_ms", "engine"), ("mpi_ms", "MPI and waiting"), ("sums_ms", "sums"), ("own_ms", "own")):
        values = [cost[key] for cost in models]
        left.bar(places, values, 0.6, bottom, label=name)
        bottom += values
    for shift, key, name in ((-0.2, "shard_mib", "shard"), (0.2, "memory_mib", "memory at its peak")):
        right.bar(places + shift, [cost[key] for cost in models], 0.4, label=name)
    for axes, what in ((left, "ms of a predict, MiniLM 8 × 128"), (right, "MiB of a rank")):
        axes.set_xticks(places, [cost["ranks"] for cost in models])
        axes.set_xlabel(f"ranks ({found['cores']} cores)")
        axes.set_ylabel(what)
    return figure


def main():
    source = Path(sys.argv[1])
    found = load(source)
    pages = jinja2.Environment(
        loader=jinja2.FileSystemLoader(str(Path(__file__).parent)),
        trim_blocks=True,
        keep_trailing_newline=True,
    )
    source.with_suffix(".md").write_text(pages.get_template("page.md.j2").render(found), encoding="utf-8")
    for name, draw in (("peers", draw_peers), ("collectives", draw_collectives), ("own", draw_own)):
        if found.get(name, True):
            figure = draw(found)
            for axes in figure.axes:
                axes.legend(fontsize=8, loc="lower center", bbox_to_anchor=(0.5, 1), ncols=4, frameon=False)
            figure.savefig(str(source.with_name(f"{source.stem}-{name}.png")), dpi=110)


main()
