"""This suite and what a user would pick instead, on the same work, in one run: benchmarks/run.sh calls this.

    compare.py --machine=NAME --models=FOLDER [--gpu=1] [--works=small,large,...] [--turns=12]

FOLDER has what benchmarks/run.sh exports: minilm_8x128/MiniLM.mindir and so on; products are added. Needs $PYTHON, the
suite's, and $PEERS, that of PyTorch, ONNX Runtime and NumPy. Writes results/NAME.json, from which report.py makes the
page and its plots.

Of each piece of work, all peers are started, their results compared with float64, and then they predict in turn: A B C
A B C ..., a fraction of a second each, the other ones asleep. A predict's time is that of its slowest rank.
"""

import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from multiprocessing import connection
from pathlib import Path

import numpy as np
import peer_numpy
import work

here = Path(__file__).resolve().parent
SUITE, OTHERS = os.environ["PYTHON"], os.environ["PEERS"]
SECONDS, MOST = 0.25, 100  # of a peer's turn: its length, and predicts in it at most
START = 300  # seconds until a peer has to have its first result
ENVIRONMENT = dict(os.environ, GLOG_v="3", OMPI_ALLOW_RUN_AS_ROOT="1", OMPI_ALLOW_RUN_AS_ROOT_CONFIRM="1")

PEERS = {  # name: (ranks, Python, script, how)
    "suite": (2, SUITE, "peer_suite.py", "suite"),
    "plain script": (2, SUITE, "peer_suite.py", "plain"),
    "PyTorch gloo eager": (2, OTHERS, "peer_torch.py", "eager"),
    "PyTorch gloo compiled": (2, OTHERS, "peer_torch.py", "compiled"),
    "ONNX Runtime + mpi4py": (2, OTHERS, "peer_torch.py", "onnx"),
    "NumPy + mpi4py": (2, OTHERS, "peer_numpy.py", ""),
    "unsharded, all cores": (1, SUITE, "peer_suite.py", "unsharded"),
    "unsharded, one thread": (1, SUITE, "peer_suite.py", "one"),
}
ON_GPUS = {name.replace("gloo", "NCCL"): peer for name, peer in list(PEERS.items())[:4]}


class Peer:
    """The ranks of a peer, and what they are asked with."""

    def __init__(self, ranks, python, script, how, name, models, folder):
        address = str(folder / f"{len(list(folder.iterdir()))}")
        command = [*work.mpirun(python, ranks), here / script, address, name, models, how]
        start, self.lines = time.monotonic(), []
        with open(f"{address}.log", "wb+") as log, connection.Listener(address, "AF_UNIX", ranks) as listener:
            self.process = subprocess.Popen(command, env=ENVIRONMENT, stdout=log, stderr=log)
            listener._listener._socket.settimeout(1)
            while len(self.lines) < ranks:
                try:
                    self.lines.append(listener.accept())
                except OSError:
                    if self.process.poll() is not None or time.monotonic() - start > START:
                        self.end()
                        log.seek(0)
                        raise RuntimeError(log.read().decode(errors="replace").strip()[-600:]) from None
        _, (self.about, *_), self.results = zip(
            *sorted((line.recv() for line in self.lines), key=lambda shown: shown[0])
        )
        self.started = time.monotonic() - start

    def predict(self, count):
        """Return the milliseconds of so many predicts, the slowest rank's, after two that find cold caches."""
        for line in self.lines:
            line.send(count + 2)
        if not all(line.poll(120) for line in self.lines):
            raise RuntimeError("no answer in 120 s")
        return np.max([line.recv() for line in self.lines], axis=0)[2:] * 1e3

    def end(self):
        for line in self.lines:
            line.close()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def compare(name, models, gpu, turns):
    """Return {peer: {"error", "ms": [[of a turn]], "about", ...}} of one piece of work."""
    rows, right = peer_numpy.expected(name, models)
    tolerance = 5e-3 if gpu else 5e-5 if name in work.MINILMS else 1e-5  # TF32; mindspore_lite's GELU is off by 1e-5
    found, running = {}, {}
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        try:
            for label, how in (ON_GPUS if gpu else PEERS).items():
                try:
                    peer = running[label] = Peer(*how, name, models, Path(folder))
                except RuntimeError as error:
                    found[label] = {"failed": str(error)}
                    continue
                error = max(np.max(np.abs(result[rows] - right)) / np.max(np.abs(right)) for result in peer.results)
                found[label] = {"about": peer.about, "ranks": how[0], "error": float(error), "start_s": peer.started}
                if not error <= tolerance:  # no time for a wrong result
                    found[label]["failed"] = f"wrong: error {error:.1e}, tolerance {tolerance:.0e}"
                    running.pop(label).end()
            counts = {
                label: int(np.clip(SECONDS * 1e3 / np.median(running[label].predict(3)), 3, MOST)) for label in running
            }
            for turn in range(turns):
                for label in list(running)[:: 1 if turn % 2 else -1]:
                    times = running[label].predict(counts[label])
                    found[label].setdefault("ms", []).append([round(time, 4) for time in times])
        finally:
            for peer in running.values():
                peer.end()
    for label, result in found.items():
        shown = f"p50 {np.median(np.concatenate(result['ms'])):.3f} ms" if "ms" in result else result["failed"]
        print(f"{name}: {label}: {shown}", flush=True)
    return found


