"""A server with pretended Ascend devices: run.sh, main.py and the pages on the double in ascend_double."""

import json
import shutil
import subprocess
import sys

import pytest
from conftest import ENVIRONMENT, ROOT

from ascend import table as rank_tables
from ascend.make import make, merge

DOUBLE = ROOT / "tests" / "ascend_double"
FIXTURES = ROOT / "tests" / "fixtures"
PAGE, SHARED = "ascend_ge_distributed.py", "ascend_ge_shared_weights.py"
TUTORIAL = [
    *("Context", "Context.target", "Context.ascend.device_id", "Context.ascend.rank_id", "Context.ascend.provider"),
    *("Model", "Model.build_from_file", "ranks met", "Model.get_inputs", "Tensor.set_data_from_numpy", "Model.predict"),
    "collective",
]


class Server:
    """An Ascend server, as far as a test can have one: device files, CANN's library, the double, a rank table."""

    def __init__(self, folder):
        self.folder, self.config, self.calls = folder, folder / "config_file.ini", folder / "calls"
        for name in ("dev", "lib", "hub", "calls"):
            (folder / name).mkdir()
        for number in range(8):
            (folder / "dev" / f"davinci{number}").touch()
        # stands for CANN's library, which is only looked for here
        subprocess.run(["gcc", "-shared", "-o", str(folder / "lib" / "libascendcl.so"), "-xc", "/dev/null"], check=True)
        shutil.copy(str(ROOT / "config_file.ini"), str(folder))
        self.environment = {
            "LAUNCH_DEV": str(folder / "dev"),
            "LD_LIBRARY_PATH": str(folder / "lib"),
            "PYTHONPATH": str(DOUBLE),
            "ASCEND_DOUBLE_HUB": str(folder / "hub"),
            "ASCEND_DOUBLE_LOG": str(self.calls),
        }

    def write_table(self, *servers):
        """Write a rank table with so many devices on each server: 10.0.0.1, 10.0.0.2, ..."""
        tables = []
        for number, count in enumerate(servers, 1):
            addresses = {device: f"192.{number}.{device}.6" for device in range(count)}
            tables.append(make(range(count), addresses, f"10.0.0.{number}"))
        (self.folder / "rank_table.json").write_text(rank_tables.dumps(merge(tables)))

    def start(self, *words, **environment):
        """Start run.sh on the double."""
        return subprocess.Popen(
            [str(word) for word in ("./run.sh", "--backend=ascend", f"--config_file={self.config}", *words)],
            cwd=str(ROOT),
            env={**ENVIRONMENT, **self.environment, **environment},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            universal_newlines=True,
        )

    def run(self, *words, timeout=120, **environment):
        """Run run.sh on the double to its end."""
        return finished(self.start(*words, f"--log_dir={self.folder / 'logs'}", **environment), timeout)

    def start_page(self, rank, *words, script=PAGE, cwd=ROOT, **environment):
        """Start one rank of a page by hand, as the tutorial does."""
        return subprocess.Popen(
            [sys.executable, script, *map(str, words), f"--device_id={rank}", f"--rank_id={rank}"],
            cwd=str(cwd),
            env={**ENVIRONMENT, **self.environment, **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            universal_newlines=True,
        )

    def calls_of(self, rank):
        """Return the names of mindspore_lite's functions that the rank's process called, in order."""
        return [json.loads(line)["call"] for line in (self.calls / f"rank{rank}.jsonl").read_text().splitlines()]


def finished(process, timeout=120):
    stdout, stderr = process.communicate(timeout=timeout)
    return subprocess.CompletedProcess(process.args, process.returncode, stdout, stderr)


@pytest.fixture
def server(tmp_path):
    made = Server(tmp_path)
    made.write_table(2)
    return made
