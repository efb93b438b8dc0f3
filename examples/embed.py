"""Which sentences mean the same? Embed them with the sharded MiniLM, on any back end, and print the nearest pairs.

    .venv-export/bin/python models/export_minilm.py --ranks 2
    pip install numpy tokenizers
    python3 examples/embed.py "A man plays a guitar." "Someone is making music." "It rains."
    python3 examples/embed.py --file sentences.txt --plot similarities.png --backend=gpu

Any Python from 3.7 on will do: the ranks run in an environment of their own. They start once, and the sentences go
through them in batches of the size that the model was exported for. Options that aren't listed here are run.sh's.
"""

import os
import sys
import unicodedata
import warnings
from pathlib import Path

import numpy as np
from tokenizers import Tokenizer

os.environ["TOKENIZERS_PARALLELISM"] = "false"  # its threads and the process that matplotlib starts don't go together
root = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(root))
from suite import RankError, Session  # noqa: E402  (found only now)
from suite.parsers import as_options, new_parser  # noqa: E402  (found only now)


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
    cut = [sentence for sentence, encoding in zip(sentences, encoded) if encoding.overflowing]
    if cut:
        print(f"{len(cut)} of {len(sentences)} sentences are cut at {length} tokens, as {shown(cut[0])}")
    return np.array([encoding.ids for encoding in encoded], np.int32), np.array(
        [encoding.attention_mask for encoding in encoded], np.int32
    )


def embed(model, ids, mask):
    """Return the embeddings, float32 (sentences, 384), that the Session `model` computes from the tokens in batches."""
    batch, found = model.inputs[0].shape[0], []
    futures = []
    for start in range(0, len(ids), batch):
        rows = np.minimum(np.arange(start, start + batch), len(ids) - 1)  # the last one is repeated to fill the batch
        # the next batch is copied while the ranks work on this one
        futures.append(model.predict_async({"input_ids": ids[rows], "attention_mask": mask[rows]}))
    for future in futures:
        found.extend(future.result().values())
    return np.concatenate(found)[: len(ids)]


def print_pairs(sentences, similarity, most=10):
    """Print the pairs of sentences with the largest cosines."""
    first, second = np.triu_indices(len(sentences), 1)
    order = np.argsort(-similarity[first, second], kind="stable")[:most]
    print("\ncosine")
    for a, b in zip(first[order], second[order]):
        left = shown(sentences[a])
        wide = sum(unicodedata.east_asian_width(character) in "WF" for character in left)  # take the room of two
        print(f"{similarity[a, b]:6.3f}  {left:<{42 - wide}}  {shown(sentences[b])}")


def shown(sentence, width=42):
    """Return the sentence on one line, cut at this width."""
    line = " ".join(sentence.split())
    return line if len(line) <= width else line[: width - 3] + "..."


def plot_similarity(sentences, similarity, file):
    """Draw the cosines of all pairs."""
    import matplotlib

    matplotlib.use("Agg")  # a file, no window
    from matplotlib import pyplot

    warnings.filterwarnings("ignore", "Glyph .* missing")  # its font has no Chinese and no emoji: boxes stand for them
    numbers = range(len(sentences))
    # $ would begin a formula
    labels = [f"{shown(sentence)}  {index}".replace("$", r"\$") for index, sentence in enumerate(sentences)]
    size = 2 + 0.3 * len(sentences)
    figure, axes = pyplot.subplots(figsize=(size + 4, size))
    image = axes.imshow(similarity, vmin=0, vmax=1, cmap="viridis")
    axes.set_xticks(numbers)
    axes.set_yticks(numbers)
    axes.set_yticklabels(labels)
    figure.colorbar(image, label="cosine")
    figure.savefig(file, format="png", bbox_inches="tight")


def main():
    parser = new_parser(__doc__)
    parser.add_argument("sentences", nargs="*", metavar="SENTENCE", help="(default: the lines of standard input)")
    given = parser.add_argument_group("what goes in")
    given.add_argument("--file", metavar="FILE", help="the sentences, one per line (default: none)")
    model_path, what = str(root / "models" / "MiniLM.mindir"), "the sharded model (default: models/MiniLM.mindir)"
    given.add_argument("--model_path", default=model_path, metavar="X.mindir", help=what)
    made = parser.add_argument_group("what comes out")
    what = "write embeddings (n, 384) and similarity (n, n) (default: none)"
    made.add_argument("--output", metavar="FILE.npz", help=what)
    made.add_argument("--plot", metavar="FILE.png", help="draw the similarity of all pairs (default: none)")
    args, words = parser.parse_known_args()
    try:
        options = as_options(words)
        sentences = read_sentences(args.sentences, args.file)
    except (OSError, ValueError) as error:
        parser.error(str(error))
    if len(sentences) < 2:
        parser.error(
            f"{len(sentences)} sentences, but a pair takes 2: give them as arguments, --file or standard input"
        )
    for file in filter(None, (args.output, args.plot)):  # before the work is done
        if not os.access(str(Path(file).absolute().parent), os.W_OK):
            parser.error(f"{file}: can't be written: its folder isn't there, or can't be written to")
    tokenizer = args.model_path[: -len(".mindir")] + ".tokenizer.json"
    try:
        with Session(args.model_path, **options) as model:
            ids, mask = tokenize(sentences, tokenizer, model.inputs[0].shape[1])
            embeddings = embed(model, ids, mask)
            print(f"check: {model.check['result']}")
    except RankError as error:
        print(error, file=sys.stderr)
        sys.exit(error.status)
    except Exception as error:  # tokenizers raises no class of its own
        parser.error(f"{args.model_path} and {tokenizer}: {error} (models/export_minilm.py makes both)")
    similarity = embeddings @ embeddings.T  # cosines, as the embeddings are of length 1
    print_pairs(sentences, similarity)
    if args.output:
        np.savez(args.output, embeddings=embeddings, similarity=similarity)
    if args.plot:
        plot_similarity(sentences, similarity, args.plot)


if __name__ == "__main__":
    main()