def run_json(command, limit=300):
    """Return what a script prints as JSON on its last line, or {"failed": why}."""
    command = ["timeout", "-k", "5", str(limit), *map(str, command)]
    environment = {**ENVIRONMENT, "STARTED": str(time.time())}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        print(f"{command}: status {done.returncode}: {done.stderr[-2000:]}", flush=True)
        return {"failed": f"status {done.returncode}: {done.stderr.strip()[-500:]}"}
    return json.loads(done.stdout.strip().splitlines()[-1])


def own(models):
    """Return {model: what the suite itself costs}: of two ranks, and of others that share the cores."""
    files = {name: (2, work.model_path(models, name)) for name in (*work.MINILMS, *work.MATMULS)}
    for path in sorted(models.glob("ranks/*/MiniLM.mindir")):
        files[f"minilm_8x128/{path.parent.name}"] = int(path.parent.name), path
    found = {}
    for name, (ranks, path) in files.items():
        if path.exists():
            found[name] = run_json([*work.mpirun(SUITE, ranks), here / "peer_suite.py", "parts", path, 30])
    product = work.ROOT / "models" / "Matmul.mindir"
    return {**found, "run.sh": {"seconds": min(work.run_sh(product, "--backend=cpu")[0] for _ in range(3))}}


def main():
    args = work.options(__doc__, machine=str, models=Path, gpu=0, works="", turns=12, output=here / "results")
    default = ["small", "large_gpu" if args.gpu else "large", "decode", *work.MINILMS]
    works = args.works.split(",") if args.works else default
    if args.gpu:
        ENVIRONMENT["GPU"] = "1"
    products = [name for name in works if name in work.MATMULS]
    subprocess.run([SUITE, here / "products.py", args.models, *products], check=True)
    found = {"machine": args.machine, "gpu": bool(args.gpu), "date": time.strftime("%Y-%m-%d"), "cores": os.cpu_count()}
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    model = [line.split(":")[1].strip() for line in lines if line.startswith("model name")]
    found["cpu"] = model[0] if model else platform.machine()
    if args.gpu:
        smi = ["nvidia-smi", "--query-gpu=name,driver_version,memory.total", "--format=csv,noheader"]
        found["gpus"] = subprocess.check_output(smi, text=True).strip().splitlines()
    found["limits"] = run_json([*work.mpirun(OTHERS, 2), here / "limits.py"])
    if "failed" in found["limits"]:
        sys.exit(f"limits.py: {found['limits']['failed']}")
    if not args.gpu:
        found["own"] = own(args.models)
    found["works"] = {}
    for name in works:
        found["works"][name] = compare(name, args.models, args.gpu, args.turns)
        (args.output / f"{args.machine}.json").write_text(json.dumps(found) + "\n")


if __name__ == "__main__":
    main()
