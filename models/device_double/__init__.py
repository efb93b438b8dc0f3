"""A compile-only device double: with it MindSpore's GPU plug-in loads and compiles, but can't run anything.

MindSpore splits a net while it compiles it, but only for a GPU or an Ascend device. `ms.export` compiles and runs
nothing, so the functions of CUDA, cuBLAS, cuDNN, NCCL and the others, which the plug-in of MindSpore 2.0.0 is linked
with, only need to exist. This is a library that has all their names: gcc makes it from those that the plug-in needs. It
is neither a simulator nor a device:

- answers.json lists the functions that answer, with the reason for each: they count devices, hand out handles, take
  descriptions of shapes. None of them computes, copies or sends anything.
- Every other function ends the process with its own name on stderr.

It neither contains nor needs anything of NVIDIA's, and it touches no GPUs that are there.
"""

import ctypes
import glob
import hashlib
import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile

sys.path.append(os.path.join(os.path.dirname(os.path.abspath(__file__)), os.pardir, os.pardir))
from ranks import FAILED, UNAVAILABLE, Stop

PREFIX = "device double: "  # what its last words begin with
HERE = os.path.dirname(os.path.abspath(__file__))
BUILT = os.path.join(HERE, "built")  # git ignores it
VERSION = "2.0.0"  # of MindSpore
PLUGIN = ("libmindspore_gpu.so.11.6", "gpu/libcuda_ops.so.11", "gpu11.6/libnvidia_collective.so")  # in lib/plugin
FUNCTION = re.compile(r"(__cuda|cu|nccl|nvrtc)\w+")
LIBRARY = re.compile(r"lib(cu(?!da_ops)|nccl|nvrtc)\S+")
HEAD = """\
// made by models/device_double from the names that MindSpore's GPU plug-in asks for
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char nothing[4096];                    // what all handles point to
static size_t next = (size_t)0xdead << 48;    // no address of memory on any x86-64 processor

static void refuse(const char *name) {
  fprintf(stderr, "\\n%s%s was called: it would run something on a device, and there is none\\n", PREFIX, name);
  fflush(stderr);
  abort();
}

"""


def find_plugin():
    """Return MindSpore 2.0.0's plug-in files; raise Stop (status 3) if it or its GPU plug-in isn't there."""
    found = importlib.util.find_spec("mindspore")
    advice = "make an environment of Python 3.7 from requirements-export.txt (x86-64) and start with its python"
    if not found:
        version = ".".join(map(str, sys.version_info[:2]))
        raise Stop(UNAVAILABLE, f"no MindSpore for {sys.executable} (Python {version}): {advice}")
    with open(os.path.join(os.path.dirname(found.origin), "version.py")) as file:  # importing it takes seconds
        version = re.search(r"__version__ *= *['\"](.*)['\"]", file.read()).group(1)
    if version != VERSION:  # later ones have such a plug-in, too
        raise Stop(UNAVAILABLE, f"MindSpore {version} for {sys.executable}, but it takes {VERSION}: {advice}")
    folder = os.path.join(os.path.dirname(found.origin), "lib", "plugin")
    paths = [os.path.join(folder, name) for name in PLUGIN]
    missing = [path for path in paths if not os.path.isfile(path)]
    if missing:
        raise Stop(UNAVAILABLE, f"{missing[0]}: not there: {advice}")
    return paths


def needed_symbols(paths):
    """Return (functions, libraries) of CUDA, NCCL and so on that the plug-in's files need, both sorted."""
    try:
        from elftools.elf.elffile import ELFFile
    except ImportError as error:
        advice = f"{sys.executable} -m pip install -r requirements-export.txt"
        raise Stop(UNAVAILABLE, f"pyelftools can't be imported: {error}: {advice}") from None
    functions, libraries = set(), set()
    for path in paths:
        with open(path, "rb") as file:
            elf = ELFFile(file)
            tags = elf.get_section_by_name(".dynamic").iter_tags("DT_NEEDED")
            libraries.update(tag.needed for tag in tags if LIBRARY.fullmatch(tag.needed))
            symbols = elf.get_section_by_name(".dynsym").iter_symbols()
            undefined = (symbol.name for symbol in symbols if symbol["st_shndx"] == "SHN_UNDEF")
            functions.update(name for name in undefined if FUNCTION.fullmatch(name))
    return sorted(functions), sorted(libraries)


