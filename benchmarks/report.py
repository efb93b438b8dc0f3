"""Make the page results/NAME.md and its plots of what compare.py measured, results/NAME.json: report.py NAME.json"""

import json
import sys
from pathlib import Path

import matplotlib
import numpy as np
import work

matplotlib.use("Agg")
from matplotlib import pyplot

RANKS = 2
NAMES = {
    "small": "product 4×256×128",
    "large": "product 256×4096×4096",
    "large_gpu": "product 2048×8192×8192",
    "decode": "product 16×16384×8192",
    **{name: f"MiniLM {batch} × {length} tokens" for name, (batch, length) in work.MINILMS.items()},
}


def p50(result):
    return float(np.median(np.concatenate(result["ms"])))


def ratio(result, other):
    """Return result's time over other's: the median over the turns, in which both were asked one after the other."""
    return float(np.median([np.median(a) / np.median(b) for a, b in zip(result["ms"], other["ms"])]))


def interpolated(table, size):
    """Return the microseconds of a collective of this many bytes."""
    sizes = sorted(map(int, table))
    return float(np.interp(size, sizes, [table[str(each)] for each in sizes]))


def bound(found, name):
    """Return the milliseconds that a predict takes at least on two ranks, and what of it the three parts are."""
    cpu, gpu = found["limits"], found["limits_torch"]
    limits = gpu if found["gpu"] else cpu
    gflops = peak(found)
    compute = work.flops(name) / RANKS / gflops / 1e6
    bandwidth = gpu["copy_gbs"] * RANKS if found["gpu"] else cpu["copy_gbs_together"]
    memory = work.read_bytes(name) / bandwidth / 1e6
    exchange = sum(
        count * interpolated(limits[kind], size) / 1e3 for count, kind, size in work.collectives(name, RANKS)
    )
    host = 0.0
    if found["gpu"]:
        m, k, n = work.MATMULS.get(name, (1, 1, 1))
        host = 4 * m * k / gpu["to_gpu_gbs"] / 1e6 + 4 * m * n / gpu["to_host_gbs"] / 1e6
    return max(compute, memory) + exchange + host, compute, memory, exchange, host


def peak(found):
    """Return the GFLOP/s of a core, or a GPU: the best that any library reached."""
    seen = [found["limits_torch"]["torch_gflops"]]
    if not found["gpu"]:
        seen.append(found["limits"]["numpy_gflops"])
        one = found["works"].get("large", {}).get("unsharded, one thread", {})
        if one.get("ms"):
            seen.append(work.flops("large") / np.min(np.concatenate(one["ms"])) / 1e6)
    return max(seen)


def table(head, rows):
    return "\n".join([f"| {' | '.join(head)} |", "|---" * len(head) + "|", *(f"| {' | '.join(row)} |" for row in rows)])


def page(found, plots):
    out = [f"# {found['machine']}\n", machine(found), "\n## The same work, two ranks\n"]
    out.append(
        "A predict goes from the inputs in the host's memory to the result there, on every rank; its time is the\n"
        f"slowest rank's. All predict in turn, {turns(found)} turns of up to {max_count(found)} predicts.\n"
        "Ratio: a peer's time over the suite's in the same turn, the median; above 1 the suite is faster.\n"
        "Error: against float64, over the largest value.\n"
    )
    if plots:
        out.append(f"![Times relative to the suite's]({plots[0]})\n")
    for name, peers in found["works"].items():
        least, *parts = bound(found, name)
        text = ", ".join(
            f"{part} {value:.3g}" for part, value in zip(("compute", "weights", "collectives", "host"), parts) if value
        )
        out.append(f"### {NAMES[name]}\n\nBound {least:.3g} ms ({text} ms).\n")
        rows, suite = [], peers["suite"]
        for peer, result in peers.items():
            if not result.get("ms"):
                rows.append([peer, f"failed: {result['failed'].splitlines()[-1][:120]}", *[""] * 5])
                continue
            times = np.concatenate(result["ms"])
            figures = [f"{each:.3f}" for each in np.percentile(times, [50, 90, 99])]
            figures.append(f"{ratio(result, suite):.2f}" if suite.get("ms") else "")
            rows.append([peer, f"{result['error']:.0e}", *figures, f"{p50(result) / least:.1f}"])
        out.append(table(["", "error", "p50 ms", "p90", "p99", "ratio", "× bound"], rows) + "\n")
    out.append("## Goals\n\n" + table(["goal", "wanted", "found"], goals(found)) + "\n")
    out.append(limits(found, plots))
    if "own" in found:
        out.append(own(found, plots))
    return "\n".join(out)


