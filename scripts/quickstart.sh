#!/usr/bin/env bash
# The main job, end to end, on the embedded synthetic world: about eight minutes on two cores, the install
# included. The last line is the report's path; scores.json lies beside it.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/environment.sh base

work="${1:-quickstart}"
wml prepare synthetic --output "$work/dataset.zarr" --set split.test=0.1 --overwrite
wml train --config synthetic --data "$work/dataset.zarr" --run "$work/run-$(date -u +%Y%m%d-%H%M%S)" --device auto |
    tee "$work/train.out"
run="$(sed -n 's/^run: //p' "$work/train.out")"
wml rollout --run "$run" --data "$work/dataset.zarr" --init test:3h --hours 24 --output "$work/forecast.zarr" --overwrite
wml evaluate "$work/forecast.zarr" --truth "$work/dataset.zarr" --baseline persistence --baseline climatology \
    --output "$work/evaluation" --overwrite > "$work/evaluate.out"
sed -n 's/^report: //p' "$work/evaluate.out"
