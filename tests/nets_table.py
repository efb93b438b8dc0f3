"""Run all nets in folders on mindspore_lite's CPU and print a table: which are right, which are refused, and why.

    .venv/bin/python tests/nets_table.py FOLDER... [--known=FILE --verified=FILE]

A net is X.mindir with X.npz beside it: inputs in0, in1, ... and the expected outputs, out0, out1, ... Right means
within 1e-5 (float16: 1e-2) of these, relative to the largest value or 1. Status 1 if one is wrong, fails, crashes or
hangs. --known and --verified wrote mindir/repairs/known.tsv and mindir/lower/verified.txt for such nets.
"""

import argparse
import json
import os
import select
import subprocess
import sys
from collections import Counter
from pathlib import Path

LIMIT = 60  # seconds per net


class Worker:
    """nets_worker.py in its own process, which may crash or hang."""

    def __init__(self):
        self.process = None

    def start(self):
        read, write = os.pipe()
        root = Path(__file__).resolve().parent.parent
        environment = dict(os.environ, PYTHONPATH=str(root), GLOG_v="3")
        script = str(Path(__file__).with_name("nets_worker.py"))
        command = ["bash", "-c", f'exec 3>&{write}; exec "$@"', "-", sys.executable, script]
        with open(os.environ.get("NETS_LOG", os.devnull), "ab") as log:
            self.process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=log, stderr=log, env=environment, pass_fds=[write]
            )
        os.close(write)
        self.answers = os.fdopen(read)

    def run_job(self, job):
        if self.process is None or self.process.poll() is not None:
            self.start()
        self.process.stdin.write((json.dumps(job) + "\n").encode())
        self.process.stdin.flush()
        ready, _, _ = select.select([self.answers], [], [], LIMIT)
        line = self.answers.readline() if ready else ""
        if line:
            return json.loads(line)
        self.process.kill()
        status = self.process.wait()
        self.process = None
        return {"failed": f"crashed: {status}" if ready else f"hung: no answer in {LIMIT} s"}

    def close(self):
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process.stdin.close()
            self.answers.close()


def judge(answer):
    """Return the verdict (ok, refused or what is wrong), the largest error and an explanation."""
    if "outputs" not in answer:
        word = "refused" if "refused" in answer else "FAILED"
        return word, None, answer.get("refused") or answer["failed"]
    bad = []
    for name, error, dtype, wanted, shape, wanted_shape in answer["outputs"]:
        tolerance = 1e-2 if "float16" in (dtype, wanted) else 2e-2 if dtype == "bfloat16" else 1e-5
        if not error <= tolerance or wanted not in (dtype, "float64") and (dtype, wanted) != ("bfloat16", "float32"):
            bad.append(f"{name} {error:.1e} {dtype}{shape}, wanted {wanted}{wanted_shape}")
    largest = max((output[1] for output in answer["outputs"]), default=0)
    return ("WRONG" if bad else "ok"), largest, "; ".join(bad)


def table(folders):
    """Yield (net, verdict, largest error, explanation, the worker's answer) for each net."""
    worker = Worker()
    for folder in folders:
        for model in sorted(Path(folder).glob("*.mindir")):
            arrays = model.with_suffix(".npz")
            if arrays.exists():
                answer = worker.run_job({"model": str(model), "arrays": str(arrays)})
                yield (model.stem, *judge(answer), answer)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0], allow_abbrev=False)
    parser.add_argument("folders", nargs="+", metavar="FOLDER", help="with X.mindir and X.npz")
    known = "write what the right nets are made of here; nothing is refused for not being in it"
    parser.add_argument("--known", metavar="FILE", help=known)
    verified = "write the primitives of MindSpore 2.3 and later that the right nets have here"
    parser.add_argument("--verified", metavar="FILE", help=verified)
    args = parser.parse_args()
    if args.known:
        os.environ["NETS_KNOWN"] = "1"
    counted, seen, newer = Counter(), {}, set()
    print("| net | result | error | why |\n|-|-|-|-|")
    for net, verdict, error, words, answer in table(args.folders):
        counted[verdict] += 1
        newer.update(answer.get("newer", ()) if verdict == "ok" else ())
        for primitive in answer.get("primitives", ()) if verdict == "ok" else ():
            op, dtype = primitive.split()
            seen.setdefault(op, set()).add(dtype)
        print(f"| {net} | {verdict} | {'' if error is None else f'{error:.1e}'} | {words} |", flush=True)
    print(", ".join(f"{number} {verdict}" for verdict, number in sorted(counted.items())))
    if args.known:
        with open(f"{args.known}.tmp", "w") as file:
            file.write("# primitive, dtypes of its first input: by tests/nets_table.py --known\n")
            for op, dtypes in sorted(seen.items()):
                file.write("\t".join((op, *sorted(dtypes))) + "\n")
        os.replace(f"{args.known}.tmp", args.known)
    if args.verified:
        with open(f"{args.verified}.tmp", "w") as file:
            file.write("# by tests/nets_table.py --verified\n" + "".join(f"{name}\n" for name in sorted(newer)))
        os.replace(f"{args.verified}.tmp", args.verified)
    return 1 if set(counted) - {"ok", "refused"} else 0


if __name__ == "__main__":
    sys.exit(main())
