"""The double's ModelGroup: models that share weights."""

import enum

from mindspore_lite import real, version
from mindspore_lite._configuration import session_options
from mindspore_lite._context import Context
from mindspore_lite._engine import Refused, engine
from mindspore_lite._model import Model
from mindspore_lite._process import Strict, check, log

ModelType = real.ModelType


class ModelGroupFlag(enum.Enum):
    SHARE_WEIGHT = 1
    SHARE_WORKSPACE = 2
    if version > (2, 3, 0):
        SHARE_WEIGHT_WORKSPACE = 3


class ModelGroup(Strict):
    def __init__(self, flags=ModelGroupFlag.SHARE_WORKSPACE):  # the default, whatever the documentation says
        if not isinstance(flags, ModelGroupFlag):
            raise RuntimeError("Parameter flags should be a ModelGroupFlag")
        log("ModelGroup", flags=flags.name)
        self._flags, self._programs, self._options = flags, [], None

    def add_model(self, models):
        if not isinstance(models, (list, tuple)):
            raise TypeError(f"models must be list/tuple, but got {type(models)}")
        if not models:
            raise RuntimeError("models cannot be empty")
        log("ModelGroup.add_model", models=len(models))
        kind = str if isinstance(models[0], str) else Model
        for index, model in enumerate(models):
            if not isinstance(model, kind):
                raise TypeError(f"models element must be all str or Model, but got {type(model)} at index {index}.")
        with engine("ModelGroup's add model failed."):
            if kind is str:
                raise Refused("the double has no ACL provider, which alone shares the workspace of paths")
            if self._flags is not ModelGroupFlag.SHARE_WEIGHT:
                raise Refused("Only support share weight for ModelGroup::AddModel(const std::vector<Model>&)")
            for model in models:
                if model._group:
                    raise Refused("model has been in another group")
                if model._tried or model._real:
                    raise Refused("a model that is built already: the real one takes it, and shares nothing")
                model._group = self

    def cal_max_size_of_workspace(self, model_type, context):
        check("context", context, Context)
        check("model_type", model_type, ModelType)
        raise RuntimeError("ModelGroup's cal max size of workspace failed.")  # as always for provider "ge"

    def _check(self, program, config, device_id):
        """Refuse a model that can't be in one session with those that are built already."""
        options = session_options(config, device_id)
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
        """Log what the model shares with those before it: weights are constants to GE."""
        names = set(program.parameters) & {name for other in self._programs for name in other.parameters}
        nbytes = sum(len(program.values(name)) for name in names)
        external, first = self._external(config), not self._programs
        self._programs.append(program)
        self._options = session_options(config, device_id)
        if not first:
            why = "shared" if external else "not shared: ge.externalWeight isn't 1"
            log("shared", names=len(names), bytes=nbytes * external, equal_bytes=nbytes, constants=why)

    @staticmethod
    def _external(config):
        return config.get("ge_session_options", {}).get("ge.externalWeight") == "1"
