"""A model over 1 GB, which MindSpore writes as X_graph.mindir and X_variables: exported, cut and run on CPU ranks."""

import shutil
import tempfile
from pathlib import Path

import large_net
import numpy as np
import pytest
from conftest import ROOT, command, lines, run_ranks


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_large_model_runs_in_little_more_than_twice_its_shard():
    """The engine has the weights twice, as in the file and in its products' order; the rest is the suite's."""
    assert shutil.disk_usage(tempfile.gettempdir()).free > 10 << 30, "needs 10 GB in TMPDIR"
    with tempfile.TemporaryDirectory() as folder:
        path = f"{folder}/Large.mindir"
        python = ROOT / ".venv-export" / "bin" / "python"
        done = command(python, "tests/large_net.py", "2", path, timeout=600)
        assert done.returncode == 0, done.stderr
        assert sorted(file.name for file in Path(folder).iterdir()) == [
            f"Large{name}_{kind}" for name in ("0", "1", "") for kind in ("graph.mindir", "variables")
        ]
        done = run_ranks(2, ROOT / "tests" / "rank_large.py", path, folder, timeout=300)
        assert done.returncode == 0, done.stderr
        print(done.stdout)
        expected = large_net.expected()
        for rank, line in enumerate(lines(done.stdout)):
            output = np.load(f"{folder}/{rank}.npy")
            error = np.max(np.abs(output - expected)) / np.max(np.abs(expected))
            assert error <= 1e-5, error
            shard, before, _, peak = (int(word) for word in line.split() if word.isdigit())
            print(f"rank {rank}: peak {(peak - before) / shard:.2f} times its shard, max error {error:.1e}")
            assert shard > 1024
            assert peak - before <= 2.3 * shard
