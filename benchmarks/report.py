"""Make the page results/NAME.md and its plots of what compare.py measured, results/NAME.json: report.py NAME.json"""

import json
import sys
from pathlib import Path

import jinja2
import matplotlib
import minilm
import numpy as np
import pandas
import work

matplotlib.use("Agg")
from matplotlib import pyplot

ONE = "unsharded, one thread"
NAMES = {name: "product {}×{}×{}".format(*shape) for name, shape in work.MATMULS.items()}
NAMES.update({name: "MiniLM {} × {} tokens".format(*shape) for name, shape in work.MINILMS.items()})
GOALS = [  # work, the peers whose time is divided by the suite's (one thread's by the ranks, too), at least
    ("small", ["PyTorch NCCL eager"], 2.0),
    ("large_gpu", ["plain script"], 2.5),
    ("decode", ["PyTorch NCCL eager", "PyTorch NCCL compiled"], 1.0),
    ("large", ["PyTorch gloo eager", "PyTorch gloo compiled"], 1.5),
    ("minilm_8x128", ["PyTorch gloo eager", "PyTorch gloo compiled"], 1.2),
    ("large", [ONE], 0.9),
    ("minilm_8x128", [ONE], 0.85),
]


def ratio(result, other):
    """Return result's time over other's: the median over the turns, in which both were asked one after the other."""
    return float(np.median([np.median(a) / np.median(b) for a, b in zip(result["ms"], other["ms"])]))


def demand(name):
    """Return a predict's floating-point operations, bytes of weights, of all ranks, and bytes from and to the host.

    And its collectives: how many, which kind, bytes of the result.
    """
    if name in work.MATMULS:
        m, k, n = work.MATMULS[name]
        return 2.0 * m * k * n, 4.0 * k * n, (4 * m * k, 4 * m * n), (1, "allgather", 4 * m * n)
    rows, block = np.prod(work.MINILMS[name]), minilm.WIDTH * (4 * minilm.WIDTH + 2 * minilm.INNER)
    flops = minilm.LAYERS * 2.0 * rows * (block + 2 * work.MINILMS[name][1] * minilm.WIDTH)
    collectives = 1 + 2 * minilm.LAYERS, "allreduce", 4 * rows * minilm.WIDTH
    return flops, 4.0 * minilm.LAYERS * block, (4, 4), collectives


def bound(found, name):
    """Return the milliseconds that a predict takes at least on two ranks, and those of its parts."""
    limits, (flops, weights, host, (count, kind, size)) = found["limits"], demand(name)
    copy_gbs = 2 * limits["copy_gbs"] if found["gpu"] else limits["copy_gbs_together"]
    known = {int(size): us for size, us in limits[kind].items()}
    parts = {"compute": flops / 2 / found["peak"] / 1e6, "weights": weights / copy_gbs / 1e6}
    parts["collectives"] = count * np.interp(size, list(known), list(known.values())) / 1e3
    if found["gpu"]:
        parts["host"] = (host[0] / limits["to_gpu_gbs"] + host[1] / limits["to_host_gbs"]) / 1e6
    return {"least": sum(parts.values()) - min(parts["compute"], parts["weights"]), "parts": parts}


def peak(found):
    """Return the GFLOP/s of a core, or a GPU: the best that any library reached."""
    one = found["works"].get("large", {}).get(ONE, {}).get("ms", [])
    reached = [demand("large")[0] / min(map(min, one)) / 1e6] if one else []
    return max([found["limits"]["torch_gflops"], found["limits"].get("numpy_gflops", 0), *reached])


