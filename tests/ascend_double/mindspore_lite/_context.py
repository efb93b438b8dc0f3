"""The double's Context."""

from mindspore_lite import _process, real
from mindspore_lite._process import Strict, check, faults, log


class _Ascend(Strict):
    PRECISIONS = ("enforce_fp32", "preferred_fp32", "enforce_fp16", "enforce_origin", "preferred_optimal")

    def __init__(self):
        self._device_id, self._rank_id, self._provider, self._precision_mode = 0, None, "", ""

    def _set_number(self, name, value):
        check(f"ascend_{name}", value, int)
        if value < 0:
            raise ValueError(f"ascend_{name} must be a non-negative int.")
        setattr(self, f"_{name}", value)
        if name == "rank_id":
            _process.rank = value
            log.rank_is(value)
        log(f"Context.ascend.{name}", value=value)
        if name == "rank_id":
            faults(value, "context", "the fault of the double")

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
        check("ascend_provider", value, str)
        log("Context.ascend.provider", value=value)
        if value not in ("", "ge"):  # the real setter takes any text
            raise ValueError(f'ascend_provider must be "" or "ge", but got {value}.')
        self._provider = value

    @property
    def precision_mode(self):
        return self._precision_mode

    @precision_mode.setter
    def precision_mode(self, value):
        check("ascend_precision_mode", value, str)
        if value not in self.PRECISIONS:
            raise ValueError(f"ascend_precision_mode must be in [{', '.join(self.PRECISIONS)}], but got {value}.")
        log("Context.ascend.precision_mode", value=value)
        self._precision_mode = value


class Context(Strict):
    def __init__(self):
        log("Context")
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
        check("target", target, list)
        for index, engine in enumerate(target):
            if not isinstance(engine, str):
                raise TypeError(f"target element must be str, but got {type(engine)} at index {index}.")
            if engine.lower() not in ("cpu", "gpu", "ascend"):
                raise ValueError(f"target elements must be in ['cpu', 'gpu', 'ascend'], but got {engine.lower()}.")
        log("Context.target", value=target)
        self._real.target = [engine for engine in target if engine.lower() != "ascend"]
        self._target = target
