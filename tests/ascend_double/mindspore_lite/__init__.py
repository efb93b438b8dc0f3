"""A strict double of mindspore_lite 2.1 and later on Ascend, provider "ge", for tests on machines without one.

    PYTHONPATH=tests/ascend_double python ascend_ge_distributed.py --model_path=models/Matmul0.mindir ...

Written from mindspore_lite's public Python sources (2.1 to 2.7: names, checks, words of exceptions), its C++ sources
of the configuration file, GE's context, sessions and model groups, and HCCL's of the rank table; never compared with a
real device. Target cpu and gpu are the real wheel's (2.0.0); on Ascend, the suite's mindir cuts a shard, the real
wheel computes the stages on the CPU in float32, and the double's ranks do the collectives with each other.

Stricter than the real one, which says nothing: unknown attributes, unknown or doubled sections and keys of the
configuration, quotes in it, add_model after the build, a second model with another rank, device or rank table in one
process, shared weights with different values, a RANK_TABLE_FILE of another rank table, inputs without data.
Attributes of context.ascend may be set before or after context.target: the real one shares them with the Context.

ASCEND_DOUBLE_HUB      the folder where the ranks of one job meet (needed for more than one; a new one a job)
ASCEND_DOUBLE_LOG      a folder: every call is a line of <folder>/rank<rank_id>.jsonl
ASCEND_DOUBLE_FAULT    rank:step:action,...  steps: context (rank_id is set), build (before the ranks meet), built,
                       predictN (the process's N-th, before its first collective), collectiveN.K (after the K-th
                       collective of that predict, ReduceScatter with AllGather being one), exit (atexit);
                       actions: raise, exit7, kill, segv, stop, hang (in C, keeps the interpreter's lock), busy
ASCEND_DOUBLE_FIRED    a file: the faults that happened, one a line
ASCEND_DOUBLE_VERSION  __version__ (default 2.3.0+double); SHARE_WEIGHT_WORKSPACE is there from 2.3.1
ASCEND_DOUBLE_WITHOUT  ModelGroup: as if the package had none
HCCL_CONNECT_TIMEOUT, HCCL_EXEC_TIMEOUT, ASCEND_RT_VISIBLE_DEVICES, RANK_TABLE_FILE  as for the real one, any number
of seconds. A rank that is lost makes the others wait for HCCL_EXEC_TIMEOUT (1800 s), without Python's signal handlers.
"""

import atexit
import enum
import importlib
import os
import re
import sys
import weakref

import numpy as np


def _real_wheel():
    """Import the real package under its own name, take it and its modules out again, and put the double back."""
    double, path = sys.modules.pop(__name__), sys.path[:]
    here = os.path.realpath(os.path.join(os.path.dirname(__file__), os.pardir))
    sys.path[:] = [each for each in path if os.path.realpath(each) != here]
    try:
        return importlib.import_module(__name__)
    finally:
        for name in [each for each in sys.modules if each.split(".")[0] == __name__]:
            del sys.modules[name]  # or `from mindspore_lite.context import Context` would get round the double
        sys.path[:], sys.modules[__name__] = path, double


real = _real_wheel()
from mindspore_lite import _engine  # noqa: E402  (not before the double has its name back)
from mindspore_lite import _ranks as _ranks_file  # noqa: E402  (as above)
from mindspore_lite._engine import BUILD_FAILED, PREDICT_FAILED, Refused  # noqa: E402  (as above)

__version__ = os.environ.get("ASCEND_DOUBLE_VERSION", "2.3.0+double")
_version = tuple(int(each) for each in re.match(r"(\d+)\.(\d+)\.(\d+)", __version__).groups())
if _version < (2, 1, 0):
    raise ImportError(f"ASCEND_DOUBLE_VERSION={__version__}: the double is of 2.1.0 and later")
DataType, Format, ModelType = real.DataType, real.Format, real.ModelType
Converter, FmkType = real.Converter, real.FmkType
_log = _engine.Log(os.environ.get("ASCEND_DOUBLE_LOG"))
_faults = _engine.Faults(os.environ.get("ASCEND_DOUBLE_FAULT", ""))
_ranks = lambda: None  # noqa: E731  (a weak reference to the process's Ranks later)
_predicts = _models = 0
_rank = None


