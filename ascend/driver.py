"""What the driver says of this server's devices: which there are, their addresses, their numbers in a SuperPod."""

import glob
import os
import re
import shutil
import subprocess

from ascend import Refused

DEVICE_FILES = "/dev/davinci[0-9]*"  # what the driver makes, one a device
HCCN_CONF = "/etc/hccn.conf"
TOOLS = "/usr/local/Ascend/driver/tools"  # where hccn_tool is; it's often not on the PATH


def existing_devices():
    """Return the numbers of this server's devices, ascending; raise Refused where there are none."""
    found = sorted(int(re.search("[0-9]+$", name).group()) for name in glob.glob(DEVICE_FILES))
    if not found:
        raise Refused(f"no device here (no {DEVICE_FILES}): install its driver, or name them with --devices")
    return found


def _answers(*command):
    """Return ({name: value} of the lines "name : value" that a command of the driver prints, its last line)."""
    program = shutil.which(command[0], path=os.pathsep.join((os.environ.get("PATH", ""), TOOLS)))
    if not program:
        return {}, "command not found"
    try:
        done = subprocess.run([program, *command[1:]], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=60)
        text = done.stdout.decode(errors="replace")
    except (OSError, subprocess.TimeoutExpired) as error:
        text = str(error)
    return dict(re.findall(r"^\s*([\w ]*\w)\s*:\s*(\S+)\s*$", text, re.M)), text.strip().split("\n")[-1]


def read_addresses(devices, conf=None):
    """Return {device: address} from the driver's configuration file or, for what that lacks, from hccn_tool."""
    path = HCCN_CONF if conf is None else conf
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            text, lacks = file.read(), "has none"
    except OSError as error:
        if conf is not None:
            raise Refused(f"--hccn_conf {conf}: can't be read: {error.strerror}") from None
        text, lacks = "", error.strerror
    found = {int(device): ip for device, ip in re.findall(r"^\s*address_([0-9]+)\s*=\s*(\S+)", text, re.M)}
    for device in devices:
        if device not in found:
            answers, last = _answers("hccn_tool", "-i", str(device), "-ip", "-g")
            if "ipaddr" not in answers:
                raise Refused(
                    f"no address of device {device}: {path}: {lacks}; hccn_tool -i {device} -ip -g: {last}: run as "
                    "root, set it with hccn_tool, or take --no_device_ip where --help allows it"
                )
            found[device] = answers["ipaddr"]
    return found


def read_super_device_ids(devices):
    """Return {device: SDID}, the numbers of this server's devices in their SuperPod, as npu-smi prints them."""
    found = {}
    for device in devices:  # an NPU of Atlas A3 is two devices; a wrong SDID wouldn't get past HCCL, which compares it
        command = ("npu-smi", "info", "-t", "spod-info", "-i", str(device // 2), "-c", str(device % 2))
        answers, last = _answers(*command)
        if "SDID" not in answers:
            raise Refused(f"no SDID of device {device}: {' '.join(command)}: {last}: give --super_device_ids")
        found[device] = answers["SDID"]
    return found
