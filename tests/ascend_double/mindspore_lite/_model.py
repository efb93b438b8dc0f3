"""The double's Model and Tensor."""

import os
import weakref

import numpy as np

from mindspore_lite import _process, real
from mindspore_lite._configuration import check_config, read_config
from mindspore_lite._context import Context
from mindspore_lite._engine import BUILD_FAILED, PREDICT_FAILED, Program, Refused, engine
from mindspore_lite._process import Strict, check, check_dict, faults, log
from mindspore_lite._ranks import Ranks

DataType, ModelType = real.DataType, real.ModelType


class Tensor(real.Tensor):
    """The real Tensor, or one made from a NumPy array (since 2.1), which is copied."""

    def __init__(self, tensor=None):
        self._filled = False
        if not isinstance(tensor, np.ndarray):
            super().__init__(getattr(tensor, "_tensor", tensor))
            self._filled = tensor is not None
            return
        super().__init__()
        log("Tensor", array=f"{tensor.dtype} {list(tensor.shape)}")
        if tensor.dtype.name.upper() not in DataType.__members__:
            raise TypeError(f"Unsupported numpy dtype value {tensor.dtype}")
        self._array = np.array(tensor, order="C")
        self.dtype, self.shape = DataType[tensor.dtype.name.upper()], list(tensor.shape)
        super().set_data_from_numpy(self._array.view(tensor.dtype.name))
        self._filled = True

    def set_data_from_numpy(self, numpy_obj):
        super().set_data_from_numpy(numpy_obj)
        self._filled = True
        log("Tensor.set_data_from_numpy", name=self.name, array=f"{numpy_obj.dtype} {list(numpy_obj.shape)}")


def _describe(value):
    """Return a Tensor without data for an input or output of a shard."""
    tensor = Tensor()
    tensor.name, tensor.dtype, tensor.shape = value.name, DataType[value.dtype.upper()], list(value.shape)
    return tensor


class Model(Strict):
    def __init__(self):
        log("Model")
        self._real = self._program = self._group = None  # one of the first two once it is built
        self._tried = False

    def build_from_file(self, model_path, model_type, context=None, config_path="", config_dict=None):
        context = Context() if context is None else context
        checks = (model_path, str), (model_type, ModelType), (context, Context), (config_path, str)
        for name, (value, kind) in zip(("model_path", "model_type", "context", "config_path"), checks):
            check(name, value, kind)
        ascend, target = context.ascend, [name.lower() for name in context.target]
        log("Model.build_from_file", model_path=model_path, target=target, config_path=config_path, dict=config_dict)
        for name, path in (("model_path", model_path), ("config_path", config_path)):
            if path and not os.path.exists(path) or name == "model_path" and not path:
                raise RuntimeError(f"build_from_file failed, {name} does not exist!")
        if config_dict:
            check_dict("config_dict", config_dict)
        if "ascend" not in target:
            if config_dict or self._group:
                raise RuntimeError("the double has config_dict and ModelGroup for Ascend only")
            self._real = model = self._real or real.Model()  # the real one decides about a second build
            return model.build_from_file(model_path, model_type, context._real, config_path)
        faults(ascend.rank_id, "build", BUILD_FAILED)
        with engine(BUILD_FAILED):
            self._build(model_path, model_type, ascend, config_path, config_dict)
        log("ranks met", rank=ascend.rank_id, size=self._ranks.size)
        return faults(ascend.rank_id, "built", BUILD_FAILED)

    def _build(self, model_path, model_type, ascend, config_path, config_dict):
        if self._tried or self._real:  # a build that failed counts, too: a new Model is needed
            raise Refused("Model has been called Build!")
        config = read_config(config_path) if config_path else {}
        for section, values in (config_dict or {}).items():  # other keys keep the file's values
            config.setdefault(section, {}).update(values)
        check_config(config)
        provider = ascend.provider or config.get("ascend_context", {}).get("provider", "")
        if provider != "ge" or model_type is not ModelType.MINDIR:
            raise Refused(f"provider {provider!r}, {model_type}: the double has 'ge' and MINDIR only")
        self._tried = True
        program = Program(real, model_path)
        if program.shard.collectives and ascend._rank_id is None:
            raise Refused("context.ascend.rank_id isn't set: the real one would take rank 0")
        table = config.get("ge_global_options", {}).get("ge.exec.rankTableFile")
        table = table or config.get("ascend_context", {}).get("rank_table_file", "")
        ranks, settings = _process.ranks(), (ascend.rank_id, ascend.device_id, table)
        if ranks and ranks.settings != settings:
            raise Refused(
                f"(rank_id, device_id, rank_table_file) {settings}: the first model of the process has "
                f"{ranks.settings}, and the real one would go on with those"
            )
        if self._group:
            self._group._check(program, config, ascend.device_id)
        ranks = ranks or Ranks(*settings)
        beyond = [rank for rank, _ in faults.planned if int(rank) >= ranks.size]
        if beyond:
            raise Refused(f"ASCEND_DOUBLE_FAULT for rank {beyond[0]}, there are {ranks.size}")
        program.check(table, ranks.size)
        program.build()
        if self._group:
            self._group._built(program, config, ascend.device_id)
        _process.models += 1
        self._number, self._ranks, self._program = _process.models, ranks, program
        _process.ranks = weakref.ref(ranks)
        self._inputs = [_describe(value) for value in program.shard.inputs]
        self._outputs = [np.empty(0)] * len(program.shard.outputs)

    def get_inputs(self):
        log("Model.get_inputs")
        if self._real:
            return [Tensor(tensor) for tensor in self._real.get_inputs()]
        self._check_built()
        return list(self._inputs)

    def resize(self, inputs, dims):
        log("Model.resize", dims=dims)
        if self._real:
            return self._real.resize(inputs, dims)
        self._check_built()
        if len(inputs) != len(dims) or len(dims) != len(self._inputs):
            raise ValueError(f"inputs' size does not match dims' size, but got inputs: {len(inputs)}, {len(dims)}.")
        values = zip(self._program.shard.inputs, dims)
        self._inputs = [_describe(value._replace(shape=shape)) for value, shape in values]
        return None

    def predict(self, inputs, outputs=None):
        log("Model.predict", inputs=len(inputs))
        if self._real:
            return [Tensor(tensor) for tensor in self._real.predict(list(inputs))]
        self._check_built()
        if outputs is not None:
            raise NotImplementedError("the double has no `outputs`")
        if not isinstance(inputs, (list, tuple)):
            raise TypeError(f"inputs must be list or tuple, but got {type(inputs)}.")
        if len(inputs) != len(self._inputs):
            raise RuntimeError(f"model input len:{len(self._inputs)} not equal input len:{len(inputs)}!")
        if not all(isinstance(value, (Tensor, np.ndarray)) for value in inputs):
            raise TypeError("inputs element must be Tensor, of numpy.")
        _process.predicts += 1
        number = _process.predicts
        faults(self._ranks.rank, f"predict{number}", PREDICT_FAILED)
        with engine(PREDICT_FAILED):
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
            log("collective", op=step.op, node=step.node, array=f"{array.dtype} {list(array.shape)}")
            faults(self._ranks.rank, f"collective{number}.{done}", PREDICT_FAILED)
            return result

        return exchange

    def _array(self, given, own):
        """Return an input's data; refuse shapes and dtypes that aren't the model's, and an input without data."""
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
