"""A large scale whose interpolation is known: a plane in latitude, longitude and time, on a grid of half a degree."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from tests.conftest import START
from weatherml.config import parse_member
from weatherml.data.prepare import prepare
from weatherml.grid import Grid
from weatherml.sources import SOURCES

LATITUDES = np.arange(40.0, 36.9, -0.5)
"""From the north, as GFS and ERA5 have them."""
LONGITUDES = np.arange(261.0, 264.1, 0.5)
"""East of Greenwich, 96 to 99 degrees west."""
HOURS = np.arange(0, 75, 3)


def plane(hours: Any, latitude: Any, longitude: Any) -> Any:
    """Metres: 5500, 20 more for each degree to the north, 10 for each to the east of 97.5 W, 2 for each hour."""
    return 5500.0 + 20.0 * (latitude - 38.5) + 10.0 * ((longitude - 262.5 + 180.0) % 360.0 - 180.0) + 2.0 * hours


def on_grid(hours: Any, grid: Grid) -> Any:
    """(N, H, W) of the plane at the points of a grid."""
    assert grid.latlon is not None
    return plane(np.asarray(hours)[:, None, None], *grid.latlon)


def write_large_scale(
    path: Path, hours: Any = HOURS, *, names: Sequence[str] = ("z500",), latitudes: Any = LATITUDES
) -> Path:
    """Write variables, each the plane, at `hours` after START."""
    values = plane(np.asarray(hours)[:, None, None], latitudes[:, None], LONGITUDES)
    coordinates = {
        "time": ("time", START + np.asarray(hours) * np.timedelta64(1, "h")),
        "latitude": ("latitude", latitudes, {"units": "degrees_north"}),
        "longitude": ("longitude", LONGITUDES, {"units": "degrees_east"}),
    }
    fields = {name: (("time", "latitude", "longitude"), values, {"units": "m"}) for name in names}
    xr.Dataset(fields, coordinates).to_netcdf(path, engine="netcdf4")
    return path


def large_scale(folder: Path, hours: Any = HOURS, variables: Any = None, **changes: Any) -> Path:
    """The same, prepared as a dataset of `variables`."""
    folder.mkdir(parents=True, exist_ok=True)
    file = write_large_scale(folder / "large.nc", hours, **changes)
    source = parse_member(SOURCES, {"kind": "netcdf", "variables": variables}, at="source")
    return prepare(source, [str(file)], folder / "large.zarr").path
