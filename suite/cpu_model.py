"""A rank's shard on the CPU, with the interface of mindspore_lite's Model.

mindspore_lite has no collectives on the CPU, so Model cuts the shard at them: it builds each stage as a mindspore_lite
model of its own and predicts stage, collective, stage, ... The shards are those that run on Ascend and on NVIDIA GPUs.
"""

import tempfile

import mindspore_lite as mslite
import numpy as np

import mindir
import ranks
from suite import inputs as model_inputs
from suite import kept, reading, stages, threads
from suite.arrays import array_dtype
from suite.exchange import Exchange, communicators
from suite.pipeline import Receive, Send
from suite.tensors import Views, as_dtype, as_tensor, new_tensor


class Model:
    """The rank's shard with the interface of mslite.Model: build_from_file, get_inputs, resize, predict.

    `comm` is mpi4py's communicator of the ranks, such as ranks.world(). All ranks build and predict together; a method
    raises ranks.Stop on the rank that can't go on, and ranks.run() ends the others with it. In the folder
    `engine_cache`, if one is given, the stages are kept as they are built from: the next build is shorter.

    Models that are given the same dict as `family`, an empty one at first, share what they are built of: where a net is
    the same as an earlier one but for the shapes that go in, it has that one's stages and weights, resized in turn.
    """

    def __init__(self, comm, engine_cache="", family=None):
        self.comm, self.engine_cache, self.family = comm, engine_cache, family

    def build_from_file(self, model_path, model_type, context, config_path=""):
        """Cut the shard at `model_path` at its collectives and build the stages.

        Raises Stop if a shard can't be used or the shards aren't one set.
        """
        if self.engine_cache:
            kept.make_folder(self.engine_cache)
        shard = reading.load(model_path)
        self.shards = self.comm.allgather(shard.summary())
        self._note(shard)
        mark = "" if self.family is None else mindir.fingerprint(shard, threads.BY_SHAPE)
        marks = tuple(self.comm.allgather(mark))  # one net may be like different earlier ones on different ranks
        if self.family and marks in self.family:
            mindir.check_set(self.shards)
            self.net = self.family[marks]
            return
        plan = mindir.cut(shard, mindir.needs_order(self.shards), resized=self.family is not None)
        collectives = [step for step in plan.steps if isinstance(step, mindir.Collective)]
        self.shards = self.comm.allgather(shard.summary()._replace(collectives=collectives))  # of all ranks
        mindir.check_set(self.shards)
        groups = communicators(self.comm, [collective for summary in self.shards for collective in summary.collectives])
        moments = mindir.moments(self.shards)[self.comm.rank]
        names = dict(zip(plan.outputs, (value.name for value in shard.outputs)))
        with tempfile.TemporaryDirectory(prefix="stages-") as folder:
            sources = stages.write(plan, shard, folder, self.engine_cache)
            del shard  # the weights are in the files
            built = stages.build(model_path, plan.steps, sources, model_type, context, config_path)
        self.net = _Net(plan, built, groups, moments, names)
        if self.family is not None:
            self.family[marks] = self.net

    def _note(self, shard):
        """Note what the model takes and gives."""
        self.inputs = [value._replace(shape=list(value.shape)) for value in shard.inputs]
        self.dtypes = [] if shard.passes_on else [value.dtype for value in shard.outputs]
        self.long = [(index, value.name) for index, value in enumerate(shard.inputs) if value.dtype == "int64"]
        self.ranges = mindir.Ranges(shard) if self.long else None
        self.seen = None  # the inputs' shapes and dtypes in the last predict
        self.compared = False  # whether the ranks' inputs have been compared
        self.converts = [True, True]  # whether inputs, and outputs, come in other dtypes than mindspore_lite's

    @property
    def steps(self):
        """What predict() does one after the other: see _Net."""
        return self.net.steps

    def get_inputs(self):
        """Return the inputs as new mslite.Tensors, in the dtypes that the file gives them.

        NumPy has no bfloat16: such an input is float32 here, which predict() rounds, and so is such an output.
        """
        tensors = [mslite.Tensor() for _ in self.inputs]
        for tensor, value in zip(tensors, self.inputs):
            dtype = mslite.DataType[array_dtype(value.dtype).upper()]
            tensor.name, tensor.dtype, tensor.shape = value.name, dtype, value.shape
        return tensors

    def resize(self, inputs, dims):
        """Give the inputs the shapes `dims`, which the next get_inputs() has; predict() resizes the stages."""
        self.inputs = [value._replace(shape=list(shape)) for value, shape in zip(self.inputs, dims)]
        self.seen, self.compared = None, False  # what was predicted before may no longer fit

    def predict(self, inputs):
        """Return the outputs, a list of mslite.Tensor, for `inputs`, a list of mslite.Tensor or of arrays.

        A rank in a stage of a pipeline that isn't the last returns an empty list; it can go on with the next inputs
        while later stages still work on these.

        As with mslite.Model, the next predict writes to the same memory: copy what you want to keep. Raises Stop
        (status 2) if an input doesn't fit, or if int64 values don't fit int32, in which mindspore_lite's CPU computes
        them, and in the first predict if the ranks' inputs aren't the same.
        """
        tensors = [as_tensor(value) for value in inputs]
        seen = [(tensor.shape, tensor.dtype) for tensor in tensors]
        new, self.seen = seen != self.seen, None
        if new:
            self._check(tensors)
        if self.long:
            self._check_ranges(tensors)
        if not self.compared:
            names = [value.name for value in self.inputs]
            model_inputs.check_same(self.comm, dict(zip(names, (tensor.get_data_to_numpy() for tensor in tensors))))
            self.compared = True
        if new or self.converts[0]:
            tensors = self._as_dtypes(0, tensors, [value.dtype for value in self.inputs])
        outputs = self.net(tensors, seen)
        self.seen = seen
        return self._as_dtypes(1, outputs, self.dtypes) if new or self.converts[1] else outputs

    def _as_dtypes(self, which, tensors, dtypes):
        """Return the Tensors in these dtypes, and keep whether any had another: it isn't asked of each every time."""
        converted = [as_dtype(tensor, dtype) for tensor, dtype in zip(tensors, dtypes)]
        self.converts[which] = any(after is not before for before, after in zip(tensors, converted))
        return converted

    def _check(self, tensors):
        """Raise Stop (status 2) unless the Tensors are what the model takes."""
        if len(tensors) != len(self.inputs):
            raise ranks.Stop(ranks.REFUSED, f"predict: {len(tensors)} inputs given, the model takes {len(self.inputs)}")
        for tensor, value in zip(tensors, self.inputs):
            dtype, shape = ranks.dtype(tensor), list(tensor.shape)
            fits = len(shape) == len(value.shape) and all(a in (-1, b) for a, b in zip(value.shape, shape))
            if dtype != array_dtype(value.dtype) or not fits:
                message = f"predict: input {value.name} takes {value.dtype} {value.shape}, given {dtype} {shape}"
                raise ranks.Stop(ranks.REFUSED, message)

    def _check_ranges(self, tensors):
        """Raise Stop (status 2) if int64 values, or what is computed from them, may be beyond int32."""
        found = {}
        for index, name in self.long:
            found[index] = model_inputs.check_range(f"input {name}", tensors[index].get_data_to_numpy(), "predict")
        if self.ranges.grows:
            self.ranges.check(found)


