#!/usr/bin/env bash
# All of benchmarks/results/session-and-server.md that is a ratio, one after the other; about 15 minutes on an idle machine.
#
#   PEERS=PYTHON PACKAGE=FOLDER MODELS=FOLDER benchmarks/session_and_server.sh
#
# PEERS is a Python with kserve, tritonclient[http], sentence-transformers and PyTorch, PACKAGE the model that the exporter
# takes from PyPI, unpacked; MODELS has 32/MiniLM.mindir and 128/MiniLM.mindir, eight sentences of so many tokens.
set -euo pipefail
cd "$(dirname "$0")/.."
: "${PEERS:?}" "${PACKAGE:?}" "${MODELS:?}"
common=(--package="$PACKAGE" --rounds="${ROUNDS:-3}")

.venv/bin/python benchmarks/session.py --minilm="$MODELS/128/MiniLM.mindir" --rounds="${ROUNDS:-3}"
for length in 128 32; do
  echo "sentences of $length tokens"
  common+=(--model="$MODELS/$length/MiniLM.mindir" --length="$length")
  "$PEERS" benchmarks/server.py "${common[@]}" --seconds="${SECONDS_OF_A_TURN:-10}"
  .venv/bin/python benchmarks/sentences.py "${common[@]}" --peers="$PEERS" --count="${COUNT:-1000}" \
    --words=$((length == 32 ? 12 : 140))
done
