"""Start one process per rank, watch over all of them, and end them together: the second half of run.sh.

    options    the command line; python3 launch/options.py WORDS... refuses what can't be right before anything is made
    around     what run.sh is started by: another launcher, and the environment with Open MPI's variables
    hostfile   lists of servers, in any of the usual forms
    python_path  PYTHONPATH, without the entries of another Python
    command    what starts the ranks: mpirun, srun, or (Ascend) this launcher itself
    guard      one rank's parent: it sees how the rank ends, whatever happens in it, and enforces a limit for each step
    stream     how a guard's messages get through mpirun to the launcher in one piece
    watch      follows all ranks, decides what went wrong first, and ends the job
    progress   of many predicts: count, rate, time left
    screen     what is shown on the terminal, however slowly it is read
    processes  finding and ending everything that a job started

It needs nothing but Linux and Python's standard library, because it starts before NumPy could be imported.
"""
