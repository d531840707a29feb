#!/usr/bin/env bash
# Every check: lint, types, layers, known vulnerabilities, tests. Makes the environment if it is absent.
#   bash scripts/test.sh            what CI runs
#   bash scripts/test.sh -m slow    the long tests too; arguments go to pytest
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/environment.sh dev

ruff check .
ruff format --check .
lint-imports
bash scripts/audit.sh
mypy &  # beside the tests, which do not always keep two cores busy
types=$!
# one thread each on two cores; three, since tests wait for processes and servers of theirs
OMP_NUM_THREADS=1 python -m pytest -n "${WML_TEST_WORKERS:-3}" -m "not slow" --durations 25 "$@"
wait "$types"