@atexit.register
def _at_exit():
    _faults(_rank, "exit", "")


def _check(name, value, kind):
    if not isinstance(value, kind):
        raise TypeError(f"{name} must be {kind.__name__}, but got {type(value)}.")


def _check_dict(name, value):
    _check(f"{name}", value, dict)
    for key, inner in value.items():
        _check(f"{name}_key", key, str)
        _check(f"{name}_value", inner, dict)
        for inner_key, text in inner.items():
            _check(f"{name}_value_key", inner_key, str)
            _check(f"{name}_value_value", text, str)


class _Strict:
    """Refuses attributes that the class doesn't have; the real classes take them, and nothing comes of it."""

    def __setattr__(self, name, value):
        if name[0] != "_" and not isinstance(getattr(type(self), name, None), property):
            raise AttributeError(f"{type(self).__name__} has no attribute {name!r}: the real one would ignore it")
        object.__setattr__(self, name, value)


class _Ascend(_Strict):
    PRECISIONS = ("enforce_fp32", "preferred_fp32", "enforce_fp16", "enforce_origin", "preferred_optimal")

    def __init__(self):
        self._device_id, self._rank_id, self._provider, self._precision_mode = 0, None, "", ""

    def _set_number(self, name, value):
        _check(f"ascend_{name}", value, int)
        if value < 0:
            raise ValueError(f"ascend_{name} must be a non-negative int.")
        setattr(self, f"_{name}", value)
        if name == "rank_id":
            global _rank
            _rank = value
            _log.rank_is(value)
        _log(f"Context.ascend.{name}", value=value)
        if name == "rank_id":
            _faults(value, "context", "the fault of the double")

    @property
    def device_id(self):
        return self._device_id

    @device_id.setter
    def device_id(self, value):
        self._set_number("device_id", value)

    @property
    def rank_id(self):
        return self._rank_id or 0  # the real one can't tell "not set" from 0; build_from_file() here can

    @rank_id.setter
    def rank_id(self, value):
        self._set_number("rank_id", value)

    @property
    def provider(self):
        return self._provider

    @provider.setter
    def provider(self, value):
        _check("ascend_provider", value, str)
        _log("Context.ascend.provider", value=value)
        if value not in ("", "ge"):  # the real setter takes any text
            raise ValueError(f'ascend_provider must be "" or "ge", but got {value}.')
        self._provider = value

    @property
    def precision_mode(self):
        return self._precision_mode

    @precision_mode.setter
    def precision_mode(self, value):
        _check("ascend_precision_mode", value, str)
        if value not in self.PRECISIONS:
            raise ValueError(f"ascend_precision_mode must be in [{', '.join(self.PRECISIONS)}], but got {value}.")
        _log("Context.ascend.precision_mode", value=value)
        self._precision_mode = value


class Context(_Strict):
    def __init__(self):
        _log("Context")
        self._real, self._ascend, self._target = real.Context(), _Ascend(), ["cpu"]

    cpu = property(lambda self: self._real.cpu)
    gpu = property(lambda self: self._real.gpu)
    ascend = property(lambda self: self._ascend)

    @property
    def target(self):
        return self._target

    @target.setter
    def target(self, target):
        target = target or ["cpu"]
        _check("target", target, list)
        for index, each in enumerate(target):
            if not isinstance(each, str):
                raise TypeError(f"target element must be str, but got {type(each)} at index {index}.")
            if each.lower() not in ("cpu", "gpu", "ascend"):
                raise ValueError(f"target elements must be in ['cpu', 'gpu', 'ascend'], but got {each.lower()}.")
        _log("Context.target", value=target)
        self._real.target = [each for each in target if each.lower() != "ascend"]
        self._target = target