def machine(found):
    about = {result["about"] for peers in found["works"].values() for result in peers.values() if "about" in result}
    gpus = f"{len(found['gpus'])} × {found['gpus'][0]}; " if "gpus" in found else ""
    text = f"{found['date']}, {gpus}{found['cores']} cores of {found['cpu']}. "
    text += "; ".join(sorted(about)) + f"; {found['limits'].get('mpi', '')}. Written by `benchmarks/compare.py`."
    return text + (f" {found['note']}" if "note" in found else "")


def turns(found):
    return max(len(result["ms"]) for peers in found["works"].values() for result in peers.values() if result.get("ms"))


def max_count(found):
    return max(
        len(turn) for peers in found["works"].values() for result in peers.values() for turn in result.get("ms", ())
    )


def goals(found):
    works = found["works"]

    def against(name, peers, least):
        if name not in works or not works[name]["suite"].get("ms"):
            return []
        rows = []
        for peer in peers:
            if works[name].get(peer, {}).get("ms"):
                rows.append([f"{NAMES[name]}: {peer}'s time ÷ the suite's", f"≥ {least}",
                             f"{ratio(works[name][peer], works[name]['suite']):.2f}"])  # fmt: skip
        return rows

    if found["gpu"]:
        eager = ["PyTorch NCCL eager", "PyTorch NCCL compiled"]
        return [
            *against("small", eager[:1], "2.0"),
            *against("large_gpu", ["plain script"], "2.5"),
            *against("decode", eager, "1.0"),
        ]
    gloo = ["PyTorch gloo eager", "PyTorch gloo compiled"]
    rows = [*against("large", gloo, "1.5"), *against("minilm_8x128", gloo, "1.2")]
    for name, least in (("large", 0.90), ("minilm_8x128", 0.85)):
        one = works.get(name, {}).get("unsharded, one thread", {})
        if one.get("ms") and works[name]["suite"].get("ms"):
            share = ratio(one, works[name]["suite"]) / RANKS
            rows.append([f"{NAMES[name]}: scaling from one rank to two", f"≥ {least}", f"{share:.2f}"])
    both = found.get("own", {})
    if "minilm_8x128" in both:
        each = both["minilm_8x128"]
        shares = [each["own_us"] / each["predict_ms"] / 10, each["sums_ms"] / each["predict_ms"] * 100]
        rows.append(
            ["MiniLM 8 × 128: the suite's own share; with the sums", "≤ 3 %", f"{shares[0]:.1f} %; {sum(shares):.1f} %"]
        )
        chain = both["chain_100/2"]
        rows.append(
            ["own time a stage with its collective", "≤ 30 µs", f"{chain['own_us'] / chain['steps'] * 2:.0f} µs"]
        )
    return rows


def limits(found, plots):
    gpu, cpu = found["limits_torch"], found["limits"]
    rows = []
    if found["gpu"]:
        rows.append(["float32 product with TF32, a GPU", f"{gpu['torch_gflops'] / 1e3:.0f} TFLOP/s"])
        rows.append(["copy on a GPU, read and written", f"{gpu['copy_gbs']:.0f} GB/s"])
        rows.append(["from and to locked host memory", f"{gpu['to_gpu_gbs']:.1f} and {gpu['to_host_gbs']:.1f} GB/s"])
    else:
        rows.append(["float32 product, one core: NumPy, PyTorch, the best here",
                     f"{cpu['numpy_gflops']:.0f}, {gpu['torch_gflops']:.0f}, {peak(found):.0f} GFLOP/s"])  # fmt: skip
        rows.append(["copy, read and written: one core, one of each rank",
                     f"{cpu['copy_gbs_one']:.1f}, {cpu['copy_gbs_together']:.1f} GB/s"])  # fmt: skip
    text = (
        "## The machine's limits\n\n"
        + table(["", ""], rows)
        + "\n\nCollectives between two ranks, the least of many:\n\n"
    )
    source = gpu if found["gpu"] else cpu
    sizes = sorted(map(int, source["allreduce"]))
    text += table(
        ["bytes", f"{'NCCL' if found['gpu'] else 'MPI'} Allreduce µs", "Allgather µs"],
        [
            [str(size), f"{source['allreduce'][str(size)]:.1f}", f"{source['allgather'][str(size)]:.1f}"]
            for size in sizes
        ],
    )
    return text + (f"\n\n![Collectives]({plots[1]})\n" if plots else "\n")


