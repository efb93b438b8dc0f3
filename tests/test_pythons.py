"""The suite's files are valid on every Python from 3.7 to 3.13 that is here."""

import os
import shutil
from pathlib import Path

import pytest
from conftest import ROOT, command


def pythons():
    """Return {version: interpreter} for those that pyenv, uv or the PATH have."""
    found = {}
    for version in ("3.7", "3.8", "3.9", "3.10", "3.11", "3.12", "3.13"):
        home = Path(os.environ.get("PYENV_ROOT", str(Path.home() / ".pyenv")))
        installed = [*home.glob(f"versions/{version}.*/bin/python"), shutil.which(f"python{version}")]
        for python in filter(None, installed):
            if command(python, "-c", "").returncode == 0:
                found[version] = python
    return found


@pytest.mark.parametrize("version, python", sorted(pythons().items()))
def test_every_file_compiles(version, python):
    rooms = ("launch", "suite", "mindir", "ascend", "models", "benchmarks", "examples")
    files = [file for folder in (".", *rooms) for file in ROOT.glob(f"{folder}/*.py")]
    program = "import sys\nfor name in sys.argv[1:]: compile(open(name, encoding='utf-8').read(), name, 'exec')"
    done = command(python, "-W", "error", "-c", program, *files)
    assert done.returncode == 0, done.stderr
