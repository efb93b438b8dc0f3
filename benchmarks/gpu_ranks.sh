#!/usr/bin/env bash
# Everything that a machine with N GPUs is asked, in one run of ten minutes at most.
#
#   benchmarks/gpu_ranks.sh N FOLDER RESULTS
#
# FOLDER has one folder per set, each with the unsharded X.mindir and N shards beside it, and in.npz where ones won't do:
#
#   models/export_matmul.py --ranks N --output FOLDER/product/Matmul.mindir
#   models/export_minilm.py --ranks N --output FOLDER/minilm/MiniLM.mindir
#   models/export_smollm.py --ranks N --only decode --output FOLDER/decode/SmolLM2.mindir
#   cp -r tests/fixtures/splits/conv_auto_recursive_programming_N FOLDER/split
#
# and minilm_1, minilm_2 for the memory of fewer ranks. RESULTS gets starts.md, memory.txt, kills.txt. With BACKEND=cpu
# the same runs on CPU ranks, to try it where there are no GPUs.
set -euo pipefail
shopt -s nullglob
sets=$2 results=$3 backend=${BACKEND:-gpu}
here=$(cd "$(dirname "$0")/.." && pwd)
mkdir -p "$results"

unsharded() { # FOLDER: its X.mindir, whose shards are X0.mindir, ...
  local shards=("$1"/*0.mindir)
  [ ${#shards[@]} = 0 ] || echo "${shards[0]%0.mindir}.mindir"
}

start() { # FOLDER SECONDS: predict without end in the background, and wait so long
  model=$(unsharded "$1")
  "$here/run.sh" "--backend=$backend" "--model_path=$model" --check=off --repeat=1000000000 "--log_dir=$results/logs" \
    >"$results/log" 2>&1 &
  sleep "$2"
}

ranks_of() { # MODEL: the process ids of the ranks that run it, without what starts and watches them
  pgrep -f "^[^ ]*python[^ ]* [^ ]*main\.py.*--model_path=$1" || :
}

# five starts of each set, checked against the unsharded model
mapfile -t models < <(for set in product minilm split decode; do unsharded "$sets/$set"; done)
timeout 400 "${PYTHON:-$here/.venv/bin/python}" "$here/benchmarks/gpu.py" "${models[@]}" --starts=5 --timeout=100 \
  "--backend=$backend" >"$results/starts.md" || echo "a start failed: see $results/starts.md" >&2

# memory while it predicts, on 1, 2 and N ranks
for folder in "$sets"/minilm*; do
  start "$folder" 35
  {
    echo "$model:"
    nvidia-smi --query-gpu=index,memory.used --format=csv,noheader || :
    for pid in $(ranks_of "$model"); do grep -H -E 'VmHWM|VmRSS' "/proc/$pid/status" || :; done
  } >>"$results/memory.txt"
  kill $!
  wait $! || :
done

# a rank killed in the build and in a predict
for seconds in 4 30; do
  start "$sets/minilm" "$seconds"
  began=$(date +%s.%N) status=0
  kill -9 "$(ranks_of "$model" | tail -n 1)"
  wait $! || status=$?
  echo "rank killed after $seconds s: status $status after $(awk "BEGIN { print $(date +%s.%N) - $began }") s;" \
    "left: $(ranks_of "$model" | wc -l); $(grep -m 1 died "$results/log")" >>"$results/kills.txt"
done
