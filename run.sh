#!/usr/bin/env bash
# Run a distributed model, one process per rank, and check the result against the unsharded model.
#
#   ./run.sh                                                    # models/Matmul, on what this machine has
#   ./run.sh --model_path=models/Matmul.mindir --backend=cpu --repeat=100
#   ./run.sh --ranks=2 mine.py --my_option                      # a program of yours, under the same watch
#   ./run.sh --help                                             # all options
#
# Everything that the ranks need is installed once, into .venv beside this file, unless $PYTHON (or python3) already
# has mindspore_lite; launch/ then starts the ranks. Exit status: 0 right, 1 a rank failed, 2 wrong arguments or files,
# 3 back end not available, 4 wrong result, 124 a step took too long, 128 + N signal N ended a rank or this script.
[ -n "${BASH_VERSION:-}" ] || exec bash "$0" "$@" # sh run.sh, where sh is another shell
set -euo pipefail
set +o posix # sh run.sh, where sh is bash
unset CDPATH # or cd would print
here=${BASH_SOURCE[0]}
[ ! -L "$here" ] || here=$(readlink -f "$here") # a link to it, in a folder of the PATH
here=$(cd "$(dirname "$here")" && pwd)

show_message() { echo "run.sh: $*" >&2; }
die() { # STATUS MESSAGE...
  show_message "${@:2}"
  exit "$1"
}

# Python must import nothing from the caller's folder, where a program given with -c would look first
runs() { { "$1" -c ''; } 2>/dev/null; }
why_not() { # PYTHON: why it doesn't run, in one line of its own or of the loader
  local printed
  printed=$("$1" -c '' 2>&1) || :
  grep -m 1 -i -e error -e cannot -e denied -e 'no such' <<<"$printed" || tail -n 1 <<<"$printed"
}
can_import() { "$1" -c 'import importlib, sys; del sys.path[0]; importlib.import_module(sys.argv[1])' "$2" >/dev/null 2>&1; }
has_lite() { can_import "$1" mindspore_lite; }
# why a mindspore_lite that is there can't be imported; nothing where there is none
broken_lite() {
  "$1" -c 'import importlib.util, sys; del sys.path[0]
if importlib.util.find_spec("mindspore_lite"):
    try: import mindspore_lite
    except BaseException as error: print(type(error).__name__ + ":", *str(error).split())' 2>/dev/null || :
}
user_name() { # the number of a user who has no name
  local name
  name=$(id -un 2>/dev/null) || name=$(id -u)
  echo "$name"
}
is_37() { [ "$("$1" -c 'import sys; print(sys.version_info[:2] == (3, 7))' 2>/dev/null)" = True ]; }

# Print the path of a Python 3.7, the only version that PyPI has mindspore-lite for.
find_python37() {
  local python37
  for python37 in ${PYTHON:+"$PYTHON"} python3.7 python3 "${PYENV_ROOT:-${HOME:-}/.pyenv}"/versions/3.7*/bin/python \
    "${XDG_DATA_HOME:-${HOME:-}/.local/share}"/uv/python/cpython-3.7*/bin/python3 "$here"/.uv/python/cpython-3.7*/bin/python3; do
    if is_37 "$python37"; then
      "$python37" -c 'import sys; print(sys.base_prefix + "/bin/python3.7")' # not .venv's own, if that is active
      return
    fi
  done
  show_message "no Python 3.7 here: fetching one with uv into .uv"
  # uv 0.6 is the last version that knows Python 3.7
  if ! (cd "$here" && python3 -m venv .uv && .uv/bin/pip install -q uv==0.6.17 &&
    UV_PYTHON_INSTALL_DIR=$here/.uv/python timeout 600 .uv/bin/uv python install 3.7) >&2; then
    die 3 "no Python 3.7, the only one that PyPI has mindspore-lite for, and uv could not fetch one. Install it with" \
      "pyenv (pyenv install 3.7), conda (conda create -n py37 python=3.7), uv 0.6 (uv python install 3.7) or the" \
      "system's packages and start again, with PYTHON=/path/to/python3.7 if it isn't found; or set PYTHON to a Python" \
      "that has the vendor's mindspore_lite"
  fi
  is_37 "$here"/.uv/python/cpython-3.7*/bin/python3 || die 3 "the Python that uv fetched doesn't run"
  echo "$here"/.uv/python/cpython-3.7*/bin/python3
}

