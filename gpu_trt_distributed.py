"""One rank on an NVIDIA GPU: TensorRT runs the rank's shard, NCCL its collectives.

    mpirun -n 2 python3 gpu_trt_distributed.py --model_path=models/Matmul.mindir

mpirun gives every process its rank; on one server the rank is the device, too (of those in CUDA_VISIBLE_DEVICES). Each
rank inserts its number: rank 1 loads models/Matmul1.mindir.
"""

import ctypes
import glob
import os
import sys

import mindspore_lite as mslite
import mpi4py

import inference

mpi4py.rc.initialize = False  # inference.world() does, after a look at who started this process
mpi4py.rc.finalize = True
from mpi4py import MPI  # noqa: E402  (reads the two settings)

LIBRARIES = (  # in the order in which they need each other
    *("libcudart.so.11.0", "libcublasLt.so.11", "libcublas.so.11", "libcurand.so.10", "libnccl.so.2", "libcudnn.so.8"),
    *("libnvinfer.so.8", "libnvinfer_builder_resource.so.8.5.3"),
)
# TensorRT computes float32 products with TF32's 11 bits, as many as float16's: 4e-3 was seen on six blocks of attention
TOLERANCE = {"float32": 1e-2, "float16": 1e-2}
LOCKED = set()  # addresses of arrays whose pages are locked


def load_libraries():
    """Load what mindspore_lite's GPU plug-in needs: from the loader's path, else from where pip installs it.

    Raises Stop (status 3) with the loader's reason where the plug-in doesn't load.
    """
    for name in LIBRARIES:
        pip = [path for folder in sys.path for path in glob.glob(f"{folder}/nvidia/*/lib/{name}")]
        pip += [path for folder in sys.path for path in glob.glob(f"{folder}/tensorrt/{name}")]
        for path in [name, *pip]:
            try:
                ctypes.CDLL(path, ctypes.RTLD_GLOBAL)
                break
            except OSError:
                continue
    try:
        ctypes.CDLL(os.path.join(os.path.dirname(mslite.__file__), "lib", "libtensorrt_plugin_python.so"))
    except OSError as error:
        advice = f"{sys.executable} -m pip install -r requirements-gpu.txt"
        message = f"mindspore_lite's GPU plug-in doesn't load: {error}: {advice}"
        raise inference.Stop(inference.UNAVAILABLE, message) from None


def count_devices():
    """Return how many GPUs this process may use; raise Stop (status 3) where there is no driver or no GPU."""
    count = ctypes.c_int(0)
    try:
        cuda = ctypes.CDLL("libcuda.so.1")
    except OSError as error:
        raise inference.Stop(inference.UNAVAILABLE, f"no NVIDIA driver here: {error}: install it") from None
    failed = cuda.cuInit(0) or cuda.cuDeviceGetCount(ctypes.byref(count))
    if failed or not count.value:
        visible = os.environ.get("CUDA_VISIBLE_DEVICES", "not set")
        message = f"no GPU to use (CUDA error {failed}, CUDA_VISIBLE_DEVICES {visible}): see nvidia-smi"
        raise inference.Stop(inference.UNAVAILABLE, message)
    return count.value


def create_context(comm):
    """Return a Context for this rank's GPU; raise Stop (status 3 or 2) where the ranks can't all have one."""
    here = comm.Split_type(MPI.COMM_TYPE_SHARED)  # the ranks on this server; first, for it waits for all of them
    load_libraries()
    context = mslite.Context()
    # set GPU target and distributed info
    context.target = ["gpu"]
    seen = context.gpu.rank_id, context.gpu.group_size
    if seen != (comm.rank, comm.size):  # never two ranks with shard 0
        ranks = f"reads rank {seen[0]} of {seen[1]}, mpirun gave {comm.rank} of {comm.size}"
        message = f"mindspore_lite's GPU plug-in {ranks}: it needs the MPI of mpi4py (see [ERROR] lines above)"
        raise inference.Stop(inference.UNAVAILABLE, message)
    devices = count_devices()
    if here.size > devices:
        visible = os.environ.get("CUDA_VISIBLE_DEVICES", "not set")
        message = f"{here.size} ranks on this server, {devices} GPUs (CUDA_VISIBLE_DEVICES {visible})"
        raise inference.Stop(inference.REFUSED, f"{message}: every rank needs one of its own")
    context.gpu.device_id = here.rank  # which is context.gpu.rank_id where there is one server
    context.gpu.provider = "tensorrt"
    return context


def lock(arrays):
    """Lock the arrays' pages in memory, so that the GPU reads and writes them itself: they must be there to the end.

    Of outputs they are after inference.keep_memory(): later predicts write to the same pages. Small arrays stay as they
    are; what can't be locked is slower, and as right.
    """
    try:
        cudart = ctypes.CDLL("libcudart.so.11.0")
    except OSError:
        return
    for array in arrays:
        address, size = array.ctypes.data, array.nbytes
        if size >= 1 << 16 and address not in LOCKED:
            LOCKED.add(address)
            cudart.cudaHostRegister(ctypes.c_void_p(address), ctypes.c_size_t(size), 0)
            cudart.cudaGetLastError()  # so that mindspore_lite doesn't take it for its own


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
    context = inference.together(comm, create_context, comm)
    model_path = inference.shard_path(args.model_path, comm)

    # create Model and build Model
    model = mslite.Model()
    model.build_from_file(model_path, mslite.ModelType.MINDIR, context, args.config_file)

    # set model input as ones
    inputs = model.get_inputs()
    inputs, arrays = inference.fill_inputs(model, inputs)

    # let the GPU read them where they are, and keep the memory of the outputs: faster, no more
    lock(arrays)
    inference.keep_memory()

    # execute inference
    outputs = model.predict(inputs)

    # get output and print
    inference.print_outputs(outputs, comm)


if __name__ == "__main__":
    inference.run(main, inference.world(MPI))
