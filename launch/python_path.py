"""PYTHONPATH: entries for another Python are left out, and one that breaks a rank is named.

    PYTHONPATH=$(python3 launch/python_path.py)

prints what is left of it, and on stderr what is left out.
"""

import os
import re
import sys

VARIABLE = "PYTHONPATH"


def entries():
    return [entry for entry in os.environ.get(VARIABLE, "").split(os.pathsep) if entry]


def is_foreign(entry, version):
    """Return whether a folder, such as /opt/lib/python3.11/site-packages, is for another Python than `version`."""
    found = re.findall(r"(?:^|/)python(\d+\.\d+)(?=/|$)", entry)
    return bool(found) and found[-1] != version


def blamed(lines):
    """Return which variable may have broken an import, judging by the end of its traceback, as a sentence: "" for none.

    That is PYTHONPATH if the traceback leads through one of its entries, LD_LIBRARY_PATH if a library is the wrong one.
    """
    found = os.pathsep.join(entry for entry in entries() if any(f'File "{entry}/' in line for line in lines))
    if found:
        return f"{VARIABLE} has {found}: is that for this Python? If not, leave it out"
    libraries = os.environ.get("LD_LIBRARY_PATH", "")
    if libraries and lines and re.search(r"ImportError: .*\.so\b", lines[-1]):
        return f"LD_LIBRARY_PATH is {libraries}: do these libraries fit? Leave out what doesn't"
    return ""


def main():
    version = "{}.{}".format(*sys.version_info)
    foreign = [entry for entry in entries() if is_foreign(entry, version)]
    if foreign:
        text = f"run.sh: {VARIABLE}: {os.pathsep.join(foreign)} isn't for Python {version}: left out\n"
        sys.stderr.buffer.write(os.fsencode(text))
    sys.stdout.buffer.write(os.fsencode(os.pathsep.join(entry for entry in entries() if entry not in foreign)))


if __name__ == "__main__":
    main()
