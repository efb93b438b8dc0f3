#!/usr/bin/env bash
# Everything that a machine with N GPUs is asked, in one run of ten minutes at most.
#
#   benchmarks/gpu_ranks.sh N FOLDER RESULTS
#
# FOLDER has one folder per set, each with the unsharded X.mindir and N shards beside it, and in.npz where ones won't do (make the folders first):
#
#   models/export_matmul.py --ranks N --output FOLDER/product/Matmul.mindir
#   models/export_minilm.py --ranks N --output FOLDER/minilm/MiniLM.mindir
#   models/export_smollm.py --ranks N --only decode --output FOLDER/decode/SmolLM2.mindir
#   cp -r tests/fixtures/splits/conv_auto_recursive_programming_N FOLDER/split
#
# and minilm_1, minilm_2 for the memory of fewer ranks. RESULTS gets starts.md, memory.txt, kills.txt. With BACKEND=cpu
# the same runs on CPU ranks, to try it where there are no GPUs.
set -euo pipefail
ranks=$1 sets=$2 results=$3 backend=${BACKEND:-gpu}
here=$(cd "$(dirname "$0")/.." && pwd)
python=${PYTHON:-$here/.venv/bin/python}
mkdir -p "$results"
shopt -s nullglob

unsharded() { # FOLDER: its X.mindir whose shards are X0.mindir, ...
  local file
  for file in "$1"/*.mindir; do
    if [ -e "${file%.mindir}0.mindir" ]; then
      echo "$file"
      return
    fi
  done
}

ranks_of() { # MODEL: the process ids of the ranks that run it, without what starts and watches them
  pgrep -f "^[^ ]*python[^ ]* [^ ]*main\.py.*--model_path=$1" || :
}

# five starts of each set, checked against the unsharded model
models=()
for folder in "$sets"/{product,minilm,split,decode}; do
  model=$(unsharded "$folder")
  [ -z "$model" ] || models+=("$model")
done
timeout 400 "$python" "$here/benchmarks/gpu.py" "${models[@]}" --starts=5 --timeout=100 "--backend=$backend" \
  >"$results/starts.md" || echo "a start failed: see $results/starts.md" >&2

# memory per card while it predicts, on 1, 2 and N ranks
for count in 1 2 "$ranks"; do
  model=$(unsharded "$sets/minilm_$count")
  [ -n "$model" ] || model=$(unsharded "$sets/minilm")
  if [ ! -e "${model%.mindir}$((count - 1)).mindir" ] || [ -e "${model%.mindir}$count.mindir" ]; then
    continue # a set of another number of ranks
  fi
  timeout 60 "$here/run.sh" "--backend=$backend" "--model_path=$model" --check=off --repeat=1000000000 --timeout=40 \
    "--log_dir=$results/logs" >"$results/memory.log" 2>&1 &
  sleep 35
  {
    echo "$count ranks, $model:"
    nvidia-smi --query-gpu=index,memory.used --format=csv,noheader 2>&1 || :
    for pid in $(ranks_of "$model"); do
      grep -H -E 'VmHWM|VmRSS' "/proc/$pid/status" || :
    done
  } >>"$results/memory.txt"
  wait $! || :
done

# a rank killed in the build and in a predict
for seconds in 4 30; do
  model=$(unsharded "$sets/minilm")
  "$here/run.sh" "--backend=$backend" "--model_path=$model" --check=off --repeat=1000000000 "--log_dir=$results/logs" \
    >"$results/kill.log" 2>&1 &
  job=$!
  sleep "$seconds"
  killed=$(ranks_of "$model" | tail -n 1)
  start=$(date +%s.%N)
  kill -9 "$killed"
  status=0
  wait "$job" || status=$?
  echo "rank killed after $seconds s: status $status after $(awk "BEGIN { print $(date +%s.%N) - $start }") s;" \
    "left: $(ranks_of "$model" | wc -l); $(grep -m 1 died "$results/kill.log")" >>"$results/kills.txt"
done
