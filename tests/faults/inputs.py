"""Small inputs of every kind, sound ones: what is fuzzed begins with them."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr

from tests.archive_server import sidecar
from tests.faults.commands import Commands
from tests.faults.outputs import COMMANDS
from tests.faults.served import KEYS

eccodes = pytest.importorskip("eccodes")

NAMES = {"t2m": (0, 0, 103, 2, 280.0), "d2m": (0, 6, 103, 2, 275.0), "cape": (7, 6, 1, 0, 500.0)}
"""Category, number, kind of level, level, and a mean value."""
SHAPE = (12, 16)


def furnish(wml: Commands, world: Path, write_netcdf: Any) -> Path:
    """Put an input of every kind beside the dataset, run and forecast of the world."""
    write_grib(world / "a.grib2")
    write_archive(world / "archive")
    write_netcdf(world / "a.nc", hours=6, shape=(10, 12))
    with xr.open_dataset(world / "a.nc", engine="netcdf4", decode_times=False) as dataset:
        dataset.to_netcdf(world / "classic.nc", format="NETCDF3_CLASSIC")
        dataset.to_zarr(world / "a.zarr", zarr_format=3, consolidated=False)
    assert wml.run("export --run r --output b.safetensors", world) == 0, wml.printed
    assert wml.run(COMMANDS["netcdf"][0], world) == 0, wml.printed
    shutil.copyfile(world / "r" / "config.yaml", world / "c.yaml")
    with xr.open_zarr(world / "f.zarr") as store:
        theirs = store[["t2m"]].drop_encoding().load()
    theirs.attrs = {}
    theirs.to_netcdf(world / "theirs.nc", engine="netcdf4", encoding={"t2m": {"zlib": True}})
    return world


def write_grib(path: Path, hours: int = 3) -> Path:
    """Analyses of three variables on a latitude-longitude grid of 12 x 16 points, hourly."""
    rng = np.random.default_rng(0)
    path.write_bytes(b"".join(message(hour, name, rng) for hour in range(hours) for name in NAMES))
    return path


def write_archive(folder: Path) -> None:
    """The same hours as a public bucket has them, each with its index."""
    rng = np.random.default_rng(0)
    for hour, key in enumerate(KEYS):
        content = b"".join(message(hour, name, rng) for name in NAMES)
        (folder / key).parent.mkdir(parents=True, exist_ok=True)
        (folder / key).write_bytes(content)
        (folder / f"{key}.idx").write_bytes(sidecar(content))


def message(hour: int, name: str, rng: np.random.Generator) -> bytes:
    """One field."""
    category, number, kind, level, mean = NAMES[name]
    handle = eccodes.codes_grib_new_from_samples("regular_ll_sfc_grib2")
    (height, width), keys = SHAPE, eccodes.codes_set
    grid = {"Ni": width, "Nj": height, "iDirectionIncrementInDegrees": 1, "jDirectionIncrementInDegrees": 1}
    corners = {"First": (50, 0), "Last": (51 - height, width - 1)}
    ends = {
        f"{axis}Of{end}GridPointInDegrees": degrees
        for end, point in corners.items()
        for axis, degrees in zip(("latitude", "longitude"), point, strict=True)
    }
    product = {"parameterCategory": category, "parameterNumber": number, "typeOfFirstFixedSurface": kind}
    surface = {"scaleFactorOfFirstFixedSurface": 0, "scaledValueOfFirstFixedSurface": level}
    for key, value in {**grid, **ends, "dataDate": 20240601, "dataTime": 100 * hour, **product, **surface}.items():
        keys(handle, key, value)
    eccodes.codes_set_values(handle, mean + rng.random(height * width))
    content = bytes(eccodes.codes_get_message(handle))
    eccodes.codes_release(handle)
    return content