# Make .venv with the Python $1; stop at the first step that fails.
install_venv() (
  pip=("$here/.venv/bin/python" -m pip --disable-pip-version-check install)
  cd "$here" && show_message "installing what the ranks need into .venv, once (about 2 minutes)" &&
    "$1" -m venv --clear "$here/.venv" &&
    "${pip[@]}" -q --upgrade 'pip<24.1' &&
    show_message "1/2 mindspore-lite, NumPy, protobuf, Open MPI" &&
    grep -v '^mpi4py' "$here/requirements.txt" | "${pip[@]}" -r /dev/stdin &&
    show_message "2/2 mpi4py, built for that Open MPI: a minute or two" &&
    PATH=$here/.venv/bin:$PATH "${pip[@]}" --no-cache-dir --no-binary mpi4py -r "$here/requirements.txt" &&
    cp "$here/requirements.txt" "$here/.venv/installed"
)

# Set $python to the interpreter that runs the ranks; make .venv if nothing here has mindspore_lite yet.
set_up_python() {
  local found reason machine
  if [ -n "${PYTHON:-}" ]; then
    runs "$PYTHON" || die 3 "PYTHON=$PYTHON doesn't run: $(why_not "$PYTHON")${LD_LIBRARY_PATH:+ (LD_LIBRARY_PATH=$LD_LIBRARY_PATH)}: correct or unset it"
    if has_lite "$PYTHON"; then
      python=$PYTHON
      return
    fi
    reason=$(broken_lite "$PYTHON")
    [ -z "$reason" ] || die 3 "PYTHON=$PYTHON can't import its mindspore_lite: $reason"
    is_37 "$PYTHON" ||
      die 3 "PYTHON=$PYTHON has no mindspore_lite, and isn't a Python 3.7 to install it for: correct or unset it"
  fi
  python=$here/.venv/bin/python
  if cmp -s "$here/requirements.txt" "$here/.venv/installed"; then
    runs "$python" || die 3 "$python doesn't run for $(user_name): $(why_not "$python")${LD_LIBRARY_PATH:+ (LD_LIBRARY_PATH=$LD_LIBRARY_PATH)}: if another" \
      "user made .venv, its Python is where only that user can read it: remove .venv and start again"
    return
  fi
  if [ -z "${PYTHON:-}${own_python:-}" ]; then
    if has_lite python3; then
      python=python3
      return
    fi
    reason=$(broken_lite python3)
    [ -z "$reason" ] || [ "${backend:-}" != ascend ] || die 3 "python3 can't import its mindspore_lite: $reason"
    [ -z "$reason" ] || show_message "python3 can't import its mindspore_lite ($reason): using .venv's"
  fi
  machine=$(uname -m 2>/dev/null) || machine=${HOSTTYPE:-}
  [ "$machine" = x86_64 ] ||
    die 3 "this is $machine, and PyPI has Open MPI 4.1.8 for x86_64 only: set PYTHON to a Python that has mindspore_lite:" \
      "the vendor's for Ascend, for CPU ranks also mpi4py with an MPI of your own"
  [ ! -L "$here/.venv" ] || # clearing it would remove it for all who use it
    die 3 "$here/.venv is a link to $(readlink -f "$here/.venv"), which doesn't have what requirements.txt here asks for:" \
      "start the suite that it belongs to, or remove the link"
  [ -w "$here" ] || die 3 "$(user_name) can't write to $here, where .venv has to be made"
  [[ $here != *[[:space:]]* ]] || die 3 "'$here' has a space in it, where mpi4py can't be built: move the suite"
  exec 9<"$here" # two starts at once: one of them installs, the other waits
  flock -n 9 || { show_message "another start is installing: waiting for it" && flock 9; }
  if ! cmp -s "$here/requirements.txt" "$here/.venv/installed"; then
    found=$(find_python37)
    command -v gcc >/dev/null || die 3 "no C compiler (gcc), which mpi4py is built with (Debian: apt install gcc libc6-dev)"
    install_venv "$found" >&2 || die 3 "installing into .venv failed, for the reason above: fix that and start again"
  fi
  exec 9<&-
}

