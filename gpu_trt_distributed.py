"""One rank on an NVIDIA GPU: TensorRT runs the rank's shard, NCCL its collectives.

    mpirun -n 2 python3 gpu_trt_distributed.py --model_path=models/Matmul.mindir

mpirun gives every process its rank. Each rank inserts its number into the path (rank 1 loads models/Matmul1.mindir)
and takes a GPU of its own among those that CUDA_VISIBLE_DEVICES shows. To copy this page, take ranks.py along.
"""

import argparse
import contextlib
import ctypes
import glob
import os
import sys

import mindspore_lite as mslite
import numpy as np

import ranks

LIBRARIES = (  # of mindspore_lite's GPU plug-in, in the order in which they need each other
    *("libcudart.so.11.0", "libcublasLt.so.11", "libcublas.so.11", "libcurand.so.10", "libnccl.so.2", "libcudnn.so.8"),
    *("libnvinfer.so.8", "libnvinfer_builder_resource.so.8.5.3"),
)


def load_libraries():
    """Load NVIDIA's libraries, from where pip installs them if the loader doesn't find them, and the plug-in."""
    for name in LIBRARIES:
        pip = [f"{folder}/{place}/{name}" for folder in sys.path for place in ("nvidia/*/lib", "tensorrt")]
        for path in [name, *(found for pattern in pip for found in glob.glob(pattern))]:
            with contextlib.suppress(OSError):  # the plug-in says which one is missing
                ctypes.CDLL(path, ctypes.RTLD_GLOBAL)
                break
    try:
        ctypes.CDLL(os.path.join(os.path.dirname(mslite.__file__), "lib", "libtensorrt_plugin_python.so"))
    except OSError as error:
        advice = f"{sys.executable} -m pip install -r requirements-gpu.txt"
        message = f"mindspore_lite's GPU plug-in doesn't load: {error}: {advice}"
        raise ranks.Stop(ranks.UNAVAILABLE, message) from None


def visible_gpus():
    """Return the UUIDs of the GPUs that this process may use, in the order of their device_id."""
    try:
        cuda = ctypes.CDLL("libcuda.so.1")
    except OSError as error:
        raise ranks.Stop(ranks.UNAVAILABLE, f"no NVIDIA driver here: {error}: install it") from None
    count = ctypes.c_int(0)
    failed = cuda.cuInit(0) or cuda.cuDeviceGetCount(ctypes.byref(count))
    if failed or not count.value:
        visible = os.environ.get("CUDA_VISIBLE_DEVICES", "not set")
        message = f"no GPU to use (CUDA error {failed}, CUDA_VISIBLE_DEVICES {visible}): see nvidia-smi"
        raise ranks.Stop(ranks.UNAVAILABLE, message)
    uuids = [ctypes.create_string_buffer(16) for _ in range(count.value)]
    for device_id, uuid in enumerate(uuids):
        cuda.cuDeviceGetUuid(uuid, device_id)
    return [uuid.raw for uuid in uuids]


def choose_gpu(comm):
    """Return this rank's device_id: the first of its GPUs that no rank before it takes, on any server."""
    taken = {}
    for rank, gpus in enumerate(comm.allgather(visible_gpus())):  # Slurm may show each rank one of its own
        free = [uuid for uuid in gpus if uuid not in taken.values()]
        if not free:
            message = f"rank {rank}: all GPUs that it sees ({len(gpus)}) are other ranks': every rank needs its own"
            raise ranks.Stop(ranks.REFUSED, message)
        taken[rank] = free[0]
    return visible_gpus().index(taken[comm.rank])


def create_context(comm):
    """Return a Context for this rank's GPU; raise Stop (status 3 or 2) unless every rank can have one."""
    load_libraries()
    context = mslite.Context()
    # set GPU target and distributed info
    context.target = ["gpu"]
    seen = context.gpu.rank_id, context.gpu.group_size
    if seen != (comm.rank, comm.size):  # never two ranks with shard 0
        read = f"reads rank {seen[0]} of {seen[1]}, mpirun gave {comm.rank} of {comm.size}"
        message = f"mindspore_lite's GPU plug-in {read}: it needs the MPI of mpi4py (see [ERROR] lines above)"
        raise ranks.Stop(ranks.UNAVAILABLE, message)
    context.gpu.device_id = choose_gpu(comm)  # context.gpu.rank_id where all ranks see all GPUs of one server
    context.gpu.provider = "tensorrt"
    return context


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model_path", required=True, help="X.mindir where the shards are X0.mindir, X1.mindir, ...")
    parser.add_argument("--config_file", default="", help="mindspore_lite's configuration file (default: none)")
    return parser.parse_args()


def main():
    args = parse_arguments()
    comm = ranks.world()
    model_path = ranks.shard_path(args.model_path, comm.rank, comm.size)

    # init context
    context = create_context(comm)

    # create Model and build Model
    model = mslite.Model()
    model.build_from_file(model_path, mslite.ModelType.MINDIR, context, args.config_file)

    # set model input as ones
    inputs = model.get_inputs()
    for input_i in inputs:
        input_i.set_data_from_numpy(np.ones(input_i.shape, dtype=ranks.dtype(input_i)))
    # or as arrays of your own, the same on all ranks
    # inputs = ranks.fill(inputs, np_inputs)

    # execute inference
    outputs = model.predict(inputs)

    # get output and print
    print("\n".join(ranks.describe(outputs)) + "\n", end="", flush=True)


if __name__ == "__main__":
    ranks.run(main)
