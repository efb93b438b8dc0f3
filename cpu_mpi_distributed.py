"""One rank on a CPU: mindspore_lite runs what is between the collectives, MPI does the collectives.

    mpirun -n 2 python3 cpu_mpi_distributed.py --model_path=models/Matmul.mindir

mpirun gives every process its rank. Each rank inserts its number into the path: rank 1 loads models/Matmul1.mindir.

To copy this page, take ranks.py, mindir/ and suite/ along: mindspore_lite has no collectives on the CPU, so the Model
is one of suite/'s. It is used like mslite.Model, and the shards are those that run on Ascend and on NVIDIA GPUs.
"""

import argparse
import os

import mindspore_lite as mslite
import numpy as np

import ranks
from suite.cpu_model import Model


def create_context(comm):
    """Return a Context for the CPU, with as many threads as there are cores for each rank."""
    from mpi4py import MPI  # as ranks.world() started it

    cores = os.sched_getaffinity(0)
    server = comm.Split_type(MPI.COMM_TYPE_SHARED)  # the ranks on this server
    sharing = sum(bool(cores & others) for others in server.allgather(cores))
    context = mslite.Context()
    context.target = ["cpu"]
    context.cpu.thread_num = max(1, len(cores) // sharing)
    context.cpu.inter_op_parallel_num = 1
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
    model = Model(comm)
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