def read_answers():
    """Return the rows of answers.json: [regular expression of names, C parameters, C statements, reason]."""
    with open(os.path.join(HERE, "answers.json"), encoding="utf-8") as file:
        return json.load(file)[1:]


def make_source(functions):
    """Return the C source of the double: the functions of answers.json answer, all others end the process."""
    lines = [HEAD.replace("PREFIX", json.dumps(PREFIX))]
    for name in functions:
        found = [entry for entry in read_answers() if re.fullmatch(entry[0], name)]
        if len(found) > 1:
            raise Stop(
                FAILED, f"answers.json: {name} has {len(found)} answers, {found[0][0]} and {found[1][0]}: keep one"
            )
        if found:
            _, parameters, answer, _ = found[0]
            lines.append(f"int {name}({parameters}) {{ {answer + '; ' if answer else ''}return 0; }}")
        else:
            lines.append(f'void {name}(void) {{ refuse("{name}"); }}')
    return "\n".join(lines) + "\n"


def compile_to(folder, functions, libraries):
    """Make the double in the folder, and beside it an empty library for each name that the plug-in loads."""
    code, empty = os.path.join(folder, "double.c"), os.path.join(folder, "empty.c")
    with open(code, "w", encoding="utf-8") as file:
        file.write(make_source(functions))
    open(empty, "w").close()
    start = [shutil.which("gcc"), "-shared", "-fPIC", "-o"]
    for name, path in (("libdevice_double.so", code), *((library, empty) for library in libraries)):
        done = subprocess.run(
            [*start, os.path.join(folder, name), path, f"-Wl,-soname,{name}"],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False,
        )  # fmt: skip
        if done.returncode:
            printed = " ".join(done.stdout.decode(errors="replace").split())[:300]
            raise Stop(
                UNAVAILABLE, f"gcc can't make {name} (status {done.returncode}): {printed}: fix that and start again"
            )


def build():
    """Return the folder with the double; make it the first time. Raises Stop (status 3) for what is missing."""
    paths = find_plugin()
    known = hashlib.sha256()
    for path in (os.path.join(HERE, "answers.json"), __file__):
        with open(path, "rb") as file:
            known.update(file.read())
    for path in paths:
        known.update(f"{path} {os.path.getsize(path)}".encode())
    folder = os.path.join(BUILT, known.hexdigest()[:16])
    if os.path.isdir(folder):
        return folder
    if not shutil.which("gcc"):
        raise Stop(UNAVAILABLE, "no gcc, which the device double is built with: Debian: apt install gcc libc6-dev")
    functions, libraries = needed_symbols(paths)
    try:
        os.makedirs(BUILT, exist_ok=True)
        temporary = tempfile.mkdtemp(dir=BUILT)
    except OSError as error:
        raise Stop(UNAVAILABLE, f"{BUILT}: {error.strerror}: the device double is built there, once") from None
    try:
        compile_to(temporary, functions, libraries)
        os.chmod(temporary, 0o755)
        os.rename(temporary, folder)
    except OSError:
        if not os.path.isdir(folder):  # if it is, another start was faster
            raise
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return folder


def load(folder):
    """Load the double into this process before MindSpore, which then takes it for NVIDIA's libraries."""
    ctypes.CDLL(os.path.join(folder, "libdevice_double.so"), ctypes.RTLD_GLOBAL)
    for path in glob.glob(os.path.join(folder, "lib*.so.*")):
        ctypes.CDLL(path, ctypes.RTLD_GLOBAL)
