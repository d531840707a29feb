"""What a dry run says agrees with what the real run does, and it writes nothing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from weatherml.config import parse_member
from weatherml.data.estimate import absent, estimate
from weatherml.data.prepare import Options, prepare
from weatherml.errors import BadDataError
from weatherml.files import tree_size
from weatherml.grid import Grid
from weatherml.sources import SOURCES
from weatherml.sources.base import Description, SourceConfig
from weatherml.variables import TABLE


def source(**settings: str) -> SourceConfig:
    config = parse_member(SOURCES, {"kind": "netcdf", **settings}, at="source")
    assert isinstance(config, SourceConfig)
    return config


def described(*hours: int) -> Description:
    times = np.datetime64("2024-06-01T00:00:00", "s") + np.array(hours) * np.timedelta64(3600, "s")
    grid = Grid(kind="latlon", y=np.arange(2.0), x=np.arange(2.0))
    return Description(grid=grid, variables=(TABLE["t2m"],), times=times, step=np.timedelta64(3600, "s"))


def test_hours_between_are_missing_and_hours_around_out_of_reach() -> None:
    config = source(start="2024-05-31T22:00Z", end="2024-06-01T06:00Z")
    missing, outside = absent(described(0, 1, 4), config)
    assert missing == ["2024-06-01T02:00:00Z", "2024-06-01T03:00:00Z"]
    assert outside == [f"2024-{at}:00:00Z" for at in ("05-31T22", "05-31T23", "06-01T05", "06-01T06")]


def test_quarantined_hours_are_not_missing() -> None:
    known = replace(described(0, 2), quarantined={"2024-06-01T01:00:00Z": "truncated"})
    assert absent(known, source()) == ([], [])


def test_the_estimate_is_what_the_real_run_takes(small_netcdf: Path, tmp_path: Path) -> None:
    output = tmp_path / "data.zarr"
    found = estimate(source(), [str(small_netcdf)], output, options=Options())
    assert list(tmp_path.iterdir()) == []
    dataset = prepare(source(), [str(small_netcdf)], output)
    assert (found.times, found.missing, found.quarantined) == (len(dataset.times), [], {})
    assert found.fetch_bytes == small_netcdf.stat().st_size
    arrays = sum(tree_size(output / name / "c") for name in [*dataset.names, *dataset.static])
    assert found.store_bytes == pytest.approx(arrays, rel=0.15)  # two hours stand for all
    assert found.fits
    assert 0 < found.seconds < 60


def test_a_disk_too_small_is_said(small_netcdf: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("weatherml.data.estimate.free_bytes", lambda _: 1000)
    assert not estimate(source(), [str(small_netcdf)], tmp_path / "data.zarr", options=Options()).fits


def test_no_usable_time(write_netcdf: Callable[..., Path], tmp_path: Path) -> None:
    def empty(fields: dict[str, np.ndarray]) -> None:
        fields["t2m"][:] = np.nan

    path = write_netcdf(tmp_path / "bad.nc", hours=6, change=empty)
    with pytest.raises(BadDataError, match="first 6 times: none can be read"):
        estimate(source(), [str(path)], tmp_path / "data.zarr", options=Options())
