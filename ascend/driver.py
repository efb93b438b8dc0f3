"""What the driver says about this server's devices: their addresses and their numbers in a SuperPod."""

import ipaddress
import os
import re
import shutil
import subprocess

from ascend import Refused
from ascend.check import is_ip

HCCN_CONF = "/etc/hccn.conf"
SET = "set it with hccn_tool -i {} -ip -s address ADDRESS netmask NETMASK"
TOOLS = "/usr/local/Ascend/driver/tools"  # where hccn_tool is; it's often not on the PATH


def _answers(*command):
    """Return ({name: value} of the lines "name : value" that a command of the driver prints, its last line)."""
    program = shutil.which(command[0], path=os.pathsep.join((os.environ.get("PATH", ""), TOOLS)))
    if not program:
        return {}, "command not found"
    try:
        done = subprocess.run([program, *command[1:]], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=20)
        text = done.stdout.decode(errors="replace")
    except (OSError, subprocess.TimeoutExpired) as error:
        text = str(error)
    return dict(re.findall(r"^\s*([\w ]*\w)\s*:\s*(\S+)\s*$", text, re.M)), text.strip().split("\n")[-1]


def read_addresses(devices, conf=None):
    """Return {device: address} of the devices, a list of int.

    They are read from conf if it is given; otherwise from /etc/hccn.conf and hccn_tool, which have to agree. Raises
    Refused if a device has none, or if an address can't be right, with the source of that address.
    """
    path = HCCN_CONF if conf is None else conf
    lines, lacks = _configured(path, conf is not None)
    found = {}  # {device: (address, who says so)}
    for device in devices:
        command = f"hccn_tool -i {device} -ip -g"
        answers, last = _answers(*command.split()) if conf is None or device not in lines else ({}, "")
        sources = [lines[device]] if device in lines else []
        sources += [(answers["ipaddr"], command)] if "ipaddr" in answers else []
        if not sources:
            raise Refused(
                f"no address for device {device}: {path}: {lacks}; {command}: {last}: run as root, mount both into a "
                "container, set it with hccn_tool, or give --no_device_ip where --help allows it"
            )
        for address, who in sources:
            if not is_ip(address) or not int(ipaddress.ip_address(address)):
                raise Refused(f"{who}: {address} isn't the address of a device: {SET.format(device)}")
        if len({address for address, _ in sources}) > 1:
            both = " but ".join(f"{address} in {who}" for address, who in sources)
            raise Refused(f"device {device} has {both}: HCCL can't connect: correct one, or give --hccn_conf FILE")
        found[device] = sources[0]
    for device, (address, who) in found.items():
        first, source = next((number, other[1]) for number, other in found.items() if other[0] == address)
        if first != device:
            raise Refused(f"{who}: {address} is device {first}'s, too ({source}): {SET.format(device)}")
    return {device: address for device, (address, _) in found.items()}


def _configured(path, needed):
    """Return ({device: (address, "PATH:LINE")}, why it lacks others) of a file like /etc/hccn.conf."""
    try:
        with open(path, encoding="utf-8-sig", errors="replace") as file:
            lines = file.read().splitlines()
    except OSError as error:
        if needed:
            raise Refused(f"--hccn_conf {path}: can't be read: {error.strerror}") from None
        return {}, error.strerror
    found = {}
    for number, line in enumerate(lines, 1):
        match = re.match(r"\s*address_([0-9]+)\s*=\s*(\S+)", line)
        if match:
            found[int(match.group(1))] = match.group(2), f"{path}:{number}"
    return found, "has none"


def read_super_device_ids(devices):
    """Return {device: SDID}, the numbers of this server's devices in their SuperPod, as npu-smi prints them."""
    found = {}
    for device in devices:  # an NPU of Atlas A3 is two devices; a wrong SDID wouldn't get past HCCL, which compares it
        command = ("npu-smi", "info", "-t", "spod-info", "-i", str(device // 2), "-c", str(device % 2))
        answers, last = _answers(*command)
        if "SDID" not in answers:
            raise Refused(f"no SDID for device {device}: {' '.join(command)}: {last}: give --super_device_ids")
        if not re.fullmatch("[0-9]+", answers["SDID"]):
            raise Refused(f"{' '.join(command)}: {answers['SDID']} isn't an SDID, a number: give --super_device_ids")
        found[device] = answers["SDID"]
    return found
