"""models/export_matmul.py writes the committed files, and any number of shards that fit together."""

import pytest
from conftest import MODEL, ROOT, command, run_main, run_ranks

import mindir

PYTHON = ROOT / ".venv-export" / "bin" / "python"


def export(folder, *words):
    return command(PYTHON, "models/export_matmul.py", "--output", folder / "Matmul.mindir", *words)


def content(path):
    """Return graph, parameters and primitives; MindSpore writes the primitives in a different order every time."""
    model = mindir.load(str(path)).model
    return model.graph.SerializeToString(), sorted(primitive.SerializeToString() for primitive in model.primitives)


def test_the_committed_files_are_what_it_exports(tmp_path):
    done = export(tmp_path, "--ranks=2")
    assert done.returncode == 0, done.stderr
    for name in ("Matmul.mindir", "Matmul0.mindir", "Matmul1.mindir"):
        graph, primitives = content(tmp_path / name)
        committed_graph, committed_primitives = content(MODEL.with_name(name))
        assert graph == committed_graph, name
        assert primitives == committed_primitives, name
        assert (tmp_path / name).stat().st_mode & 0o777 == 0o644
    assert sorted(file.name for file in tmp_path.iterdir()) == ["Matmul.mindir", "Matmul0.mindir", "Matmul1.mindir"]


def test_four_shards_run_and_agree_and_two_replace_them(tmp_path):
    """With 4 ranks and 4 rows the Transpose in the net doesn't change the shape."""
    assert export(tmp_path, "--ranks=4").returncode == 0
    done = command("./run.sh", "--ranks", "4", "--model_path", tmp_path / "Matmul.mindir")
    assert done.returncode == 0, done.stderr
    assert "rank 3: tensor's name is:" in done.stdout
    assert "check: PASS" in done.stdout
    done = export(tmp_path, "--ranks=2")
    assert "Matmul3.mindir  removed: made for more ranks" in done.stdout
    assert run_main(2, tmp_path / "Matmul.mindir").returncode == 0


@pytest.mark.parametrize(
    "words, text",
    [
        (["--ranks=3"], "128 columns can't be split evenly over 3 ranks"),
        (["--ranks=0"], "at least 1"),
        (["--ranks=2", "--shape=4,5"], "--shape 4,5: three numbers M,K,N"),
    ],
)
def test_what_cannot_be_exported(tmp_path, words, text):
    done = export(tmp_path, *words)
    assert done.returncode == 2
    assert text in done.stderr
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_on_a_large_product_predict_costs_little_more_than_the_product(tmp_path):
    """(256, 4096) x (4096, 4096), two ranks of one thread: at most 1.15 times the product alone, in the same run."""
    assert export(tmp_path, "--ranks=2", "--shape=256,4096,4096").returncode == 0
    done = run_ranks(2, ROOT / "tests" / "rank_product.py", tmp_path / "Matmul.mindir")
    assert done.returncode == 0, done.stderr
    print(done.stdout)
    assert float(done.stdout.split()[-1]) <= 1.15
