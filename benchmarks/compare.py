"""This suite and what a user would pick instead, on the same work, in one run: benchmarks/run.sh calls this.

    compare.py --machine=NAME --models=FOLDER [--gpu=1] [--works=small,large,...] [--turns=12]

FOLDER has what benchmarks/run.sh exports, $PYTHON is the suite's, $PEERS that of PyTorch, ONNX Runtime and NumPy.
Writes results/NAME.json, from which report.py makes the page.

Of each piece of work, all peers are started, their results compared with float64, and then they predict in turn: A B C
A B C ..., a fraction of a second each, the other ones asleep. A predict's time is that of its slowest rank.
"""

import json
import os
import subprocess
import tempfile
import time
from pathlib import Path

import numpy as np
import work

here = Path(__file__).resolve().parent
SUITE, OTHERS = os.environ["PYTHON"], os.environ["PEERS"]
SECONDS, MOST = 0.25, 100  # of a peer's turn: its length, and predicts in it at most
PEERS = {  # name: (ranks, Python, script, how)
    "suite": (2, SUITE, "peer_suite.py", "suite"),
    "plain script": (2, SUITE, "peer_suite.py", "plain"),
    "PyTorch gloo eager": (2, OTHERS, "peers.py", "eager"),
    "PyTorch gloo compiled": (2, OTHERS, "peers.py", "compiled"),
    "ONNX Runtime + mpi4py": (2, OTHERS, "peers.py", "onnx"),
    "NumPy + mpi4py": (2, OTHERS, "peers.py", "numpy"),
    "unsharded, all cores": (1, SUITE, "peer_suite.py", "unsharded"),
    "unsharded, one thread": (1, SUITE, "peer_suite.py", "one"),
}
ON_GPUS = {name.replace("gloo", "NCCL"): peer for name, peer in list(PEERS.items())[:4]}


class Peer:
    """The ranks of a peer: asked by a pipe each, they answer through mpirun's output."""

    def __init__(self, ranks, python, script, how, models, name, pipe):
        for rank in range(ranks):
            os.mkfifo(f"{pipe}.{rank}")
        self.pipes = [os.open(f"{pipe}.{rank}", os.O_RDWR) for rank in range(ranks)]  # reading, too: without waiting
        command = [*work.mpirun(python, ranks), here / script, models, name, how, pipe]
        start, self.process = time.monotonic(), subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        self.shown = {**self.answer(), "start_s": time.monotonic() - start}

    def answer(self):
        line = next((line for line in self.process.stdout if line.startswith("{")), "")
        return json.loads(line) if line else {"failed": f"status {self.process.wait()}"}

    def predict(self, count):
        """Return the milliseconds of so many predicts, after two that find cold caches."""
        for pipe in self.pipes:
            os.write(pipe, b"%d\n" % (count + 2))
        return self.answer()["ms"][2:]

    def end(self):
        for pipe in self.pipes:
            os.close(pipe)
        self.process.wait()


def compare(name, models, gpu, turns):
    """Return {peer: {"error", "ms": [[of a turn]], "about", ...}} of one piece of work."""
    subprocess.run([*work.mpirun(OTHERS, 1), here / "peers.py", models, name, "expected"], check=True)
    tolerance = 5e-3 if gpu else 5e-5 if name in work.MINILMS else 1e-5  # TF32; mindspore_lite's GELU is off by 1e-5
    found, running = {}, {}
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        for number, (label, how) in enumerate((ON_GPUS if gpu else PEERS).items()):
            peer = Peer(*how, models, name, f"{folder}/{number}")
            found[label] = peer.shown
            if not peer.shown.get("error", np.nan) <= tolerance:  # no time for a wrong result
                found[label].setdefault("failed", f"error {peer.shown.get('error')}, tolerance {tolerance}")
                peer.end()
            else:
                running[label] = peer
                times = peer.predict(3)
                found[label].update(ms=[], count=int(np.clip(SECONDS * 1e3 / np.median(times), 3, MOST)))
        for turn in range(turns):
            for label in list(running)[:: 1 if turn % 2 else -1]:
                found[label]["ms"].append(running[label].predict(found[label]["count"]))
        for peer in running.values():
            peer.end()
    for label, result in found.items():
        shown = f"p50 {np.median(np.concatenate(result['ms'])):.3f} ms" if "ms" in result else result["failed"]
        print(f"{name}: {label}: {shown}", flush=True)
    return found


def run_json(*command):
    """Return what a script prints as JSON on its last line."""
    os.environ["STARTED"] = str(time.time())
    return json.loads(subprocess.check_output(command, text=True).splitlines()[-1])


def own(models):
    """Return {model: what the suite itself costs}: of two ranks, and of others that share the cores."""
    files = {name: (2, work.model_path(models, name)) for name in (*work.MINILMS, *work.MATMULS)}
    for path in sorted(models.glob("ranks/*/MiniLM.mindir")):
        files[f"minilm_8x128/{path.parent.name}"] = int(path.parent.name), path
    found = {
        name: run_json(*work.mpirun(SUITE, ranks), here / "peer_suite.py", "parts", path, "30")
        for name, (ranks, path) in files.items()
        if path.exists()
    }
    starts = [work.run_sh(work.ROOT / "models" / "Matmul.mindir", "--backend=cpu")["seconds"] for _ in range(3)]
    return {**found, "run.sh": {"seconds": min(starts)}}


def main():
    args = work.options(__doc__, machine=str, models=Path, gpu=0, works="", turns=12, output=here / "results")
    default = ["small", "large_gpu" if args.gpu else "large", "decode", *work.MINILMS]
    os.environ.update(
        GLOG_v="3", PYTHONWARNINGS="ignore", OMPI_ALLOW_RUN_AS_ROOT="1", OMPI_ALLOW_RUN_AS_ROOT_CONFIRM="1"
    )
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    found = {"machine": args.machine, "gpu": bool(args.gpu), "date": time.strftime("%Y-%m-%d"), "cores": os.cpu_count()}
    found["cpu"] = next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), "unknown")
    if args.gpu:
        os.environ["GPU"] = "1"
        smi = ["nvidia-smi", "--query-gpu=name,driver_version,memory.total", "--format=csv,noheader"]
        found["gpus"] = subprocess.check_output(smi, text=True).strip().splitlines()
    found["limits"] = run_json(*work.mpirun(OTHERS, 2), here / "limits.py")
    found.update({} if args.gpu else {"own": own(args.models)}, works={})
    for name in args.works.split(",") if args.works else default:
        found["works"][name] = compare(name, args.models, args.gpu, args.turns)
        (args.output / f"{args.machine}.json").write_text(json.dumps(found) + "\n")


main()