class _Net:
    """A plan with its stages built: the inputs, Tensors, go in, and Tensors come out."""

    def __init__(self, plan, built, groups, moments, names):
        """`groups` are communicators, `moments` when this rank's collectives are, `names` those of the outputs."""
        areas, moments, now = {}, iter(moments), 0  # memory that a group's ranks see together
        self.taken, self.given = plan.inputs, plan.outputs  # the graph's own names of inputs and outputs
        self.constants = {name: new_tensor(array.copy()) for name, array in plan.constants.items()}
        taken = {name for step, stage in zip(plan.steps, built) if stage for name in step.inputs}
        made = {name for step, stage in zip(plan.steps, built) if stage for name in step.outputs}
        self.copies = {name: _Copy() for name in made & taken}
        self.steps = []  # (where predict() is, for the launcher; function; names of what it takes and of what it gives)
        for step, stage in zip(plan.steps, built):
            if stage:
                run = _StageRun(stage)
                self.steps.append((f"stage {2 * now + 1}".encode(), run, step.inputs, step.outputs))
            else:
                now = next(moments)  # to be compared with those of other ranks
                run = exchange(groups[step.members], step, names.get(step.output, ""), areas)
                taken, made = [step.input][: step.op != "Receive"], [step.output][: step.op != "Send"]
                self.steps.append((f"collective {2 * now}".encode(), run, taken, made))
        last_use = {name: index for index, (_, _, names, _) in enumerate(self.steps) for name in names}
        self.done = [  # what no later step takes
            [name for name in dict.fromkeys(names) if last_use[name] == index and name not in self.given]
            for index, (_, _, names, _) in enumerate(self.steps)
        ]
        self.ready = None  # the inputs' shapes and dtypes that the stages are ready for

    def __call__(self, tensors, kinds):
        """Return the outputs for the Tensors, whose shapes and dtypes are `kinds`."""
        new, self.ready = kinds != self.ready, None
        values = {**self.constants, **dict(zip(self.taken, tensors))}
        for (place, run, names, made), done in zip(self.steps, self.done):
            ranks.place(place)
            if new and isinstance(run, _StageRun):
                run.prepare([values[name] for name in names])
            for name, tensor in zip(made, run([values[name] for name in names])):
                values[name] = self.copies[name](tensor) if name in self.copies else tensor
            for name in done:
                del values[name]
        self.ready = kinds
        return [values[name] for name in self.given]


