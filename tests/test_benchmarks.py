"""What benchmarks/ measures is what it says: its own server, answers without failures, the suite's right results."""

import contextlib
import http.server
import json
import threading

import numpy as np
from conftest import ROOT, command, lines, run_ranks

PYTHON = ROOT / ".venv-serve" / "bin" / "python"  # tests/run.sh makes it


class Broken(http.server.BaseHTTPRequestHandler):
    """A server that says it is ready and fails all requests."""

    def do_GET(self):
        self.send_status(200)

    def do_POST(self):
        self.send_status(500)

    def send_status(self, status):
        self.send_response(status)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, *_):
        pass


@contextlib.contextmanager
def broken_server():
    with http.server.ThreadingHTTPServer(("localhost", 0), Broken) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_port
        server.shutdown()


def run(port, program):
    """Run the program where benchmarks/server.py is `server` and its port for PyTorch is this one."""
    known = (
        "import sys, types; sys.path.insert(0, sys.argv[1]); import server; server.PORTS['PyTorch'] = int(sys.argv[2])"
    )
    return command(PYTHON, "-c", f"{known}\n{program}", ROOT / "benchmarks", port)


def test_a_server_that_is_there_already_is_refused():
    with broken_server() as port:
        done = run(port, "with server.serving('PyTorch', '-c', ''): print('measured')")
    assert done.returncode == 1 and "measured" not in done.stdout
    assert f"port {port}" in done.stderr


def test_what_fails_in_a_client_fails_the_run():
    with broken_server() as port:
        done = run(
            port, "server.measure('PyTorch', 2, types.SimpleNamespace(length=4, seconds=0.1), {})\nprint('measured')"
        )
    assert done.returncode == 1 and "measured" not in done.stdout
    assert "InferenceServerException" in done.stderr


def test_the_suites_ranks_say_how_far_they_are_off_and_predict_as_often_as_they_are_asked(tmp_path):
    """Those that benchmarks/compare.py times: with main.py's own functions, on the product that models/ has."""
    work = tmp_path / "matmul_4x256x128"
    work.mkdir()
    for number in ("", 0, 1):
        (work / f"Model{number}.mindir").symlink_to(ROOT / "models" / f"Matmul{number}.mindir")
    given = np.random.default_rng(1).standard_normal((4, 256), dtype=np.float32)
    right = given @ np.random.RandomState(2023).standard_normal((256, 128))
    np.save(str(work / "expected.npy"), right + 0.01 * np.max(np.abs(right)))
    for rank in range(2):
        (tmp_path / f"pipe.{rank}").write_text("3\n2\n")
    done = run_ranks(2, ROOT / "benchmarks" / "peer_suite.py", tmp_path, work.name, "suite", tmp_path / "pipe")
    assert done.returncode == 0, done.stderr
    first, *answers = [json.loads(line) for line in lines(done.stdout) if line.startswith("{")]
    assert abs(first["error"] - 0.01) < 1e-3
    assert first["mib"] > 10
    assert [len(answer["ms"]) for answer in answers] == [3, 2]
    assert all(ms > 0 for answer in answers for ms in answer["ms"])
