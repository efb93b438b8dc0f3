"""Write text with a language model that is split over ranks, a token at a time.

    .venv-export/bin/python models/export_smollm.py --ranks 2
    .venv/bin/pip install tokenizers==0.13.3
    ./run.sh --ranks=2 examples/generate.py --prompt "Once upon a time"
    ./run.sh --ranks=2 --untagged examples/generate.py --chat --prompt "Why is the sky blue?" --temperature 0.7 --seed 1

Every rank has its part of the weights and its heads' part of the cache. The first rank chooses each token and shows it.
"""

import sys
import time
from pathlib import Path

root = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(root))
import ranks  # noqa: E402  (found only now)
from suite.hub import is_first  # noqa: E402
from suite.options import at_least  # noqa: E402
from suite.parsers import new_parser  # noqa: E402

END = (0, 2)  # tokens: <|endoftext|> and <|im_end|>
SYSTEM = "You are a helpful AI assistant named SmolLM, trained by Hugging Face"
CHAT = f"<|im_start|>system\n{SYSTEM}<|im_end|>\n<|im_start|>user\n{{}}<|im_end|>\n<|im_start|>assistant\n"


def parse_arguments():
    parser = new_parser(__doc__)
    add = parser.add_argument_group("what goes in").add_argument
    add("--prompt", default="Once upon a time", metavar="TEXT", help="what to go on from (default: Once upon a time)")
    what = "prompts, one per line, as many at a time as the model was exported for (default: none)"
    add("--batch", metavar="FILE", help=what)
    add("--chat", action="store_true", help="the prompt is a question to an assistant")
    path, what = str(root / "models" / "SmolLM2.mindir"), "the sharded model (default: models/SmolLM2.mindir)"
    add("--model_path", default=path, metavar="X.mindir", help=what)
    what = "mindspore_lite's, which names the rank table on Ascend (default: none)"
    add("--config_file", default="", metavar="FILE", help=what)
    add("--engine_cache", default="", metavar="DIR", help="keep what's built in DIR for the next start (default: none)")
    add = parser.add_argument_group("what comes out").add_argument
    add("--tokens", type=at_least(1), default=64, metavar="N", help="write at most N tokens (default: 64)")
    what = "draw tokens, the more freely the higher; 0: always the likeliest (default: 0)"
    add("--temperature", type=float, default=0.0, metavar="T", help=what)
    what = "draw from the likeliest tokens that have this probability together (default: 1)"
    add("--top_p", type=float, default=1.0, metavar="P", help=what)
    add("--seed", type=at_least(0), default=0, metavar="N", help="the same draws for the same N (default: 0)")
    what = "on: compare the first tokens with the unsharded model, if it's there (default: on)"
    add("--check", choices=("on", "off"), default="on", help=what)
    args = parser.parse_args()
    if not (args.temperature >= 0 and 0 < args.top_p <= 1):
        parser.error(f"--temperature {args.temperature} --top_p {args.top_p}: from 0, and above 0 up to 1")
    return args


def show_text(comm, words, end=""):
    if is_first(comm):
        print(words, end=end, flush=True)


def main():
    args = parse_arguments()
    from suite import language_model as lm
    from suite import nets
    from suite.generation import Choice, Text, generate

    comm = nets.communicator()

    # tokens of the prompts
    texts = lm.read_lines(args.batch) if args.batch else [args.prompt]
    tokenizer = lm.tokenizer(args.model_path)
    prompts = [tokenizer.encode(CHAT.format(text) if args.chat else text).ids for text in texts]

    # this rank's shards, and the cache
    writer = lm.load(args.model_path, comm, args.config_file, args.engine_cache)
    writer.check(prompts)

    size = writer.sentences
    for start in range(0, len(prompts), size):
        batch = (prompts[start : start + size] + [[0]] * size)[:size]  # filled up, where they are fewer
        choice = Choice(size, args.temperature, args.top_p, args.seed + start)
        made, record, begin = [Text(tokenizer.decode) for _ in batch], lm.Record(batch), time.perf_counter()
        written, times = [""] * size, []
        for tokens, logits in generate(comm, writer, batch, args.tokens, choice, END):
            times.append(time.perf_counter())
            record.add(tokens, logits)
            new = ["" if token in (-1, *END) else text.add(token) for token, text in zip(tokens, made)]
            written = [before + after for before, after in zip(written, new)]
            if len(texts) == 1:
                show_text(comm, new[0])  # as it comes
        written = [before + text.rest() for before, text in zip(written, made)]
        for text, answer in zip(texts[start : start + size], written) if len(texts) > 1 else ():
            show_text(comm, f"> {text}\n{answer}\n", "\n")
        rate = (len(times) - 1) / max(times[-1] - times[0], 1e-9)
        show_text(comm, f"\nfirst token {times[0] - begin:.2f} s, then {rate:.1f} tokens/s, {len(times)} in all", "\n")
        if args.check == "on" and start == 0:
            error = record.check(comm, args.model_path)
            show_text(comm, f"check: {'none' if error is None else f'PASS  max error {error:.1e}'}", "\n")


if __name__ == "__main__":
    ranks.run(main)