def exchange(comm, collective, name, areas):
    """Return a function that does a Collective among the ranks of `comm`: Tensors in, Tensors out."""
    if collective.op == "Send":
        return Send(comm, collective)
    if collective.op == "Receive":
        return Receive(comm, collective, name)
    return Exchange(comm, collective, name, areas)


class _StageRun:
    """A stage, Tensors in, Tensors out."""

    def __init__(self, stage):
        self.stage = stage
        inputs = stage.get_inputs()
        self.dtypes, self.shapes = [ranks.dtype(tensor) for tensor in inputs], [tensor.shape for tensor in inputs]
        self.converted = False  # whether inputs come in other dtypes

    def prepare(self, tensors):
        """Prepare for Tensors of these shapes and dtypes."""
        self.converted = self.dtypes != [ranks.dtype(tensor) for tensor in tensors]
        shapes = [tensor.shape for tensor in tensors]
        if shapes != self.shapes:
            self.stage.resize(tensors, shapes)  # its own inputs would get memory, which stays
            self.shapes = shapes

    def __call__(self, tensors):
        if self.converted:
            tensors = [as_dtype(tensor, dtype) for tensor, dtype in zip(tensors, self.dtypes)]
        return self.stage.predict(tensors)


class _Copy:
    """A stage's outputs for later stages, copied once, always to the same memory.

    mindspore_lite 2.0 never frees outputs that were given to another model as inputs.
    """

    def __init__(self):
        self.views, self.array, self.tensor = Views(), None, None

    def __call__(self, tensor):
        data = self.views.of(tensor)
        if self.array is None or self.array.shape != data.shape:
            self.array = np.empty(data.shape, data.dtype)
            self.tensor = new_tensor(self.array, tensor.name)
        np.copyto(self.array, data)
        return self.tensor
