"""examples/serve.py, started as by a user, with real clients: curl, and tritonclient over HTTP and gRPC."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time

import numpy as np
import pytest
from conftest import ENVIRONMENT, MODEL, ROOT, command
from documents import blocks, compare, normalised
from sessions import product, product_weight, rank_pids

pytestmark = pytest.mark.usefixtures("nothing_left")

PYTHON = ROOT / ".venv-serve" / "bin" / "python"  # tests/run.sh makes it


def free_ports(count):
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for listener in sockets:
            listener.bind(("127.0.0.1", 0))
        return [listener.getsockname()[1] for listener in sockets]


class Served:
    """A server with Matmul on two CPU ranks."""

    def __init__(self, model_path, *words):
        self.http, self.grpc = free_ports(2)
        words = (f"--http_port={self.http}", f"--grpc_port={self.grpc}", "--backend=cpu", *words)
        self.process = subprocess.Popen(
            [str(ROOT / "examples" / "serve"), f"--model_path={model_path}", *words],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            env={**os.environ, "PYTHON": sys.executable},
        )
        self.wait_until(lambda: self.get("health/ready")[0] == 200, 100)

    def get(self, path, *words):
        """Return (status, what curl prints) for /v2/PATH; the status is 0 if nobody listens."""
        done = command("curl", "-s", "-w", r"\n%{http_code}", *words, f"localhost:{self.http}/v2/{path}")
        text, _, status = done.stdout.rpartition("\n")
        return int(status), text

    def infer(self, x, name="x", datatype="FP32", count=1):
        given = {"name": name, "datatype": datatype, "shape": list(x.shape), "data": x.ravel().tolist()}
        words = ("-H", "Content-Type: application/json", "-d", json.dumps({"inputs": [given] * count}))
        return self.get("models/Matmul/infer", *words)

    def wait_until(self, is_so, seconds=60):
        until = time.monotonic() + seconds
        while not is_so():
            assert self.process.poll() is None, self.process.stderr.read()
            assert time.monotonic() < until
            time.sleep(0.1)

    def end(self, number=signal.SIGTERM):
        self.process.send_signal(number)
        return self.process.communicate(timeout=60)[1].decode()


@pytest.fixture
def served(nothing_left):
    server = Served(MODEL)
    try:
        yield server
    finally:
        printed = server.end()
    assert "Traceback" not in printed
    (_, shown), _ = in_readme(server)
    compare(shown, normalised(printed, ROOT)[:1])


def in_readme(server):
    """Return README's commands to start a server and to send a request, each with its output, for this server."""
    found = []
    for block in blocks("README.md"):
        code = block.code.replace("8080", str(server.http)).replace("8081", str(server.grpc))
        if block.detail.startswith("tests/test_serve.py"):
            found.append([code])
        elif found and len(found[-1]) == 1:
            found[-1].append(block._replace(code=code))
    return found


def clients_of(server, folder):
    """Start eight clients; return when each has had an answer."""
    np.save(str(folder / "weight.npy"), product_weight())
    words = (PYTHON, ROOT / "tests" / "serve_client.py", server.http, server.grpc, "Matmul", folder / "weight.npy", 8)
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    clients = subprocess.Popen([str(word) for word in words], env=ENVIRONMENT, **pipes)
    assert clients.stdout.readline() == b"begun\n"
    return clients


def compared(clients):
    """End the clients; return how many answers were right, and [[began, ended, status]] of the requests that failed."""
    found = json.loads(clients.communicate(timeout=100)[0].decode())
    assert clients.returncode == 0
    assert not found["wrong"], found["wrong"][:3]
    assert len(found["right"]) == 8
    assert min(found["right"]) > 1
    return sum(found["right"]), found["failed"]


def kill_a_rank(server, mark):
    """Kill a rank, and wait until all is well again; return (when it was killed, when the model was ready)."""
    before = rank_pids(mark)
    killed = time.time()
    os.kill(before[0], signal.SIGKILL)
    server.wait_until(lambda: server.get("models/Matmul/ready")[0] == 503, 10)
    server.wait_until(lambda: server.get("models/Matmul/ready")[0] == 200)
    assert not set(rank_pids(mark)) & set(before)
    return killed, time.time()