class Tensor(real.Tensor):
    """The real Tensor, and of a NumPy array (from 2.1), which is copied."""

    def __init__(self, tensor=None):
        self._filled = False
        if not isinstance(tensor, np.ndarray):
            super().__init__(getattr(tensor, "_tensor", tensor))
            self._filled = tensor is not None
            return
        super().__init__()
        _log("Tensor", array=f"{tensor.dtype} {list(tensor.shape)}")
        if tensor.dtype.name.upper() not in DataType.__members__:
            raise TypeError(f"Unsupported numpy dtype value {tensor.dtype}")
        self._array = np.array(tensor, order="C")
        self.dtype, self.shape = DataType[tensor.dtype.name.upper()], list(tensor.shape)
        super().set_data_from_numpy(self._array.view(tensor.dtype.name))
        self._filled = True

    def set_data_from_numpy(self, numpy_obj):
        super().set_data_from_numpy(numpy_obj)
        self._filled = True
        _log("Tensor.set_data_from_numpy", name=self.name, array=f"{numpy_obj.dtype} {list(numpy_obj.shape)}")


def _describe(value):
    """Return a Tensor without data for an input or output of a shard."""
    tensor = Tensor()
    tensor.name, tensor.dtype, tensor.shape = value.name, DataType[value.dtype.upper()], list(value.shape)
    return tensor


