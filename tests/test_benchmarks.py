"""benchmarks/server.py measures the server that it started, and a failure in one of its clients fails the run."""

import contextlib
import http.server
import threading

from conftest import ROOT, command

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
