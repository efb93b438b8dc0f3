"""One rank on an NVIDIA GPU: TensorRT runs the rank's shard, NCCL its collectives.

    mpirun -n 2 python3 gpu_trt_distributed.py --model_path=models/Matmul.mindir

mpirun gives every process its rank; the rank is the device, of those in CUDA_VISIBLE_DEVICES, too. Each rank inserts
its number: rank 1 loads models/Matmul1.mindir.
"""

import argparse

import mindspore_lite as mslite
import mpi4py

import inference

mpi4py.rc.initialize = False  # inference.world() does, after a look at who started this process
mpi4py.rc.finalize = True
from mpi4py import MPI  # noqa: E402  (reads the two settings)


def create_context(comm):
    """Return a Context for this rank's GPU; raise Stop (status 3) where it doesn't know of the other ranks."""
    context = mslite.Context()
    # set GPU target and distributed info
    context.target = ["gpu"]
    context.gpu.device_id = context.gpu.rank_id
    context.gpu.provider = "tensorrt"
    # without TensorRT's libraries every process reads rank 0 of 1, with no more than a line in the log
    if (context.gpu.rank_id, context.gpu.group_size) != (comm.rank, comm.size):
        seen = f"rank {context.gpu.rank_id} of {context.gpu.group_size}"
        raise inference.Stop(
            inference.UNAVAILABLE,
            f"started as rank {comm.rank} of {comm.size}, but mindspore_lite's GPU plug-in reads {seen}: it doesn't "
            "load: the [ERROR] lines above name the library that it misses",
        )
    return context


def main(comm):
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--model_path", required=True, help="X.mindir where the shards are X0.mindir, X1.mindir, ...")
    parser.add_argument("--config_file", default="", help="mindspore_lite's configuration file")
    args = parser.parse_args()

    # init context
    context = create_context(comm)

    # create Model and build Model
    model_path = inference.shard_path(args.model_path, comm)
    model = mslite.Model()
    model.build_from_file(model_path, mslite.ModelType.MINDIR, context, args.config_file)

    # set model input as ones
    inputs = model.get_inputs()
    inputs, _ = inference.fill_inputs(model, inputs)

    # execute inference
    outputs = model.predict(inputs)

    # get output and print
    inference.print_outputs(outputs, comm)


if __name__ == "__main__":
    inference.run(main, inference.world(MPI))
