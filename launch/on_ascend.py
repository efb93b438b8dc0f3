"""Ascend: the launcher itself starts its server's ranks, as the rank table says; the servers meet through HCCL."""

from ascend import check, config, devices, server, table
from launch.command import start_process
from launch.processes import STARTERS
from ranks import REFUSED, Stop


def find_ranks(args, note):
    """Read the rank table; return ([(rank, its device_id here)], number of all ranks, [(other server, its ranks)]).

    note(line) is called with what may be wrong but isn't refused.
    """
    path = config.rank_table_file(args.config_file)
    if not path:
        advice = "write rank_table_file=... into [ascend_context]"
        raise Stop(REFUSED, f"{args.config_file}: names no rank table, which joins the ranks: {advice}")
    loaded = table.load(path)
    for line in (*config.notes(args.config_file), *(f"{path}: {line}" for line in check.notes(loaded))):
        note(line)
    mine = server.local_server(loaded, args.server_id)
    everyone = table.ranks(loaded)
    if args.ranks not in (None, len(everyone)):
        advice = "leave it out or make another rank table"
        raise Stop(REFUSED, f"{path} has {len(everyone)} ranks, but --ranks is {args.ranks}: {advice}")
    here, elsewhere = [rank for rank in everyone if rank.server_id == mine], {}
    for rank in everyone:
        if rank.server_id != mine:
            elsewhere.setdefault(rank.server_id, []).append(rank.rank_id)
    numbers = devices.device_ids(here, path)
    return [(rank.rank_id, number) for rank, number in zip(here, numbers)], len(everyone), sorted(elsewhere.items())


def start(args, command, environment, job, here, size):
    """Start the ranks of this server, which meet at the first of them; return their processes."""
    environment.update(LAUNCH_HUB=job, LAUNCH_HERE=",".join(str(rank) for rank, _ in here))
    processes = []
    for number, (rank, device) in enumerate(here):
        environment.update(zip(STARTERS[0], (str(rank), str(number), str(size))), LAUNCH_DEVICE=str(device))
        words = [] if args.program else [f"--rank_id={rank}", f"--device_id={device}"]
        processes.append(start_process([*command, *words], environment))
    return processes
