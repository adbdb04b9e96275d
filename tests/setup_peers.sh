#!/usr/bin/env bash
# Programs of other people that some tests ask Fiat with, each in an environment of its own under .venv/peers, because
# their pins don't go together with ours. Two minutes and 1.4 GB; at a desk without them those tests are skipped.
set -euo pipefail
python="${1:-.venv/bin/python}"
peers="$("$python" -c 'import sys; print(sys.prefix)')/peers"
if [ ! -e "$peers/kserve/done" ]; then
  "$python" -m venv --clear "$peers/kserve"
  "$peers/kserve/bin/pip" install --quiet --disable-pip-version-check "kserve==0.21.0"
  touch "$peers/kserve/done"
fi
if [ ! -e "$peers/mlflow/done" ]; then
  "$python" -m venv --clear "$peers/mlflow"
  "$peers/mlflow/bin/pip" install --quiet --disable-pip-version-check "mlflow==3.17.2" onnxruntime pandas
  touch "$peers/mlflow/done"
fi
