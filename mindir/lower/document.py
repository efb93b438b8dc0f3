"""Write docs/primitives.md: the primitives that work on CPU ranks and GPUs, by the version of the file.

python3 -m mindir.lower.document > docs/primitives.md
"""

from mindir.lower import MADE_OF
from mindir.lower.table import TABLE
from mindir.repairs import ON_CPUS
from mindir.repairs.known import KNOWN

HEAD = """# Primitives on CPU ranks and GPUs

Made by `python3 -m mindir.lower.document`; a test compares it. A file of MindSpore 2.0 to 2.2 has mind_ir_version 1,
one of 2.3 to 2.10 has 2 or 3 and is lowered to 1 for mindspore_lite 2.0. Primitives that aren't here are refused by
name, before a rank starts, and so are dtypes. float16, bfloat16 and float64 are computed in float32, int64 in int32:
constants and inputs beyond int32 are refused, and inputs whose sums and products may get there. What is cast to float16
or bfloat16 is rounded to it. NumPy has no bfloat16: such an input is given as float32 and rounded, and such an output
comes as float32.

- 2.0 / 2.3 to 2.10: whether that MindSpore has the primitive; "attributes": what were attributes are arguments in the
  newer file; "made of others": of primitives of 2.0, which may have conditions of their own
- CPU: dtypes of the first input of which mindspore_lite 2.0.0 was seen right; "made of others": by `mindir.repairs`,
  always or where the engine is wrong
- GPU: dtypes of the first input of which its TensorRT was seen right, on two H200s. A newer file goes through if all
  that it is made of is in this column; of a file of 2.0 to 2.2, what was seen to be wrong is refused

| primitive | 2.0 | 2.3 to 2.10 | CPU | GPU |
|-|-|-|-|-|"""


def rows():
    """Yield (primitive, in 2.0, in 2.3 to 2.10, CPU, GPU) for each primitive that isn't refused."""
    known, on_gpus = KNOWN["cpu"], KNOWN["gpu"]
    for name in sorted({*known, *on_gpus, *ON_CPUS, *MADE_OF}, key=str.lower):
        newer = "as it is"
        if name in MADE_OF:
            newer = "attributes" if TABLE.get(name, ("", ()))[1] else "made of others"
        elif name in TABLE and TABLE[name][1]:
            newer = "attributes"
        elif name not in TABLE:
            newer = "-"
        old = "yes" if name in TABLE or name not in MADE_OF else "-"
        engine = [", ".join(sorted(known[name]))] if name in known else []
        engine += ["made of others"] if name in ON_CPUS or old == "-" else []
        if engine:
            yield name, old, newer, "; ".join(engine), ", ".join(sorted(on_gpus.get(name, ())))


def main():
    print(HEAD)
    for row in rows():
        print(f"| {' | '.join(row)} |")


if __name__ == "__main__":
    main()