class Model(_Strict):
    def __init__(self):
        _log("Model")
        self._real = self._program = self._group = None  # one of the first two once it is built
        self._tried = False

    def build_from_file(self, model_path, model_type, context=None, config_path="", config_dict=None):
        context = Context() if context is None else context
        checks = (model_path, str), (model_type, ModelType), (context, Context), (config_path, str)
        for name, (value, kind) in zip(("model_path", "model_type", "context", "config_path"), checks):
            _check(name, value, kind)
        ascend, target = context.ascend, [each.lower() for each in context.target]
        _log("Model.build_from_file", model_path=model_path, target=target, config_path=config_path, dict=config_dict)
        for name, path in (("model_path", model_path), ("config_path", config_path)):
            if path and not os.path.exists(path) or name == "model_path" and not path:
                raise RuntimeError(f"build_from_file failed, {name} does not exist!")
        if config_dict:
            _check_dict("config_dict", config_dict)
        if "ascend" not in target:
            if config_dict or self._group:
                raise RuntimeError("the double has config_dict and ModelGroup for Ascend only")
            self._real = model = self._real or real.Model()  # which knows what a second build is
            return model.build_from_file(model_path, model_type, context._real, config_path)
        _faults(ascend.rank_id, "build", BUILD_FAILED)
        with _engine.engine(BUILD_FAILED):
            self._build(model_path, model_type, ascend, config_path, config_dict)
        _log("ranks met", rank=ascend.rank_id, size=self._ranks.size)
        return _faults(ascend.rank_id, "built", BUILD_FAILED)

    def _build(self, model_path, model_type, ascend, config_path, config_dict):
        global _ranks, _models
        if self._tried or self._real:  # a build that failed counts, too: a new Model is needed
            raise Refused("Model has been called Build!")
        config = _engine.read_config(config_path) if config_path else {}
        for section, values in (config_dict or {}).items():  # what the file says of other keys stays
            config.setdefault(section, {}).update(values)
        _engine.check_config(config)
        provider = ascend.provider or config.get("ascend_context", {}).get("provider", "")
        if provider != "ge" or model_type is not ModelType.MINDIR:
            raise Refused(f"provider {provider!r}, {model_type}: the double has 'ge' and MINDIR only")
        self._tried = True
        program = _engine.Program(real, model_path)
        if program.shard.collectives and ascend._rank_id is None:
            raise Refused("context.ascend.rank_id isn't set: the real one would take rank 0")
        table = config.get("ge_global_options", {}).get("ge.exec.rankTableFile")
        table = table or config.get("ascend_context", {}).get("rank_table_file", "")
        ranks, settings = _ranks(), (ascend.rank_id, ascend.device_id, table)
        if ranks and ranks.settings != settings:
            raise Refused(
                f"(rank_id, device_id, rank_table_file) {settings}: the first model of the process has "
                f"{ranks.settings}, and the real one would go on with those"
            )
        if self._group:
            self._group._check(program, config, ascend.device_id)
        ranks = ranks or _ranks_file.Ranks(*settings)
        beyond = [rank for rank, _ in _faults.planned if int(rank) >= ranks.size]
        if beyond:
            raise Refused(f"ASCEND_DOUBLE_FAULT for rank {beyond[0]}, there are {ranks.size}")
        program.check(table, ranks.size)
        program.build()
        if self._group:
            self._group._built(program, config, ascend.device_id)
        _models += 1
        self._number, self._ranks, self._program = _models, ranks, program
        _ranks = weakref.ref(ranks)
        self._inputs = [_describe(each) for each in program.shard.inputs]
        self._outputs = [np.empty(0)] * len(program.shard.outputs)

    def get_inputs(self):
        _log("Model.get_inputs")
        if self._real:
            return [Tensor(each) for each in self._real.get_inputs()]
        self._check_built()
        return list(self._inputs)

    def resize(self, inputs, dims):
        _log("Model.resize", dims=dims)
        if self._real:
            return self._real.resize(inputs, dims)
        self._check_built()
        if len(inputs) != len(dims) or len(dims) != len(self._inputs):
            raise ValueError(f"inputs' size does not match dims' size, but got inputs: {len(inputs)}, {len(dims)}.")
        values = zip(self._program.shard.inputs, dims)
        self._inputs = [_describe(value._replace(shape=shape)) for value, shape in values]
        return None

    def predict(self, inputs, outputs=None):
        global _predicts
        _log("Model.predict", inputs=len(inputs))
        if self._real:
            return [Tensor(each) for each in self._real.predict(list(inputs))]
        self._check_built()
        if outputs is not None:
            raise NotImplementedError("the double has no `outputs`")
        if not isinstance(inputs, (list, tuple)):
            raise TypeError(f"inputs must be list or tuple, but got {type(inputs)}.")
        if len(inputs) != len(self._inputs):
            raise RuntimeError(f"model input len:{len(self._inputs)} not equal input len:{len(inputs)}!")
        if not all(isinstance(each, (Tensor, np.ndarray)) for each in inputs):
            raise TypeError("inputs element must be Tensor, of numpy.")
        _predicts += 1
        number = _predicts
        _faults(self._ranks.rank, f"predict{number}", PREDICT_FAILED)
        with _engine.engine(PREDICT_FAILED):
            arrays = [self._array(given, own) for given, own in zip(inputs, self._inputs)]
            results = self._program.run(arrays, self._exchange_of(number))
        for index, result in enumerate(results):  # the next predict writes to the same memory, as with the real one
            if self._outputs[index].shape != result.shape or self._outputs[index].dtype != result.dtype:
                self._outputs[index] = np.empty(result.shape, result.dtype)
            self._outputs[index][...] = result
        tensors = []
        for value, array in zip(self._program.shard.outputs, self._outputs):
            tensors.append(_describe(value._replace(shape=array.shape)))
            real.Tensor.set_data_from_numpy(tensors[-1], array)
        return tensors

    def _exchange_of(self, number):
        done, done_in = 0, {}  # collectives of this predict; in each group

        def exchange(step, array):
            nonlocal done
            among = done_in.get(step.members, 0)
            result = self._ranks.exchange((self._number, number, among), step, array)
            done_in[step.members] = among + (step.op not in ("Send", "Receive"))
            done += 1
            _log("collective", op=step.op, node=step.node, array=f"{array.dtype} {list(array.shape)}")
            _faults(self._ranks.rank, f"collective{number}.{done}", PREDICT_FAILED)
            return result

        return exchange

    def _array(self, given, own):
        """Return an input's data; refuse other shapes and dtypes than the model's, and an input without data."""
        if isinstance(given, np.ndarray):
            given = Tensor(given)
        if not given._filled:
            raise Refused(f"input {own.name} has no data")
        if (given.dtype, given.shape) != (own.dtype, own.shape):
            raise Refused(f"input {own.name} is {own.dtype} {own.shape}, not {given.dtype} {given.shape}")
        return given.get_data_to_numpy().copy()

    def _check_built(self):
        if not self._program:
            raise RuntimeError("Model has not been called Build, or Model Build has failed")