def assert_only_these_failed(failed, spans):
    """Only requests that were under way when a rank was killed or came before the restart: with 503, in gRPC too."""
    for began, ended, status in failed:
        assert status in ("503", "StatusCode.UNAVAILABLE"), status
        assert any(ended > killed and began < ready for killed, ready in spans), (began, ended, spans)


def test_curl_eight_clients_and_a_rank_that_dies(served, tmp_path, nothing_left):
    assert json.loads(served.get("health/live")[1]) == {"live": True}
    metadata = json.loads(served.get("models/Matmul")[1])
    assert metadata["inputs"] == [{"name": "x", "datatype": "FP32", "shape": [-1, 256]}]
    assert metadata["outputs"][0]["shape"] == [-1, 128]
    x = np.random.RandomState(1).standard_normal((6, 256)).astype(np.float32)
    status, text = served.infer(x)
    (output,) = json.loads(text)["outputs"]
    assert (status, output["shape"], output["datatype"]) == (200, [6, 128], "FP32")
    error = np.max(np.abs(np.reshape(output["data"], (6, 128)) - product(x)))
    assert error <= 1e-5 * np.max(np.abs(product(x)))
    far = served.infer(np.full((1, 256), 300), datatype="INT8")
    for status, text in (
        served.infer(x, "y"),
        served.infer(x[:, 1:]),
        served.infer(x, datatype="FP64"),
        served.infer(x, count=2),
    ):
        assert (status, "x" in json.loads(text)["error"]) == (400, True)
    assert (far[0], "300" in far[1]) == (400, True)
    assert served.get("models/Other/infer", "-H", "Content-Type: application/json", "-d", '{"inputs": []}')[0] == 404

    _, (request, shown) = in_readme(served)
    compare(shown, normalised(command("bash", "-c", request, PATH=os.environ["PATH"]).stdout, ROOT))

    clients = clients_of(served, tmp_path)
    time.sleep(1)
    span = kill_a_rank(served, nothing_left)
    time.sleep(1)
    right, failed = compared(clients)
    assert failed
    assert_only_these_failed(failed, [span])
    assert served.infer(x)[0] == 200
    metrics = command("curl", "-s", f"localhost:{served.http}/metrics").stdout
    (count,) = [line.split()[1] for line in metrics.splitlines() if line.startswith("request_predict_seconds_count")]
    assert float(count) > right


@pytest.mark.slow
def test_eight_clients_for_a_minute(served, tmp_path, nothing_left):
    clients, spans, until = clients_of(served, tmp_path), [], time.time() + 60
    for _ in range(3):
        time.sleep(12)
        spans.append(kill_a_rank(served, nothing_left))
    time.sleep(max(until - time.time(), 5))
    right, failed = compared(clients)
    print(right, "right,", len(failed), "failed", [ready - killed for killed, ready in spans])
    assert right > 1000
    assert_only_these_failed(failed, spans)


@pytest.mark.slow
def test_the_end_of_a_server_whose_ranks_cannot_start_again(model, nothing_left):
    server = Served(model, "--starts=2")
    model.with_name("Matmul0.mindir").unlink()
    os.kill(rank_pids(nothing_left)[0], signal.SIGKILL)
    printed = server.process.communicate(timeout=100)[1].decode()
    assert server.process.returncode == 2, printed
    assert printed.rstrip().endswith("2 starts in a row have failed")
    assert "Matmul0.mindir" in printed


@pytest.mark.slow
def test_what_cannot_be_served(nothing_left):
    for words, status, text in ((("--model_path=none/X.mindir",), 2, "none/X0.mindir"), (("--wait=x",), 2, "--wait")):
        done = command(ROOT / "examples" / "serve", *words, PYTHON=sys.executable)
        assert done.returncode == status
        assert text in done.stderr
        assert "Traceback" not in done.stderr
