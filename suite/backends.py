"""Which back ends there are, how to recognize each, and which of them this machine has. Standard library only."""

import glob
import os
from typing import Dict, NamedTuple

import ranks
from ascend.devices import DEV


class Backend(NamedTuple):
    """A back end: its device files, the page that runs a rank on it, and how exact it is."""

    title: str
    devices: str  # the driver's device files, one per device; "" where none is needed
    page: str  # the module
    tolerances: Dict[str, float]  # largest allowed |result - expected| / max |expected| by dtype; others must be equal


BACKENDS = {  # `auto` takes the first that has a device
    # GE computes float32 in float16 unless the configuration says otherwise
    "ascend": Backend(
        "Ascend device", "davinci[0-9]*", "ascend_ge_distributed", {"float32": 1e-2, "float16": 1e-2, "bfloat16": 1e-2}
    ),
    # float32 products have TF32's 11 bits, as many as float16's: 4e-3 was seen on six blocks of attention
    "gpu": Backend(
        "NVIDIA GPU", "nvidia[0-9]*", "gpu_trt_distributed", {"float32": 1e-2, "float16": 1e-2, "bfloat16": 1e-2}
    ),
    "cpu": Backend(
        "CPU", "", "cpu_mpi_distributed", {"float16": 1e-2, "bfloat16": 1e-2, "float32": 1e-5, "float64": 1e-5}
    ),
}


def devices(name):
    """Return the device files of a back end, in order."""
    pattern = BACKENDS[name].devices
    return sorted(glob.glob(os.path.join(glob.escape(DEV), pattern))) if pattern else []


def find_backend(name="auto"):
    """Return (name, why) of the back end to run on; raise Stop (status 3) if the one asked for has no device here."""
    if name == "auto":
        for known in BACKENDS:
            if devices(known):
                return known, f"{devices(known)[0]} is here"
        absent = " and ".join(
            f"no {candidate.title} ({DEV}/{candidate.devices})" for candidate in BACKENDS.values() if candidate.devices
        )
        return "cpu", f"{absent} here"
    backend = BACKENDS[name]
    if backend.devices and not devices(name):
        missing = f"no {backend.title} here (no {DEV}/{backend.devices})"
        raise ranks.Stop(ranks.UNAVAILABLE, f"--backend {name}: {missing}: install its driver or use --backend cpu")
    return name, "as asked"
