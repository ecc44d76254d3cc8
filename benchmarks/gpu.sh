#!/bin/sh
# All that is measured on a GPU, within ten minutes, from a checkout with an installed .venv and a CUDA build of torch:
#     benchmarks/gpu.sh | tee gpu.txt
# PYTHON names another interpreter than .venv/bin/python.
set -eu
cd "$(dirname "$0")/.."
python=${PYTHON:-.venv/bin/python}
nvidia-smi --query-gpu=name,memory.total,driver_version,clocks.max.sm --format=csv
"$python" -c 'from benchmarks.machine import Machine, print_head; print_head(Machine().told())'
timeout 60 "$python" -m pytest -q -p no:cacheprovider tests/integration/test_gpu.py || echo 'the tests on the GPU did not pass'
timeout 500 "$python" -m benchmarks.gpu
