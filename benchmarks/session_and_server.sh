#!/usr/bin/env bash
# All of benchmarks/results/session-and-server.md that is a ratio, one after the other; about 15 minutes on an idle machine.
#
#   PEERS=PYTHON PACKAGE=FOLDER MODELS=FOLDER benchmarks/session_and_server.sh
#
# PEERS is a Python with kserve, tritonclient[http], sentence-transformers and PyTorch, PACKAGE the model that the exporter
# takes from PyPI, unpacked; MODELS has 32/MiniLM.mindir and 128/MiniLM.mindir, eight sentences of so many tokens.
set -euo pipefail
cd "$(dirname "$0")/.."
python=.venv/bin/python
: "${PEERS:?}" "${PACKAGE:?}" "${MODELS:?}"

date --utc +%FT%R && uptime
$python benchmarks/session.py --minilm="$MODELS/128/MiniLM.mindir" --rounds="${ROUNDS:-3}"
for length in 128 32; do
  echo "the server, sentences of $length tokens"
  "$PEERS" benchmarks/server.py --model="$MODELS/$length/MiniLM.mindir" --package="$PACKAGE" --length="$length" \
    --seconds="${SECONDS_OF_A_TURN:-10}" --rounds="${ROUNDS:-3}"
done
for length in 32 128; do
  $python benchmarks/sentences.py --model="$MODELS/$length/MiniLM.mindir" --length="$length" --package="$PACKAGE" \
    --peers="$PEERS" --words=$((length == 32 ? 12 : 140)) --count="${COUNT:-1000}" --rounds="${ROUNDS:-3}"
done
date --utc +%FT%R && uptime
