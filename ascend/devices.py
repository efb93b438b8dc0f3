"""Device numbers: which device_id a process needs for a device that the rank table names.

A device has three numbers:

- physical: the number on the whole server, which is in rank tables. HCCL asks the driver for the physical number of the
  process's device and compares (topoinfo_ranktableConcise.cc: "ranktable config devId[1],but local devId[3]").
- the container's: the devices whose files are mounted, counted from 0 in the order of their physical numbers. A
  server's devices 3 to 7 are a container's 0 to 4 (measured on CANN in github.com/vllm-project/vllm-ascend, pull
  request 16256 and issue 16309; in issue 2618, with 4 and 7 mounted, HCCL wants 4 and 7 in the table). With all of them
  mounted, or without a container, it is the physical one.
- the process's: the place in ASCEND_RT_VISIBLE_DEVICES, whose numbers are the container's (CANN's reference of
  environment variables: "logical ID"); without the variable it is the container's. aclrtSetDevice takes it, and so does
  mindspore_lite's context.ascend.device_id.
"""

import os
import re

from ascend import Refused

DEV = os.environ.get("LAUNCH_DEV", "/dev")  # where the driver makes device files; tests use another folder
VARIABLE = "ASCEND_RT_VISIBLE_DEVICES"


def mounted():
    """Return the physical numbers of the devices whose files are here, a list of int, ascending."""
    files = os.listdir(DEV) if os.path.isdir(DEV) else []
    return sorted(int(file[7:]) for file in files if re.fullmatch("davinci[0-9]{1,9}", file))


def visible(count):
    """Return the container's numbers, of `count`, that CANN lets this process see, in the process's order.

    CANN reads the variable up to the first item that isn't a device's number: 1 in "1, 2", 1 and 3 in "1,3,8".
    """
    text = os.environ.get(VARIABLE, "")
    if not text:
        return list(range(count))
    numbers = [int(number) for number in re.match("(?:[0-9]{1,9}(?:,[0-9]{1,9})*)?", text).group().split(",") if number]
    wrong = [place for place, number in enumerate(numbers) if number >= count]
    return numbers[: wrong[0]] if wrong else numbers


def device_ids(ranks, name):
    """Return the device_id of each of this server's ranks, a list of int in the order given.

    ranks: those of table.ranks() on this server; name: the table's file, for messages. Raises Refused, with both
    numbers, if a rank's device isn't here or this process can't see it.
    """
    here = mounted()
    seen = visible(len(here))
    found = []
    for rank in ranks:
        on = f"{name}: rank {rank.rank_id} is on device {rank.device_id}"
        if rank.device_id not in here:
            listed = ", ".join(map(str, here)) or "none"
            raise Refused(
                f"{on}, but there is no {DEV}/davinci{rank.device_id} (here: {listed}): correct the rank table, "
                "which has the server's own numbers, even inside a container"
            )
        number = here.index(rank.device_id)
        if number not in seen:
            wanted = ",".join(
                str(here.index(server_rank.device_id)) for server_rank in ranks if server_rank.device_id in here
            )
            read = ",".join(map(str, seen)) or "nothing"
            raise Refused(
                f"{on}, number {number} of the {len(here)} here, but {VARIABLE} is {os.environ[VARIABLE]}, of which "
                f"CANN reads {read}: it counts the devices here from 0: set it to {wanted}, or unset it"
            )
        found.append(seen.index(number))
    return found
