"""This suite and what a user would pick instead, on the same work, in one run: benchmarks/run.sh calls this.

    compare.py --machine NAME --models FOLDER [--gpu] [--works small,large,...]

FOLDER has what benchmarks/run.sh exports: minilm_8x128/MiniLM.mindir and so on. Needs $PYTHON, the suite's, and $PEERS,
that of PyTorch, ONNX Runtime and NumPy. Writes results/NAME.json, from which report.py makes the page and its plots.

Of each piece of work, all peers are started, their results compared with float64, and then they predict in turn: A B C
A B C ..., a fraction of a second each, the other ones asleep. A predict's time is that of its slowest rank.
"""

import argparse
import json
import os
import platform
import subprocess
import tempfile
import time
from multiprocessing import connection
from pathlib import Path

import numpy as np
import work

here = Path(__file__).resolve().parent
SUITE, PEERS = os.environ["PYTHON"], os.environ["PEERS"]
RANKS = 2
TURNS, SECONDS, MOST = 12, 0.25, 100  # of each peer: turns, their length, and predicts in one at most
START = 300  # seconds until a peer has to have its first result


def mpirun(python, ranks):
    own = Path(python).with_name("mpirun")
    return [str(own if own.exists() else "mpirun"), "--quiet", "--bind-to", "none", "-n", str(ranks), python]


def peers(name, models, weights, gpu):
    """Return {peer: (ranks, command without the address)}."""
    model = str(models / name / ("MiniLM.mindir" if name in work.MINILMS else "Matmul.mindir"))
    suite, torch = str(here / "peer_suite.py"), [str(here / "peer_torch.py"), "ADDRESS", name, weights]

    def own(ranks, how):
        return ranks, [*mpirun(SUITE, ranks), suite, "ADDRESS", name, model, how]

    if gpu:
        return {
            "suite": own(RANKS, "suite"),
            "plain script": own(RANKS, "plain"),
            "PyTorch NCCL eager": (RANKS, [PEERS, *torch, "eager"]),
            "PyTorch NCCL compiled": (RANKS, [PEERS, *torch, "compiled"]),
        }
    return {
        "suite": own(RANKS, "suite"),
        "plain script": own(RANKS, "plain"),
        "PyTorch gloo eager": (RANKS, [PEERS, *torch, "eager"]),
        "PyTorch gloo compiled": (RANKS, [PEERS, *torch, "compiled"]),
        "ONNX Runtime + mpi4py": (RANKS, [*mpirun(PEERS, RANKS), *torch, "onnx"]),
        "NumPy + mpi4py": (RANKS, [*mpirun(PEERS, RANKS), str(here / "peer_numpy.py"), "ADDRESS", name, weights]),
        "unsharded, all cores": own(1, "unsharded"),
        "unsharded, one thread": own(1, "one"),
    }


class Peer:
    """The processes of a peer, and what they are asked with."""

    def __init__(self, name, ranks, command, folder):
        self.name = name
        address = str(folder / f"{len(list(folder.iterdir()))}")
        command = [address if each == "ADDRESS" else each for each in command]
        log = open(f"{address}.log", "wb+")  # noqa: SIM115  (the peer's, as long as it lives)
        together = "mpirun" in Path(command[0]).name
        environment = dict(os.environ, GLOG_v="3", OMPI_ALLOW_RUN_AS_ROOT="1", OMPI_ALLOW_RUN_AS_ROOT_CONFIRM="1")
        start = time.monotonic()
        with connection.Listener(address, "AF_UNIX", ranks) as listener:
            self.processes = [
                subprocess.Popen(
                    command,
                    env={**environment, **({} if together else {"RANK": str(rank), "SIZE": str(ranks)})},
                    stdout=log,
                    stderr=log,
                )
                for rank in range(1 if together else ranks)
            ]
            listener._listener._socket.settimeout(1)
            self.lines = []
            while len(self.lines) < ranks:
                try:
                    self.lines.append(listener.accept())
                except OSError:
                    if any(each.poll() is not None for each in self.processes) or time.monotonic() - start > START:
                        self.end()
                        log.seek(0)
                        raise RuntimeError(log.read().decode(errors="replace").strip()[-600:]) from None
        shown = sorted((line.recv() for line in self.lines), key=lambda each: each[0])
        self.started = time.monotonic() - start
        self.about = shown[0][1]
        self.results = [np.frombuffer(data, dtype).reshape(shape) for _, _, dtype, shape, data in shown]

    def predict(self, count):
        """Return the milliseconds of so many predicts, the slowest rank's."""
        for line in self.lines:
            line.send(count)
        answers = []
        for line in self.lines:
            if not line.poll(120):
                raise RuntimeError("no answer in 120 s")
            answers.append(line.recv())
        return np.max(answers, axis=0) * 1e3

    def end(self):
        for line in self.lines:
            line.close()
        for each in self.processes:
            try:
                each.wait(10)
            except subprocess.TimeoutExpired:
                each.kill()
                each.wait()


