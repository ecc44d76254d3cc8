#!/bin/sh
# All that is measured on a GPU, within ten minutes, from a checkout with an installed .venv and a CUDA build of torch:
#     benchmarks/gpu.sh | tee gpu.txt
# First the tests that need a GPU, then what it carries as Earmark is set by default, then what CUDA graphs, pinned
# transfers and batches that overlap would give; the last line says what to set.
# PYTHON names another interpreter than .venv/bin/python. `benchmarks/gpu.sh --dry` tries all of it without a GPU.
set -eu
cd "$(dirname "$0")/.."
python=${PYTHON:-.venv/bin/python}
options=
if [ "${1:-}" = --dry ]; then
    options='--device cpu --tiny'
else
    nvidia-smi --query-gpu=name,memory.total,driver_version,clocks.max.sm --format=csv
fi
"$python" -c 'from benchmarks.machine import Machine, print_head; print_head(Machine().told())'
tests='tests/integration/test_gpu.py tests/integration/test_features.py'
# shellcheck disable=SC2086  # it is several words, as the options are, or none
timeout 120 "$python" -m pytest -q -p no:cacheprovider -k gpu $tests || echo 'the tests on the GPU did not pass'
# shellcheck disable=SC2086
timeout 250 "$python" -m benchmarks.gpu $options || echo 'what the GPU carries was not measured to the end'
# shellcheck disable=SC2086
timeout 210 "$python" -m benchmarks.gpu_ways ${options:+$options --seconds 1}
