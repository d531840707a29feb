"""Fixtures shared by all tests."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import numpy as np
import pyproj  # noqa: F401 - before eccodes, which xarray loads where a file is opened by any engine
import pytest
import xarray as xr

from weatherml.config import parse_member
from weatherml.data.child import spared
from weatherml.data.prepare import prepare
from weatherml.sources import SOURCES
from weatherml.sources.world.terrain import MAPPING

START = np.datetime64("2024-06-01T00:00:00", "s")
UNITS = {"t2m": "K", "u10": "m s-1", "v10": "m s-1", "refc": "dBZ", "tracer": "1"}
Fields = dict[str, np.ndarray]
WriteNetCDF = Callable[..., Path]


@pytest.fixture(scope="session", autouse=True)
def _one_decoder() -> Iterator[None]:
    """NetCDF files are read in one process for all tests: starting one for each takes minutes."""
    with spared():
        yield


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real files, read in place; tests that need it skip where it is absent."""
    folder = Path(os.environ.get("WML_TEST_DATA", Path(__file__).parents[2] / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"no real data at {folder}; set WML_TEST_DATA")
    return folder


@pytest.fixture(scope="session")
def write_netcdf() -> WriteNetCDF:
    """The function that writes a CF NetCDF file on a projected grid; see `_write_netcdf`."""
    return _write_netcdf


@pytest.fixture(scope="session")
def small_netcdf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three days of a 24 x 20 world, hourly: t2m, u10, v10, refc, and a tracer that no table knows."""
    return _write_netcdf(tmp_path_factory.mktemp("netcdf") / "small.nc")


@pytest.fixture(scope="session")
def small_dataset(small_netcdf: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`small_netcdf`, prepared; read it, and write nothing there."""
    output = tmp_path_factory.mktemp("dataset") / "small.zarr"
    return prepare(parse_member(SOURCES, "netcdf", at="source"), [str(small_netcdf)], output).path


def _write_netcdf(
    path: Path,
    *,
    hours: int | np.ndarray = 72,
    shape: tuple[int, int] = (24, 20),
    change: Callable[[Fields], object] = lambda fields: None,
    units: Mapping[str, str] = UNITS,
) -> Path:
    """Write `waves` at `hours` after START (a number of them, or which), after `change` had its way with them."""
    count = np.arange(hours) if isinstance(hours, int) else np.asarray(hours)
    fields = waves(count, shape)
    change(fields)
    y, x = (3000.0 * (np.arange(size) - size / 2) for size in shape)
    data: dict[str, tuple[tuple[str, ...], np.ndarray, dict[str, object]]] = {
        name: (("time", "y", "x"), values, {"units": units[name], "grid_mapping": "projection"})
        for name, values in fields.items()
    }
    data["projection"] = ((), np.array(0), MAPPING)
    data["orography"] = (("y", "x"), orography(shape), {"units": "m", "standard_name": "surface_altitude"})
    coordinates = {
        "time": ("time", count, {"units": "hours since 2024-06-01 00:00:00", "standard_name": "time"}),
        "y": ("y", y, {"units": "m", "standard_name": "projection_y_coordinate"}),
        "x": ("x", x, {"units": "m", "standard_name": "projection_x_coordinate"}),
    }
    xr.Dataset(data, coordinates).to_netcdf(path, engine="netcdf4", unlimited_dims=["time"])
    return path


def orography(shape: tuple[int, int]) -> np.ndarray:
    """A hill, in metres, float32."""
    y, x = np.meshgrid(*(np.linspace(-1, 1, size) for size in shape), indexing="ij")
    return (800 * np.exp(-3 * (x**2 + y**2))).astype(np.float32)


def waves(hours: np.ndarray, shape: tuple[int, int]) -> Fields:
    """A world that a network can learn: waves that move a column an hour, over a diurnal cycle; (N, H, W) float32."""
    y, x = np.meshgrid(*(np.arange(size) for size in shape), indexing="ij")
    t = hours[:, None, None].astype(float)
    wave = np.sin(2 * np.pi * (x - t) / 10) * np.cos(2 * np.pi * y / 24)
    storm = np.sin(2 * np.pi * (x + 0.5 * y - t) / 20)
    fields = {
        "t2m": 290 + 5 * np.sin(2 * np.pi * (t - 9) / 24) + 2 * wave - y / 12,
        "u10": 3 + 4 * wave + 0 * t,
        "v10": -1 + 4 * storm,
        "refc": np.clip(60 * storm - 20, -10, 75),
        "tracer": 1e-4 * np.exp(wave),
    }
    return {name: values.astype(np.float32) for name, values in fields.items()}