def compare(name, models, weights, gpu):
    """Return {peer: {"error", "ms": [[of a turn]], "about", ...}} of one piece of work."""
    data = None
    if name in work.MINILMS:
        from safetensors.numpy import load_file

        data = load_file(weights)
    rows, right = work.expected(name, data)
    tolerance = 5e-3 if gpu else 5e-5 if name in work.MINILMS else 1e-5  # TF32; mindspore_lite's GELU is off by 1e-5
    found, running = {}, []
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        try:
            for each, (ranks, command) in peers(name, models, weights, gpu).items():
                try:
                    peer = Peer(each, ranks, command, Path(folder))
                except RuntimeError as error:
                    found[each] = {"failed": str(error)}
                    print(f"{name}: {each}: didn't start: {error}", flush=True)
                    continue
                running.append(peer)
                error = max(
                    float(np.max(np.abs(result[rows] - right)) / np.max(np.abs(right))) for result in peer.results
                )
                found[each] = {"about": peer.about, "ranks": ranks, "error": error, "start_s": peer.started, "ms": []}
                if not error <= tolerance:  # no time for a wrong result
                    found[each]["failed"] = f"wrong: error {error:.1e}, tolerance {tolerance:.0e}"
                    running.remove(peer)
                    peer.end()
                print(f"{name}: {each}: error {error:.1e}, {peer.started:.1f} s", flush=True)
            counts = {}
            for peer in running:
                once = np.median(peer.predict(5)[2:]) / 1e3
                counts[peer] = int(np.clip(SECONDS / once, 3, MOST))
            for turn in range(TURNS):
                for peer in running if turn % 2 else running[::-1]:
                    times = peer.predict(counts[peer] + 2)[2:]  # the first two find cold caches
                    found[peer.name]["ms"].append([round(each, 4) for each in times])
        finally:
            for peer in running:
                peer.end()
    for each, result in found.items():
        if result.get("ms"):
            print(f"{name}: {each}: p50 {np.median(np.concatenate(result['ms'])):.3f} ms", flush=True)
    return found


def run_json(command, limit=300):
    """Return what a script prints as JSON on its last line, or {"failed": why}."""
    environment = dict(os.environ, GLOG_v="3", OMPI_ALLOW_RUN_AS_ROOT="1", OMPI_ALLOW_RUN_AS_ROOT_CONFIRM="1")
    done = subprocess.run(
        ["timeout", "-k", "5", str(limit), *map(str, command)],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        print(f"{command}: status {done.returncode}: {done.stderr[-2000:]}", flush=True)
        return {"failed": f"status {done.returncode}: {done.stderr.strip()[-500:]}"}
    return json.loads(done.stdout.strip().splitlines()[-1])


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--machine", required=True, help="the results' name")
    parser.add_argument("--models", required=True, type=Path, help="folder of exported models; products are added")
    parser.add_argument("--gpu", action="store_true")
    parser.add_argument("--works", help="default: all of the back end")
    parser.add_argument("--output", type=Path, default=here / "results")
    args = parser.parse_args()
    products = ["small", "large_gpu" if args.gpu else "large", "decode"]
    works = args.works.split(",") if args.works else [*products, *reversed(list(work.MINILMS))]
    if args.gpu:
        os.environ["GPU"] = "1"
    made = [each for each in works if each in work.MATMULS]
    subprocess.run([SUITE, here / "products.py", args.models, *made], check=True)
    found = {"machine": args.machine, "gpu": args.gpu, "date": time.strftime("%Y-%m-%d"), "cores": os.cpu_count()}
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    model = [line.split(":")[1].strip() for line in lines if line.startswith("model name")]
    found["cpu"] = model[0] if model else platform.machine()
    if args.gpu:
        smi = ["nvidia-smi", "--query-gpu=name,driver_version,memory.total", "--format=csv,noheader"]
        found["gpus"] = subprocess.check_output(smi, text=True).strip().splitlines()
    target = args.output / f"{args.machine}.json"

    def save():
        temporary = target.with_suffix(".tmp")
        temporary.write_text(json.dumps(found) + "\n")
        temporary.replace(target)

    found["limits"] = run_json([*mpirun(SUITE, RANKS), here / "limits.py"])
    found["limits_torch"] = run_json([PEERS, here / "limits_torch.py"])
    if not args.gpu:
        found["own"] = run_json([SUITE, here / "own.py", args.models], limit=600)
    save()
    found["works"] = {}
    for name in works:
        found["works"][name] = compare(name, args.models, str(args.models / "weights.safetensors"), args.gpu)
        save()


if __name__ == "__main__":
    main()
