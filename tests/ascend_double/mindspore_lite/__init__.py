"""A strict double of mindspore_lite 2.1 and later on Ascend, provider "ge", for tests on machines without one.

    PYTHONPATH=tests/ascend_double python ascend_ge_distributed.py --model_path=models/Matmul0.mindir ...

Written from mindspore_lite's public Python sources (2.1 to 2.7: names, checks, messages of exceptions), its C++ sources
for the configuration file, GE's context, sessions and model groups, and HCCL's for the rank table; never compared with
a real device. Targets cpu and gpu are the real wheel's (2.0.0); on Ascend, the suite's mindir cuts a shard, the real
wheel computes the stages on the CPU in float32, and the double's ranks do the collectives with each other.

It refuses what the real one silently accepts: unknown attributes, unknown or repeated sections and keys in the
configuration, quotes in it, add_model after the build, a second model with another rank, device or rank table in one
process, shared weights with different values, a RANK_TABLE_FILE with another rank table, inputs without data.
Attributes of context.ascend may be set before or after context.target: the real one shares them with the Context.

ASCEND_DOUBLE_HUB      the folder where the ranks of one job meet (needed for several ranks; a new one for each job)
ASCEND_DOUBLE_LOG      a folder: every call is a line of <folder>/rank<rank_id>.jsonl
ASCEND_DOUBLE_FAULT    rank:step:action,...  steps: context (rank_id is set), build (before the ranks meet), built,
                       predictN (the process's N-th, before its first collective), collectiveN.K (after the K-th
                       collective of that predict, ReduceScatter with AllGather being one), exit (atexit);
                       actions: raise, exit7, kill, segv, stop, hang (in C, keeps the interpreter's lock), busy
ASCEND_DOUBLE_FIRED    a file: the faults that happened, one per line
ASCEND_DOUBLE_VERSION  __version__ (default 2.3.0+double); SHARE_WEIGHT_WORKSPACE is there from 2.3.1
ASCEND_DOUBLE_WITHOUT  ModelGroup: as if the package had none
HCCL_CONNECT_TIMEOUT, HCCL_EXEC_TIMEOUT, ASCEND_RT_VISIBLE_DEVICES, RANK_TABLE_FILE  as for the real one, any number
of seconds. A rank that is lost makes the others wait for HCCL_EXEC_TIMEOUT (1800 s), without Python's signal handlers.
"""

import importlib
import os
import re
import sys


def _real_wheel():
    """Import the real package under its own name, remove it and its modules again, and restore the double."""
    double, path = sys.modules.pop(__name__), sys.path[:]
    here = os.path.realpath(os.path.join(os.path.dirname(__file__), os.pardir))
    sys.path[:] = [folder for folder in path if os.path.realpath(folder) != here]
    try:
        return importlib.import_module(__name__)
    finally:
        for name in [loaded for loaded in sys.modules if loaded.split(".")[0] == __name__]:
            del sys.modules[name]  # else `from mindspore_lite.context import Context` would bypass the double
        sys.path[:], sys.modules[__name__] = path, double


real = _real_wheel()
__version__ = os.environ.get("ASCEND_DOUBLE_VERSION", "2.3.0+double")
version = tuple(int(number) for number in re.match(r"(\d+)\.(\d+)\.(\d+)", __version__).groups())
if version < (2, 1, 0):
    raise ImportError(f"ASCEND_DOUBLE_VERSION={__version__}: the double is of 2.1.0 and later")
DataType, Format, ModelType = real.DataType, real.Format, real.ModelType
Converter, FmkType = real.Converter, real.FmkType

# not before the double has its name back, the real wheel is there, and its own version
from mindspore_lite._context import Context  # noqa: E402
from mindspore_lite._group import ModelGroup, ModelGroupFlag  # noqa: E402
from mindspore_lite._model import Model, Tensor  # noqa: E402

__all__ = ["Context", "DataType", "Format", "Model", "ModelGroup", "ModelGroupFlag", "ModelType", "Tensor"]
if os.environ.get("ASCEND_DOUBLE_WITHOUT"):
    if os.environ["ASCEND_DOUBLE_WITHOUT"] != "ModelGroup":
        raise ImportError(f"ASCEND_DOUBLE_WITHOUT={os.environ['ASCEND_DOUBLE_WITHOUT']}: only ModelGroup can be")
    for _name in ("ModelGroup", "ModelGroupFlag"):
        delattr(sys.modules[__name__], _name)
        __all__.remove(_name)