def load(source):
    """Return what compare.py wrote, with what follows from it."""
    found = json.loads(source.read_text())
    found["limits"].update(found.get("limits_torch", {}))  # of earlier files
    own, works = found.get("own", {}), found["works"]
    found.update(stem=source.stem, names=NAMES, peak=peak(found), run_sh=own.pop("run.sh", {}).get("seconds"), own=own)
    found["bounds"] = {name: bound(found, name) for name in works}
    timed = [(result, peers["suite"]) for peers in works.values() for result in peers.values() if "ms" in result]
    for result, suite in timed:
        result["percentiles"] = tuple(np.percentile(np.concatenate(result["ms"]), [50, 90, 99]))
        result["ratio"] = ratio(result, suite)
    found["about"] = sorted({result["about"] for result, _ in timed})
    found["turns"] = max(len(result["ms"]) for result, _ in timed)
    found["most"] = max(len(turn) for result, _ in timed for turn in result["ms"])
    found["goals"] = []
    for name, peer, least in ((name, peer, least) for name, peers, least in GOALS for peer in peers):
        value = works.get(name, {}).get(peer, {}).get("ratio", 0) / (2 if peer == ONE else 1)
        what = "scaling from one rank to two" if peer == ONE else f"{peer}'s time ÷ the suite's"
        found["goals"] += [(name, what, least, value)] if value else []
    for cost in own.values():
        cost.update(own_ms=cost["own_us"] / 1e3, memory_mib=cost["peak_mib"] - cost["before_mib"])
        cost["shares"] = tuple(np.cumsum([cost["own_ms"], cost["sums_ms"]]) / cost["predict_ms"] * 100)
    return found


def draw_peers(found):
    ratios = {name: {peer: cost.get("ratio") for peer, cost in peers.items()} for name, peers in found["works"].items()}
    frame = pandas.DataFrame(ratios).drop(index="suite").rename(columns=NAMES).T
    axes = (frame - 1).plot.bar(bottom=1, width=0.8, rot=20, figsize=(11, 4.5))  # from 1, up or down
    axes.axhline(1, color="black", linewidth=1)
    axes.set_yscale("log", base=2)
    axes.yaxis.set_major_formatter("{x:g}")
    axes.set_ylabel("time ÷ the suite's (above 1: the suite is faster)")


def draw_collectives(found):
    frame = pandas.DataFrame({kind: found["limits"][kind] for kind in ("allreduce", "allgather")})
    frame.index = frame.index.astype(int)
    frame.plot(style="o-", loglog=True, grid=True, figsize=(8, 4), xlabel="bytes of the result", ylabel="µs")


def draw_own(found):
    """What a predict of MiniLM takes and what a rank holds, by the number of ranks."""
    models = [cost for name, cost in found["own"].items() if name.startswith("minilm_8x128")]
    frame = pandas.DataFrame(models).set_index("ranks").sort_index()
    _, (left, right) = pyplot.subplots(1, 2, figsize=(11, 4))
    style = {"rot": 0, "xlabel": f"ranks ({found['cores']} cores)"}
    times = {"engine_ms": "engine", "mpi_ms": "MPI and waiting", "sums_ms": "sums", "own_ms": "own"}
    sizes = {"shard_mib": "shard", "memory_mib": "memory at its peak"}
    what = "ms of a predict, MiniLM 8 × 128"
    frame[list(times)].rename(columns=times).plot.bar(ax=left, stacked=True, ylabel=what, **style)
    frame[list(sizes)].rename(columns=sizes).plot.bar(ax=right, ylabel="MiB of a rank", **style)


def main():
    source = Path(sys.argv[1])
    found = load(source)
    page = Path(__file__).with_name("page.md.j2").read_text()
    template = jinja2.Template(page, trim_blocks=True, keep_trailing_newline=True)
    source.with_suffix(".md").write_text(template.render(found))
    draws = {"peers": draw_peers, "collectives": draw_collectives, **({"own": draw_own} if found["own"] else {})}
    for name, draw in draws.items():
        draw(found)
        for axes in pyplot.gcf().axes:
            axes.legend(fontsize=8, loc="lower center", bbox_to_anchor=(0.5, 1), ncols=4, frameon=False)
        pyplot.savefig(source.with_name(f"{source.stem}-{name}.png"), dpi=110, bbox_inches="tight")


main()
