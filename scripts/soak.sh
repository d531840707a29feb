#!/usr/bin/env bash
# The long form of the fault tests, about three hours on two cores: hundreds of kills, full disks, flipped bits and
# fuzzed inputs for every command, and a loop of forecasts whose memory must not grow.
#   bash scripts/soak.sh                     all of it
#   bash scripts/soak.sh -k "kills and train"   a part; arguments go to pytest
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/environment.sh dev

OMP_NUM_THREADS=1 python -m pytest -n "${WML_TEST_WORKERS:-2}" -m slow tests/faults "$@"
