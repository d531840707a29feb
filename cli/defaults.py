"""The newest dataset, run and forecast: what a command takes where none is named."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path

from weatherml.errors import MissingInputError
from weatherml.places import DATA, FORECASTS, RUNS


def dataset_path(given: Path | None) -> Path:
    """The dataset that was named, or the newest in `data/`."""
    return given or newest("data", (marker.parent for marker in DATA.glob("*.zarr/complete.json")), "wml prepare")


def run_path(given: Path | None) -> Path:
    """The run that was named, or the newest in `runs/`."""
    return given or newest("run", (status.parent for status in RUNS.glob("*/status.json")), "wml train")


def forecast_path() -> Path:
    """The newest forecast in `forecasts/`."""
    stores = (marker.parent for marker in FORECASTS.glob("*.zarr/complete.json"))
    return newest("forecast", [*stores, *FORECASTS.glob("*.nc")], "wml rollout")


def newest(what: str, paths: Iterable[Path], command: str) -> Path:
    """The most recently written of some paths; says which it is.

    Raises:
        MissingInputError: there is none.
    """
    found = max(paths, key=lambda path: path.stat().st_mtime, default=None)
    if found is None:
        raise MissingInputError(f"{what}: none here; make one with `{command}`, or name one")
    print(f"{what}: {found} (the newest)", file=sys.stderr)
    return found
