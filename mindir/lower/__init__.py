"""Turn files of a newer MindSpore into what an older engine reads: mind_ir_version 2 and 3 (2.3 to 2.10) into 1.

Since version 2 a primitive has no attributes (prim_type 2): they have become Constants among its inputs, and there are
primitives that MindSpore 2.0 didn't have. For primitives of both, primitives.tsv says which inputs stay and which
become attributes; the functions in the files beside this one make the others, and what 2.0 derived from attributes,
from primitives of 2.0. The result means what it means to MindSpore 2.0; mindir.repairs then adapts it to the engine.
"""

from mindir.errors import MindIRError, understood
from mindir.lower import (
    activations,
    arithmetic,
    functions,
    images,
    indexing,
    losses,
    makers,
    norms,
    products,
    reductions,
    resizing,
    shapes,
    sorting,
)
from mindir.lower.inline import inline
from mindir.lower.table import TABLE, by_table, read_names
from mindir.rewriting import Rewriter
from mindir.rules import joined

WITH_ATTRIBUTES = ("EmbeddingLookup",)  # made of others, though newer files have them unchanged
# mind_ir_version: the first MindSpore that writes it, whose Lite is the first that reads it
SINCE = {1: (0, 0), 2: (2, 3), 3: (2, 6)}
NEWEST = max(SINCE)
RULES = joined(  # primitive of a newer MindSpore: the function that makes it from those of 2.0
    (
        *(activations, arithmetic, functions, images, indexing, losses, makers),
        *(norms, products, reductions, resizing, shapes, sorting),
    )
)
# primitives that a test has found to be right
MADE_OF = {name: RULES[name] for name in sorted(set(RULES) & read_names("verified.txt"))}


def readable_by(version):
    """Return the highest mind_ir_version that mindspore_lite of this version, "2.0.0", reads.

    By what MindSpore wrote at the time: 1 until 2.2, 2 from 2.3 to 2.5, 3 from 2.6 on.
    """
    release = tuple(int(part) if part.isdigit() else 0 for part in version.split(".")[:2])
    return max(found for found, since in SINCE.items() if since <= release)


def check_readable(shard, version):
    """Raise MindIRError for a file that is newer than what mindspore_lite of this version, "2.3.0", reads."""
    found, most = shard.model.mind_ir_version, readable_by(version)
    if found > most:
        first = ".".join(map(str, SINCE.get(found, SINCE[NEWEST])))
        reads = f"mindspore_lite {version} reads at most {most}"
        advice = f"install mindspore_lite {first} or later, or export it with a MindSpore before {first}"
        raise MindIRError(f"{shard.path}: mind_ir_version {found} (by {shard.producer}), {reads}: {advice}")


def lower(path, model):
    """Rewrite the model, a protobuf message read from the file `path`, in place to mind_ir_version 1.

    Raises MindIRError, naming the node, for what MindSpore 2.0 doesn't have and can't be made of what it has.
    """
    if model.mind_ir_version <= 1:
        return model
    if model.mind_ir_version > NEWEST:
        advice = f"export it with MindSpore 2.10 or older, which write {NEWEST}"
        raise MindIRError(f"{path}: mind_ir_version {model.mind_ir_version}, which isn't known here: {advice}")
    with understood(path):
        inline(path, model)
        Rewriter(path, model).walk(rule_of, is_pure)
    for primitive in model.primitives:
        primitive.ClearField("prim_type")
    del model.graph.attribute[:]
    model.mind_ir_version, model.ir_version = 1, "0.1.1"
    return model


def rule_of(net, primitive):
    """Return the function that lowers the Rewriter's current node; None if it stays as it is."""
    if net.op in MADE_OF:
        return MADE_OF[net.op] if primitive.prim_type == 2 or net.op in WITH_ATTRIBUTES else None
    if net.op in TABLE and (primitive.prim_type != 2 or net.op not in RULES):
        return by_table if primitive.prim_type == 2 else None
    if net.op in ("MakeTuple", "make_list", "TupleGetItem", "UpdateState", "Depend", "Load"):
        return None
    if any(attribute.name == "group" for attribute in primitive.attribute):
        return None  # a collective: each back end itself says which ones it has
    return unknown


def unknown(net, *_):
    net.refuse("is a primitive that MindSpore 2.0 doesn't have and that isn't made of others here")


def is_pure(net, primitive):
    """Return whether the node changes no state. Views only claim that they do: their result is a new value."""
    if net.op in MADE_OF or net.op in ("Load", "Depend", "UpdateState", "TensorMove"):
        return True
    effects = ("side_effect_mem", "side_effect_io")
    return net.op != "Send" and not any(attribute.name in effects and attribute.i for attribute in primitive.attribute)
