#!/usr/bin/env bash
# Makes the environment that the jobs use: once, on a login node, without root.
#
#   EXTRAS   extras of keras-backtrack [demo,run]; demo,run,ray for ray-cluster.sh;
#            demo,run,itex (Python 3.10 or 3.11) for Intel Extension for TensorFlow
#   PYTHON3  a Python of 3.10 or newer [python3]
#   VENV     where it is made [.venv]
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

VENV=${VENV:-.venv}
"${PYTHON3:-python3}" -m venv "$VENV"
"$VENV/bin/python" -m pip install --quiet --upgrade pip
"$VENV/bin/python" -m pip install --quiet -e ".[${EXTRAS:-demo,run}]"
"$VENV/bin/python" -m keras_backtrack doctor
