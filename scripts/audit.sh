#!/usr/bin/env bash
# Known vulnerabilities of the pinned packages; skipped, and said, where nobody answers who knows them.
set -euo pipefail
cd "$(dirname "$0")/.."
if ! curl --silent --fail --max-time 10 --output /dev/null https://pypi.org/pypi/jinja2/2.4.1/json; then
    echo "audit: skipped, pypi.org does not tell its advisories here"
    exit 0
fi
pip-audit --requirement constraints.txt --no-deps --disable-pip --progress-spinner off
