"""Times are UTC, whatever zone the machine or the file keeps."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr

from tests.data.preparing import run, tree
from weatherml.config import parse_member
from weatherml.sources import SOURCES

ODD = [
    "Asia/Kathmandu",
    *(pytest.param(zone, marks=pytest.mark.slow) for zone in ("America/St_Johns", "Europe/Lisbon")),
]
"""5:45 ahead, 3:30 behind with summer time, and a zone that is UTC in winter alone."""


@pytest.fixture
def in_zone(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], None]]:
    """Let the machine keep the time of a zone."""

    def keep(zone: str) -> None:
        monkeypatch.setenv("TZ", zone)
        time.tzset()

    yield keep
    monkeypatch.undo()
    time.tzset()


@pytest.mark.parametrize("zone", ODD)
def test_the_machines_zone_changes_nothing(
    zone: str, in_zone: Callable[[str], None], small_netcdf: Path, small_dataset: Path, tmp_path: Path
) -> None:
    in_zone(zone)
    assert tree(run(small_netcdf, tmp_path / "a.zarr").path) == tree(small_dataset)


@pytest.mark.parametrize(
    ("since", "hours"),
    [
        ("2024-06-01 05:45:00 +05:45", 0),
        ("2024-05-31 20:30:00 -03:30", 0),
        ("2024-06-01 00:00:00 +14:00", -14),  # midnight on the Line Islands is ten in the morning before
        ("2024-06-01T00:00:00Z", 0),
    ],
)
def test_a_files_zone_is_converted(since: str, hours: int, write_netcdf: Any, tmp_path: Path) -> None:
    path = write_netcdf(tmp_path / "a.nc", hours=6)
    with xr.open_dataset(path, decode_times=False) as dataset:
        dataset.load().time.attrs["units"] = f"hours since {since}"
    dataset.to_netcdf(tmp_path / "b.nc")
    times = parse_member(SOURCES, "netcdf", at="source").open([str(tmp_path / "b.nc")]).describe().times
    assert times[0] == np.datetime64("2024-06-01T00", "s") + np.timedelta64(hours, "h")
    assert (np.diff(times) == np.timedelta64(1, "h")).all()
