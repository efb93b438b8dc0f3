"""One rank on a CPU: mindspore_lite runs what lies between the collectives, MPI does the collectives.

    mpirun -n 2 python3 cpu_mpi_distributed.py --model_path=models/Matmul.mindir

mpirun gives every process its rank. Each rank inserts its number: rank 1 loads models/Matmul1.mindir.

mindspore_lite has no collectives on the CPU, so Model below cuts the rank's shard at them: it builds each stage as a
mindspore_lite model of its own and predicts stage, collective, stage, ... To its caller it is like mslite.Model, and
the shards are those that run on Ascend and on NVIDIA GPUs.
"""

import os
import sys
import tempfile

import mindspore_lite as mslite
import mpi4py
import numpy as np

import inference
import mindir

mpi4py.rc.initialize = False  # inference.world() does, after a look at who started this process
mpi4py.rc.finalize = True
from mpi4py import MPI  # noqa: E402  (reads the two settings)

REDUCTIONS = {  # MPI's name, and NumPy's
    "sum": (MPI.SUM, np.add),
    "max": (MPI.MAX, np.maximum),
    "min": (MPI.MIN, np.minimum),
    "prod": (MPI.PROD, np.multiply),
}
SMALL = 16 << 10  # bytes up to which what counts in a reduction is how often ranks wait for each other