# Make another environment from a requirements file, once: what the tests and the benchmarks need besides .venv.
make_environment() { # FOLDER REQUIREMENTS PYTHON
  cmp -s "$2" "$1/installed" && return
  show_message "installing $2 into $1, once"
  "$3" -m venv --clear "$1" && "$1/bin/python" -m pip --disable-pip-version-check install -q -r "$2" && cp "$2" "$1/installed"
}

# For GPU ranks: NVIDIA's libraries into .venv, unless the GPU plug-in loads without them.
set_up_gpu() {
  local load="import sys; sys.path[0] = sys.argv[1]; import gpu_trt_distributed as gpu; gpu.load_libraries()"
  if cmp -s "$here/requirements-gpu.txt" "$here/.venv/installed-gpu" || "$python" -c "$load" "$here" 2>/dev/null; then
    return
  fi
  [ "$python" = "$here/.venv/bin/python" ] || return 0 # another Python isn't changed: the ranks say what is missing
  exec 9<"$here"
  flock -n 9 || { show_message "another start is installing: waiting for it" && flock 9; }
  show_message "installing TensorRT, CUDA 11 and NCCL into .venv, once (3 GB)"
  (cd "$here" && "$python" -m pip --disable-pip-version-check install -r requirements-gpu.txt) >&2 ||
    die 3 "installing into .venv failed, for the reason above: fix that and start again"
  cp "$here/requirements-gpu.txt" "$here/.venv/installed-gpu"
  exec 9<&-
}

# Set $backend, or refuse what can't be right, before anything is installed or made.
read_options() {
  local any
  for any in "$here/.venv/bin/python" ${PYTHON:+"$PYTHON"} python3; do
    if runs "$any"; then
      # what it prints is shown; the back end that it has found comes through a pipe
      { backend=$("$any" -IS "$here/launch/options.py" "$@" 3>&1 >&4 4>&-) || exit $?; } 4>&1
      [ -n "$backend" ] || exit 0 # --help
      return
    fi
  done
  set_up_python # says what is missing, or makes .venv
  read_options "$@"
}

main() {
  export PATH # in an empty environment bash has one that it doesn't pass on
  unset PYTHONINSPECT # else Python would wait for input at its end
  unset LAUNCH_FOLDER LAUNCH_RANK LAUNCH_LOCAL_RANK LAUNCH_SIZE # in case a rank starts a job of its own
  pwd -P >/dev/null 2>&1 || die 2 "the current folder has been removed: cd to one that is there"
  [ -e /dev/fd/1 ] || die 2 "stdout is closed: there is nowhere to show the results"
  [[ ${PYTHON:-} != */* ]] || PYTHON=$(cd "$(dirname "$PYTHON")" && pwd)/$(basename "$PYTHON")
  if [ -n "${PYTHONHOME:-}" ] && [ -z "${PYTHON:-}" ]; then
    show_message "PYTHONHOME=$PYTHONHOME is another Python's: left out"
    unset PYTHONHOME
  fi
  read_options "$@"
  set_up_python
  if [ -n "${PYTHONPATH:-}" ]; then
    PYTHONPATH=$("$python" -IS "$here/launch/python_path.py") || exit
  fi
  can_import "$python" google.protobuf ||
    die 3 "$python has mindspore_lite but not protobuf, which mindir/ reads shards with: $python -m pip install protobuf"
  [ "$backend" != gpu ] || set_up_gpu
  exec "$python" "$here/launch" "$@"
}

# tests/run.sh, benchmarks/run.sh and examples/serve read this file for its functions
[ "${BASH_SOURCE[0]}" != "$0" ] || main "$@"
