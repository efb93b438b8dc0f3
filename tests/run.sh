#!/usr/bin/env bash
# All tests but the slow ones, in a clone with nothing prepared: setup, style, pytest. Arguments go to pytest.
#
#   tests/run.sh                           all of it
#   tests/run.sh tests/test_mindir.py -x   one file
#   tests/run.sh -m slow                   what takes minutes
[ -n "${BASH_VERSION:-}" ] || exec bash "$0" "$@"
set -euo pipefail
unset CDPATH
cd "$(dirname "$0")/.."
# shellcheck source=run.sh
. ./run.sh
unset PYTHON
# shellcheck disable=SC2034  # set_up_python reads it: the tests run in .venv, whatever Python has mindspore_lite here
own_python=yes
set_up_python

exec 9<"$here"
flock 9
python37=$(find_python37)
make_environment .venv-export tests/requirements-export.txt "$python37" & # MindSpore, about 3 GB, beside the others
if ! cmp -s requirements-dev.txt .venv/installed-dev; then
  show_message "installing requirements-dev.txt into .venv, once"
  "$python" -m pip --disable-pip-version-check install -q -r requirements-dev.txt
  # another MPI, whose mpirun has to be recognised as the wrong one; in a folder of its own, as both have an mpirun
  "$python" -m pip --disable-pip-version-check install -q --prefix .venv/mpich mpich==5.0.2
  cp requirements-dev.txt .venv/installed-dev
fi
if ! cmp -s requirements-gpu.txt .venv/gpu/installed; then
  show_message "installing requirements-gpu.txt into .venv/gpu, once: NVIDIA's libraries, 3 GB"
  "$python" -m pip --disable-pip-version-check install -q --prefix .venv/gpu -r requirements-gpu.txt
  cp requirements-gpu.txt .venv/gpu/installed
fi
examples/serve --only_install
if ! cmp -s tests/requirements-serve.txt .venv-serve/installed-client; then
  .venv-serve/bin/uv pip install -q --python .venv-serve/bin/python -r tests/requirements-serve.txt
  cp tests/requirements-serve.txt .venv-serve/installed-client
fi
wait $! || die 3 "installing tests/requirements-export.txt failed, for the reason above"
exec 9<&-

.venv/bin/ruff check --quiet .
.venv/bin/ruff format --quiet --check .
.venv/bin/shellcheck -x run.sh tests/run.sh benchmarks/*.sh examples/serve .ci/run
mark=(-m 'not slow and not gpu')
case " $* " in *' -m '*) mark=() ;; esac
# each file on one worker; three workers on two cores, as tests wait more than they compute
exec "$python" -m pytest -c tests/pytest.ini --rootdir=tests -n 3 --dist loadfile "${mark[@]}" "${@:-tests}"