def create_context(comm):
    """Return a Context for the CPU with as many threads as this rank has cores to itself, and keep it on these."""
    server = comm.Split_type(MPI.COMM_TYPE_SHARED)  # the ranks on this server
    mine = os.sched_getaffinity(0)
    everyone = server.allgather(mine)
    sharing = sum(bool(mine & cores) for cores in everyone)
    if everyone.count(mine) == sharing <= len(mine):  # threads that wander over all cores get in each other's way
        share, place = len(mine) // sharing, everyone[: server.rank].count(mine)
        os.sched_setaffinity(0, sorted(mine)[place * share : (place + 1) * share])
    server.Free()
    context = mslite.Context()
    context.target = ["cpu"]
    context.cpu.thread_num = max(1, len(mine) // sharing)
    context.cpu.inter_op_parallel_num = 1
    return context


class Model:
    """The rank's shard with the interface of mslite.Model: build_from_file, get_inputs, resize, predict.

    Building sets malloc to keep memory, for the whole process (inference.keep_memory()).
    """

    def __init__(self, comm):
        self.comm = comm

    def build_from_file(self, model_path, model_type, context, config_path=""):
        """Cut the shard at `model_path` at its collectives and build the stages. All ranks call this together.

        Raises, on every rank, where a shard can't be used or the shards aren't one set.
        """
        reads = mindir.readable_by(mslite.__version__)
        shard = inference.together(self.comm, mindir.load, model_path, reads)
        plan = inference.together(self.comm, mindir.cut, shard)
        collectives = [each for each in plan.steps if isinstance(each, mindir.Collective)]
        summaries = self.comm.allgather(shard.summary()._replace(collectives=collectives))
        inference.together(self.comm, mindir.check_set, summaries)
        self.inputs = [each._replace(shape=list(each.shape)) for each in shard.inputs]
        self.taken, self.given = plan.inputs, plan.outputs  # the graph's own names of inputs and outputs
        self.dtypes = [each.dtype for each in shard.outputs]
        named = dict(zip(plan.outputs, (each.name for each in shard.outputs)))
        with tempfile.TemporaryDirectory(prefix="stages-") as folder:
            paths = inference.together(self.comm, _write_stages, plan, shard, folder)
            del shard  # the weights are in the files
            stages = inference.together(self.comm, _build_stages, model_path, paths, model_type, context, config_path)
        self.steps = []  # (function, names of what it takes, names of what it gives)
        staged = {name for step, stage in zip(plan.steps, stages) if stage for name in step.outputs}
        for step, stage in zip(plan.steps, stages):
            if stage:
                self.steps.append((self._predict_with(stage, step.inputs, staged), step.inputs, step.outputs))
            else:
                exchange = self._exchange_for(step, named.get(step.output, ""))
                self.steps.append((exchange, [step.input], [step.output]))
        self.places = [  # where predict() is, for launch.py
            f"{'stage' if stage else 'collective'} {index + 1}".encode().ljust(32, b"\0")
            for index, stage in enumerate(stages)
        ]
        last_use = {name: index for index, (_, names, _) in enumerate(self.steps) for name in names}
        self.done = [  # what no later step takes
            [name for name in dict.fromkeys(names) if last_use[name] == index and name not in self.given]
            for index, (_, names, _) in enumerate(self.steps)
        ]
        self.seen = None  # the inputs' shapes and dtypes in the last predict
        inference.keep_memory()

    def get_inputs(self):
        """Return the inputs as new mslite.Tensor, in the dtypes that the file gives them.

        NumPy has no bfloat16: such an input is a float32 one, rounded in predict(), and such an output one that was.
        """
        tensors = [mslite.Tensor() for _ in self.inputs]
        for tensor, value in zip(tensors, self.inputs):
            dtype = mslite.DataType["FLOAT32" if value.dtype == "bfloat16" else value.dtype.upper()]
            tensor.name, tensor.dtype, tensor.shape = value.name, dtype, value.shape
        return tensors

    def resize(self, inputs, dims):
        """Give the inputs the shapes `dims`, seen in the next get_inputs(); the stages follow in predict()."""
        self.inputs = [value._replace(shape=list(shape)) for value, shape in zip(self.inputs, dims)]

    def predict(self, inputs):
        """Return the outputs for `inputs`, lists of mslite.Tensor. All ranks call this together.

        As with mslite.Model, the next predict writes to the same memory: copy what has to stay.
        """
        seen = [(each.shape, each.dtype) for each in inputs]
        self.new, self.seen = seen != self.seen, None
        inputs = [_as_dtype(tensor, value.dtype) for tensor, value in zip(inputs, self.inputs)]
        values = dict(zip(self.taken, inputs))
        for place, (run, names, made), done in zip(self.places, self.steps, self.done):
            inference.within(place)
            values.update(zip(made, run([values[name] for name in names])))
            for name in done:
                del values[name]
        self.seen = seen
        return [_as_dtype(values[name], dtype) for name, dtype in zip(self.given, self.dtypes)]

    def _predict_with(self, stage, names, staged):
        """Return the function that runs a stage: Tensors in, Tensors out.

        What comes from another stage is copied: mindspore_lite 2.0 never frees outputs that were another's inputs.
        """
        dtypes = [inference.dtype_of(each) for each in stage.get_inputs()]
        shapes = [each.shape for each in stage.get_inputs()]
        converted, copies = False, []  # whether inputs come in other dtypes; [(index, array, Tensor with the array)]

        def run(tensors):
            nonlocal shapes, converted, copies
            if self.new:
                converted = dtypes != [inference.dtype_of(each) for each in tensors]
                now = [each.shape for each in tensors]
                if now != shapes:
                    stage.resize(stage.get_inputs(), now)
                    shapes = now
                arrays = [
                    (index, np.empty(now[index], dtypes[index])) for index, name in enumerate(names) if name in staged
                ]
                copies = [(index, array, inference.new_tensor(array)) for index, array in arrays]
            if converted:
                tensors = [_as_dtype(tensor, dtype) for tensor, dtype in zip(tensors, dtypes)]
            for index, array, tensor in copies:
                np.copyto(array, tensors[index].get_data_to_numpy())
                tensors[index] = tensor
            return stage.predict(tensors)

        return run

    def _exchange_for(self, collective, name):
        """Return the function that does a collective: a Tensor in, a Tensor out, always in the same memory."""
        comm, rank, ranks, op = self.comm, self.comm.rank, self.comm.size, collective.op
        reduction, ufunc = REDUCTIONS.get(collective.reduction, (None, None))
        shape = buffer = result = other = None

        def exchange(tensors):
            nonlocal shape, buffer, result, other
            data = tensors[0].get_data_to_numpy()
            if data.shape != shape:  # at first, and with open dimensions
                shape, buffer = data.shape, np.empty(_shape_after(collective, data.shape, ranks), data.dtype)
                result, other = inference.new_tensor(buffer, name), np.empty(data.size // ranks, data.dtype)
            if ranks == 1:
                np.copyto(buffer, data)
            elif op == "AllGather":
                integers = f"i{data.itemsize}"  # any type of this size will do, and MPI has no float16
                comm.Allgather(data.view(integers), buffer.view(integers))
            elif data.dtype == np.float16:
                total = np.empty(buffer.shape, np.float32)
                all_or_scatter = comm.Allreduce if op == "AllReduce" else comm.Reduce_scatter_block
                all_or_scatter(data.astype(np.float32), total, reduction)
                buffer[...] = total
            elif op == "ReduceScatter":
                reduce_mine(data, buffer.reshape(-1))
            elif data.nbytes <= SMALL or data.size % ranks:
                comm.Allreduce(data, buffer, reduction)
            else:
                reduce_mine(data, buffer.reshape(ranks, -1)[rank])
                comm.Allgather(MPI.IN_PLACE, buffer)
            return [result]

        def reduce_mine(data, total):
            """Reduce this rank's share of all ranks' data: in half the time that Open MPI's own takes."""
            shares = data.reshape(ranks, -1)
            mine = shares[rank]
            for shift in range(1, ranks):
                comm.Sendrecv(
                    shares[(rank + shift) % ranks], (rank + shift) % ranks, recvbuf=other, source=(rank - shift) % ranks
                )
                mine = ufunc(mine, other, out=total)

        return exchange


def _shape_after(collective, shape, ranks):
    """Return the shape of what a collective makes of this shape."""
    if collective.op == "AllGather":
        return (shape[0] * ranks,) + shape[1:]
    if collective.op == "ReduceScatter":
        if shape[0] % ranks:  # an open dimension, or the export would have failed
            message = f"node {collective.node}: ReduceScatter of {shape} over {ranks} ranks: not divisible"
            raise inference.Stop(inference.FAILED, message)
        return (shape[0] // ranks,) + shape[1:]
    return shape


def _write_stages(plan, shard, folder):
    """Write the stages to the folder; return their paths, None for a collective."""
    try:
        return [
            mindir.write(step, shard, folder, f"stage{index}") if isinstance(step, mindir.Stage) else None
            for index, step in enumerate(plan.steps)
        ]
    except OSError as error:
        message = f"{folder}: can't hold the stages of {shard.path}, {shard.nbytes >> 20} MiB: {error.strerror}"
        raise inference.Stop(inference.FAILED, f"{message}: set TMPDIR to a folder that can") from None


def _build_stages(model_path, paths, model_type, context, config_path):
    """Return the stages as mslite.Model, None for a collective."""
    stages = [mslite.Model() if path else None for path in paths]
    for index, (stage, path) in enumerate(zip(stages, paths)):
        try:
            if stage and model_type == mslite.ModelType.MINDIR and _converts(path):
                path, converted = _convert(path), mslite.ModelType.MINDIR_LITE
                stage.build_from_file(path, converted, context, config_path)
                os.remove(path)
            elif stage:
                stage.build_from_file(path, model_type, context, config_path)
        except RuntimeError as error:
            where = f"{model_path}: step {index + 1} of {len(paths)} (stage or collective)"
            raise inference.Stop(inference.FAILED, f"{where}: {error} ([ERROR] lines above say why)") from None
    return stages


def _converts(path):
    """Return whether _convert() can take the stage: by version, with weights, less than the 2 GiB of a .ms file."""
    weights = os.path.getsize(path[: -len("_graph.mindir")] + "_variables/data_0") - 64
    return mslite.__version__.startswith("2.0.") and hasattr(mslite, "Converter") and 0 < weights < 2**31 - 2**24


def _convert(path):
    """Write the stage beside its file as mindspore_lite's own .ms and return its path.

    mindspore_lite 2.0 does the same with a MindIR as it builds it, but keeps four copies of the weights then. Of a .ms
    it keeps two: the file's, and one in the order that its products take them in.
    """
    converter = mslite.Converter()
    converter.save_type = mslite.ModelType.MINDIR_LITE
    converter.input_format = mslite.Format.NCHW  # as it is: it takes four dimensions for an image in another order
    target = path[: -len("_graph.mindir")]
    sys.stdout.flush()
    stdout = os.dup(1)
    with open(os.devnull, "wb") as nothing:
        os.dup2(nothing.fileno(), 1)  # it prints "CONVERT RESULT SUCCESS:0"
        try:
            converter.convert(mslite.FmkType.MINDIR, path, target)
        finally:
            os.dup2(stdout, 1)
            os.close(stdout)
    return f"{target}.ms"


def _as_dtype(tensor, dtype):
    """Return the tensor in this dtype: the CPU's mindspore_lite takes float16 as float32 and int64 as int32."""
    if inference.dtype_of(tensor) == dtype:
        return tensor
    array = tensor.get_data_to_numpy()
    if dtype == "bfloat16":
        return inference.new_tensor(mindir.narrow(array), tensor.name)
    converted = array.astype(dtype)
    if array.dtype.kind == "i" and (converted != array).any():
        raise inference.Stop(
            inference.FAILED, f"{tensor.name}: values that don't fit {dtype}, which mindspore_lite's CPU computes in"
        )
    return inference.new_tensor(converted, tensor.name)


def parse_arguments():
    parser = inference.argument_parser(__doc__)
    model = parser.add_argument_group("model")
    path = "X.mindir where the shards are X0.mindir, X1.mindir, ..."
    model.add_argument("--model_path", metavar="X.mindir", required=True, help=path)
    config = "mindspore_lite's configuration file (default: none)"
    model.add_argument("--config_file", metavar="FILE", default="", help=config)
    return parser.parse_args()


def main(comm):
    args = parse_arguments()

    # init context
    context = create_context(comm)
    model_path = inference.shard_path(args.model_path, comm)

    # create Model and build Model
    model = Model(comm)
    model.build_from_file(model_path, mslite.ModelType.MINDIR, context, args.config_file)

    # set model input as ones
    inputs = model.get_inputs()
    inputs, arrays = inference.fill_inputs(model, inputs)

    # execute inference
    outputs = model.predict(inputs)

    # get output and print
    inference.print_outputs(outputs, comm)


if __name__ == "__main__":
    inference.run(main, inference.world(MPI))