def own(found, plots):
    if "failed" in found["own"]:
        return f"## What the suite itself costs\n\nfailed: {found['own']['failed']}\n"
    both = {key: value for key, value in found["own"].items() if "steps" in value}
    rows = [
        [NAMES.get(key.split("/")[0], f"chain of {key[len('chain_') :].split('/')[0]} stages"), str(each["ranks"]),
         str(each["steps"]), f"{each['predict_ms']:.2f}",
         *(f"{each[part]:.2f}" for part in ("engine_ms", "mpi_ms", "sums_ms")), f"{each['own_us']:.0f}",
         f"{each['own_us'] / each['steps']:.1f}", f"{each['own_us'] / each['predict_ms'] / 10:.1f} %",
         f"{each['shard_mib']:.1f}", f"{each['peak_mib'] - each['before_mib']:.0f}"]
        for key, each in both.items()
    ]  # fmt: skip
    text = (
        "## What the suite itself costs\n\n"
        "Engine and MPI: what mindspore_lite's and MPI's functions take of a predict, waiting for the other rank\n"
        "included, on rank 0; sums: those of reductions, which NumPy adds up between two calls of MPI; own: all the\n"
        f"rest. A step is a stage or a collective. More ranks than the {found['cores']} cores share them.\n"
        "Memory: what a rank's peak grows by in the build and the first predict.\n\n"
    )
    head = ["", "ranks", "steps", "predict ms", "engine ms", "MPI ms", "sums ms", "own µs",
            "µs a step", "share", "shard MiB", "memory MiB"]  # fmt: skip
    text += table(head, rows) + "\n\nStart, seconds of rank 0:\n\n"
    chosen = [key for key in ("small", "minilm_8x128", "decode") if key in both]
    steps = list(both[chosen[0]]["start_s"])
    rows = [[step, *(f"{both[key]['start_s'].get(step, 0):.2f}" for key in chosen)] for step in steps]
    text += table(["", *(NAMES[key] for key in chosen)], rows)
    seconds = found["own"]["run.sh"]["seconds"]
    text += f"\n\n`./run.sh` of the shipped product, start to end with the check: {seconds:.1f} s.\n"
    return text + (f"\n![The suite's own time]({plots[2]})\n" if len(plots) > 2 else "")


# Plots


def draw(found, stem):
    names, works = [], found["works"]
    figure, axes = pyplot.subplots(figsize=(10, 4.5))
    peers = [peer for peer in next(iter(works.values())) if peer != "suite"]
    for index, peer in enumerate(peers):
        both = [(each.get(peer, {}), each["suite"]) for each in works.values()]
        values = [ratio(*pair) if all(each.get("ms") for each in pair) else np.nan for pair in both]
        axes.bar(
            np.arange(len(works)) + (index - len(peers) / 2 + 0.5) * 0.8 / len(peers),
            values,
            0.8 / len(peers),
            label=peer,
        )
    axes.axhline(1, color="black", linewidth=1)
    axes.set_yscale("log")
    axes.set_ylabel("time ÷ the suite's (above 1: the suite is faster)")
    axes.set_xticks(range(len(works)), [NAMES[each] for each in works], rotation=20, ha="right")
    axes.legend(fontsize=7, ncols=2)
    names.append(save(figure, f"{stem}-peers.png"))

    source = found["limits_torch"] if found["gpu"] else found["limits"]
    figure, axes = pyplot.subplots(figsize=(7, 4))
    for kind in ("allreduce", "allgather"):
        sizes = sorted(map(int, source[kind]))
        axes.loglog(sizes, [source[kind][str(size)] for size in sizes], "o-", label=kind)
    axes.set_xlabel("bytes of the result")
    axes.set_ylabel("µs")
    axes.grid(alpha=0.3)
    axes.legend()
    names.append(save(figure, f"{stem}-collectives.png"))

    chains = {key: each for key, each in found.get("own", {}).items() if key.startswith("chain")}
    if chains:
        figure, (left, right) = pyplot.subplots(1, 2, figsize=(10, 4))
        two = sorted((each["steps"] / 2, each["own_us"]) for key, each in chains.items() if each["ranks"] == 2)
        left.loglog(*zip(*two), "o-")
        left.set_xlabel("stages, each with its collective (2 ranks)")
        left.set_ylabel("the suite's own µs a predict")
        ten = sorted(
            (each["ranks"], each["own_us"], each["predict_ms"] * 1e3)
            for key, each in chains.items()
            if "chain_10/" in key
        )
        right.plot([str(each[0]) for each in ten], [each[1] for each in ten], "o-", label="own")
        right.plot([str(each[0]) for each in ten], [each[2] for each in ten], "s-", label="predict")
        right.set_yscale("log")
        right.set_xlabel(f"ranks (10 stages; {found['cores']} cores)")
        right.legend()
        names.append(save(figure, f"{stem}-own.png"))
    return names


def save(figure, path):
    figure.tight_layout()
    figure.savefig(str(path), dpi=110)
    pyplot.close(figure)
    return Path(path).name


def main():
    source = Path(sys.argv[1])
    found = json.loads(source.read_text())
    stem = source.with_suffix("")
    stem.with_suffix(".md").write_text(page(found, draw(found, stem)).rstrip() + "\n", encoding="utf-8")


main()