class ModelGroupFlag(enum.Enum):
    SHARE_WEIGHT = 1
    SHARE_WORKSPACE = 2
    if _version > (2, 3, 0):
        SHARE_WEIGHT_WORKSPACE = 3


class ModelGroup(_Strict):
    def __init__(self, flags=ModelGroupFlag.SHARE_WORKSPACE):  # the default, whatever the documentation says
        if not isinstance(flags, ModelGroupFlag):
            raise RuntimeError("Parameter flags should be a ModelGroupFlag")
        _log("ModelGroup", flags=flags.name)
        self._flags, self._programs, self._options = flags, [], None

    def add_model(self, models):
        if not isinstance(models, (list, tuple)):
            raise TypeError(f"models must be list/tuple, but got {type(models)}")
        if not models:
            raise RuntimeError("models cannot be empty")
        _log("ModelGroup.add_model", models=len(models))
        kind = str if isinstance(models[0], str) else Model
        for index, each in enumerate(models):
            if not isinstance(each, kind):
                raise TypeError(f"models element must be all str or Model, but got {type(each)} at index {index}.")
        with _engine.engine("ModelGroup's add model failed."):
            if kind is str:
                raise Refused("the double has no ACL provider, which alone shares the workspace of paths")
            if self._flags is not ModelGroupFlag.SHARE_WEIGHT:
                raise Refused("Only support share weight for ModelGroup::AddModel(const std::vector<Model>&)")
            for each in models:
                if each._group:
                    raise Refused("model has been in another group")
                if each._tried or each._real:
                    raise Refused("a model that is built already: the real one takes it, and shares nothing")
                each._group = self

    def cal_max_size_of_workspace(self, model_type, context):
        _check("context", context, Context)
        _check("model_type", model_type, ModelType)
        raise RuntimeError("ModelGroup's cal max size of workspace failed.")  # as always for provider "ge"

    def _check(self, program, config, device_id):
        """Refuse a model that can't be in one session with those that are built."""
        options = _engine.session_options(config, device_id)
        if self._programs and options != self._options:
            raise Refused(f"Session options is not equal: {self._options}, {options}")
        for other in self._programs:
            for name in set(program.parameters) & set(other.parameters):
                mine, theirs = program.parameters[name], other.parameters[name]
                if (mine.dims, mine.data_type) != (theirs.dims, theirs.data_type):
                    raise Refused(f"{program.path}: {name} is {list(mine.dims)}, in {other.path} {list(theirs.dims)}")
                if self._external(config) and program.values(name) != other.values(name):
                    raise Refused(f"{program.path}: {name} has other values than in {other.path}, which would be taken")

    def _built(self, program, config, device_id):
        """Say in the log what the model shares with those before it: weights are constants to GE."""
        names = set(program.parameters) & {name for other in self._programs for name in other.parameters}
        nbytes = sum(len(program.values(name)) for name in names)
        external, first = self._external(config), not self._programs
        self._programs.append(program)
        self._options = _engine.session_options(config, device_id)
        if not first:
            why = "shared" if external else "not shared: ge.externalWeight isn't 1"
            _log("shared", names=len(names), bytes=nbytes * external, equal_bytes=nbytes, constants=why)

    @staticmethod
    def _external(config):
        return config.get("ge_session_options", {}).get("ge.externalWeight") == "1"


__all__ = ["Context", "DataType", "Format", "Model", "ModelGroup", "ModelGroupFlag", "ModelType", "Tensor"]
if os.environ.get("ASCEND_DOUBLE_WITHOUT"):
    if os.environ["ASCEND_DOUBLE_WITHOUT"] != "ModelGroup":
        raise ImportError(f"ASCEND_DOUBLE_WITHOUT={os.environ['ASCEND_DOUBLE_WITHOUT']}: only ModelGroup can be")
    for _name in ("ModelGroup", "ModelGroupFlag"):
        delattr(sys.modules[__name__], _name)
        __all__.remove(_name)
