#!/usr/bin/env bash
# Builds the documentation into site/; a warning fails it.
#   bash scripts/docs.sh          site/index.html opens from the disk; its search needs a server
#   bash scripts/docs.sh serve    at http://127.0.0.1:8000, built again when a page changes
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/environment.sh dev

if [ "${1:-}" = serve ]; then
    exec mkdocs serve
fi
mkdocs build --strict --clean
