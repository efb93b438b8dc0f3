"""Which sentences say the same? Embed them with the sharded MiniLM, on any back end, and print the nearest pairs.

    .venv/bin/pip install -r examples/requirements.txt
    .venv-export/bin/python models/export_minilm.py --ranks 2
    .venv/bin/python examples/embed.py "A man plays a guitar." "Someone is making music." "It rains."
    .venv/bin/python examples/embed.py --file sentences.txt --plot similarities.png --backend=gpu

The sentences go through run.sh, in batches of the size that the model was exported for, with one start of the ranks per
batch; options that aren't listed here are passed on to it.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import unicodedata
import warnings
from pathlib import Path

import numpy as np
from tokenizers import Tokenizer

os.environ["TOKENIZERS_PARALLELISM"] = "false"  # its threads and the processes started here don't go together
root = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(root))
import mindir  # noqa: E402  (found only now)


def read_sentences(arguments, file):
    """Return the arguments, or else the lines of the file, or of standard input, that aren't blank."""
    if arguments:
        return arguments
    text = Path(file).read_text(encoding="utf-8") if file else sys.stdin.read()
    return [line.strip() for line in text.splitlines() if line.strip()]


def tokenize(sentences, path, length):
    """Return input_ids and attention_mask, int32 (sentences, length), by the tokenizer's file; longer ones are cut."""
    tokenizer = Tokenizer.from_file(str(path))
    tokenizer.enable_truncation(length)
    tokenizer.enable_padding(length=length)
    encoded = tokenizer.encode_batch(sentences)
    cut = [sentence for sentence, each in zip(sentences, encoded) if each.overflowing]
    if cut:
        print(f"{len(cut)} of {len(sentences)} sentences are cut at {length} tokens, as {shown(cut[0])}")
    return np.array([each.ids for each in encoded], np.int32), np.array(
        [each.attention_mask for each in encoded], np.int32
    )


def embed(ids, mask, model_path, batch, options):
    """Return the embeddings, float32 (sentences, 384), of `batch` sentences a start of run.sh."""
    found = []
    with tempfile.TemporaryDirectory(prefix="embed-") as folder:
        given, made = f"{folder}/inputs.npz", f"{folder}/outputs.npz"
        for start in range(0, len(ids), batch):
            count = min(batch, len(ids) - start)
            print(f"sentences {start + 1} to {start + count} of {len(ids)}", flush=True)
            rows = np.minimum(np.arange(start, start + batch), len(ids) - 1)  # the last one again, to fill the batch
            np.savez(given, input_ids=ids[rows], attention_mask=mask[rows])
            command = [root / "run.sh", f"--model_path={model_path}", f"--input={given}", f"--output={made}", *options]
            done = subprocess.run(command, stdout=subprocess.PIPE, check=False)
            if done.returncode:  # run.sh has said why
                sys.exit(done.returncode)
            print(done.stdout.decode().splitlines()[-1], flush=True)  # the check's result
            (output,) = np.load(made).values()
            found.append(output[:count])
    return np.concatenate(found)


def print_pairs(sentences, similarity, most=10):
    """Print the pairs of sentences with the largest cosine."""
    first, second = np.triu_indices(len(sentences), 1)
    order = np.argsort(-similarity[first, second], kind="stable")[:most]
    print("\ncosine")
    for a, b in zip(first[order], second[order]):
        left = shown(sentences[a])
        wide = sum(unicodedata.east_asian_width(each) in "WF" for each in left)  # take the room of two
        print(f"{similarity[a, b]:6.3f}  {left:<{42 - wide}}  {shown(sentences[b])}")


def shown(sentence, width=42):
    """Return the sentence on one line, cut at this width."""
    line = " ".join(sentence.split())
    return line if len(line) <= width else line[: width - 3] + "..."


def plot(sentences, similarity, file):
    """Draw the cosines of all pairs."""
    import matplotlib

    matplotlib.use("Agg")  # a file, no window
    from matplotlib import pyplot

    warnings.filterwarnings("ignore", "Glyph .* missing")  # its font has no Chinese and no emoji: boxes stand for them
    numbers = range(len(sentences))
    labels = [f"{shown(each)}  {index}".replace("$", r"\$") for index, each in enumerate(sentences)]  # $: a formula
    size = 2 + 0.3 * len(sentences)
    figure, axes = pyplot.subplots(figsize=(size + 4, size))
    image = axes.imshow(similarity, vmin=0, vmax=1, cmap="viridis")
    axes.set_xticks(numbers)
    axes.set_yticks(numbers)
    axes.set_yticklabels(labels)
    figure.colorbar(image, label="cosine")
    figure.savefig(file, format="png", bbox_inches="tight")


def main():
    idea, usage = __doc__.split("\n\n")[:2]
    parser = argparse.ArgumentParser(
        description=idea,
        epilog=f"examples:\n{usage}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("sentences", nargs="*", metavar="SENTENCE", help="(default: the lines of standard input)")
    given = parser.add_argument_group("what goes in")
    given.add_argument("--file", metavar="FILE", help="the sentences, one per line (default: none)")
    model_path, what = str(root / "models" / "MiniLM.mindir"), "the sharded model (default: models/MiniLM.mindir)"
    given.add_argument("--model_path", default=model_path, metavar="X.mindir", help=what)
    made = parser.add_argument_group("what comes out")
    what = "write embeddings (n, 384) and similarity (n, n) (default: none)"
    made.add_argument("--output", metavar="FILE.npz", help=what)
    made.add_argument("--plot", metavar="FILE.png", help="draw the similarity of all pairs (default: none)")
    args, options = parser.parse_known_args()
    try:
        sentences = read_sentences(args.sentences, args.file)
        if len(sentences) < 2:
            parser.error(
                f"{len(sentences)} sentences, but a pair takes 2: give them as arguments, --file or standard input"
            )
        stem = args.model_path[: -len(".mindir")]
        batch, length = mindir.load(f"{stem}0.mindir").inputs[0].shape
        ids, mask = tokenize(sentences, f"{stem}.tokenizer.json", length)
    except Exception as error:  # tokenizers raises no class of its own
        parser.error(f"{error} (models/export_minilm.py makes the model and its tokenizer's file)")
    embeddings = embed(ids, mask, args.model_path, batch, options)
    similarity = embeddings @ embeddings.T  # cosines, as the embeddings are of length 1
    print_pairs(sentences, similarity)
    if args.output:
        np.savez(args.output, embeddings=embeddings, similarity=similarity)
    if args.plot:
        plot(sentences, similarity, args.plot)


if __name__ == "__main__":
    main()
