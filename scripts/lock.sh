#!/usr/bin/env bash
# Writes constraints.lock anew: the hashes of every file of the versions in constraints.txt. torch is left out, since
# its build depends on the machine. Needs uv.
set -euo pipefail
cd "$(dirname "$0")/.."
grep -v -e '^#' -e '^torch==' constraints.txt |
    uv pip compile - --quiet --generate-hashes --no-deps --no-annotate --no-header --python-version 3.11.7 \
        --output-file constraints.lock
