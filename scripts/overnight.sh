#!/usr/bin/env bash
# Prepare, train, rollout, evaluate, in sequence; each goes on where it stopped, so run it again after anything.
#   bash scripts/overnight.sh INPUT [WORK]
# INPUT: a folder of HRRR GRIB2 files. WORK: where everything goes, with a log a stage; overnight/ by default.
set -uo pipefail
input="${1:?usage: overnight.sh INPUT [WORK]}"
work="${2:-overnight}"
root="$(cd "$(dirname "$0")/.." && pwd)"
mkdir -p "$work"

stage() { # NAME OUTPUT COMMAND...: run a stage unless its output is there
    local name="$1" output="$2"
    shift 2
    if [ -e "$output" ]; then
        echo "$name: done before ($output)"
        return
    fi
    echo "$name: $(date -u +%FT%TZ), log in $work/$name.log"
    "$@" >> "$work/$name.log" 2>&1 && return
    local code=$?
    echo "FAILED: $name with exit code $code: $(tail -n 1 "$work/$name.log")"
    exit "$code"
}

export WML_DATA="$work/dataset.zarr" WML_RUN="$work/run"
stage prepare "$WML_DATA" wml prepare hrrr --input "$input" --output "$WML_DATA"
stage train "" bash "$root/train_optimized.sh"
stage rollout "$work/forecast.zarr" wml rollout --run "$WML_RUN" --data "$WML_DATA" --output "$work/forecast.zarr"
stage evaluate "$work/evaluation/scores.json" wml evaluate "$work/forecast.zarr" --truth "$WML_DATA" --output "$work/evaluation"
echo "DONE: $work/evaluation/report.html"
