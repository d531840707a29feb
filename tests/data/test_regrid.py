"""Bilinear interpolation between grids agrees with scipy and xarray, goes round the globe, and knows where it ends."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyproj
import pytest
import torch
import xarray as xr
from scipy.interpolate import RegularGridInterpolator

from weatherml.data.chunks import WHOLE, Box
from weatherml.data.regrid import Bilinear, Points, fractional, locate
from weatherml.errors import BadDataError
from weatherml.grid import Grid
from weatherml.sources.world.terrain import MAPPING, hrrr_crop

PATH = Path("forcing.zarr")
ROUNDING = 5e-5
"""Of fields that differ by about 1 from point to point: torch counts places from -1 to 1 in float32."""
STEREOGRAPHIC = {
    "grid_mapping_name": "polar_stereographic",
    "latitude_of_projection_origin": 90.0,
    "straight_vertical_longitude_from_pole": -105.0,
    "standard_parallel": 60.0,
    "earth_radius": 6371229.0,
    "false_easting": 0.0,
    "false_northing": 0.0,
}
MODEL = hrrr_crop(30, 40)
"""32 N 81 W."""
LATITUDES = {"to the north": np.arange(25.0, 40.1, 0.5), "to the south": np.arange(40.0, 24.9, -0.5)}
LONGITUDES = {
    "east of Greenwich": np.arange(270.0, 290.1, 0.5),
    "west of Greenwich": np.arange(-90.0, -69.9, 0.5),
    "uneven": np.concatenate([np.arange(-90.0, -80.0, 1.0), np.arange(-80.0, -69.9, 0.25)]),
    "the globe": np.arange(0.0, 360.0, 0.5),
}


def interpolated(values: np.ndarray, points: Points, box: Box = WHOLE) -> np.ndarray:
    cut = torch.as_tensor(values[..., points.box[0], points.box[1]], dtype=torch.float32)
    return Bilinear(points)(cut, box).numpy()


def drawn(grid: Grid) -> np.ndarray:
    return np.random.default_rng(1).normal(size=(2, *grid.shape)).astype(np.float32)


@pytest.mark.parametrize("latitudes", LATITUDES)
@pytest.mark.parametrize("longitudes", LONGITUDES)
def test_latitude_longitude_agrees_with_scipy_and_xarray(latitudes: str, longitudes: str) -> None:
    source = Grid(kind="latlon", y=LATITUDES[latitudes], x=LONGITUDES[longitudes])
    values, (latitude, longitude) = drawn(source), MODEL.latlon or ()
    there = longitude % 360 if source.x.max() > 180 else longitude
    order = np.argsort(source.y)
    golden = RegularGridInterpolator((source.y[order], source.x), np.moveaxis(values[:, order], 0, -1))
    ours = interpolated(values, locate(source, MODEL, PATH))
    np.testing.assert_allclose(ours, np.moveaxis(golden((latitude, there)), -1, 0), atol=ROUNDING)
    array = xr.DataArray(values, dims=("n", "y", "x"), coords={"y": source.y, "x": source.x})
    wanted = {"y": xr.DataArray(latitude, dims=("j", "i")), "x": xr.DataArray(there, dims=("j", "i"))}
    np.testing.assert_allclose(ours, array.interp(wanted).values, atol=ROUNDING)


@pytest.mark.parametrize("mapping", [MAPPING, STEREOGRAPHIC], ids=["the model's", "another"])
def test_projected_grids_agree_with_scipy(mapping: dict[str, Any]) -> None:
    crs = pyproj.CRS.from_cf(mapping)
    latitude, longitude = MODEL.latlon or ()
    x, y = pyproj.Transformer.from_crs(crs.geodetic_crs, crs, always_xy=True).transform(longitude, latitude)
    axes = [np.linspace(values.min() - 7e3, values.max() + 5e3, 9) for values in (y, x)]
    source = Grid(kind="projected", y=axes[0], x=axes[1], mapping=mapping)
    values = drawn(source)
    golden = RegularGridInterpolator(axes, np.moveaxis(values, 0, -1))((y, x))
    np.testing.assert_allclose(
        interpolated(values, locate(source, MODEL, PATH)), np.moveaxis(golden, -1, 0), atol=ROUNDING
    )


def test_columns_go_round_the_globe() -> None:
    source = Grid(kind="latlon", y=np.array([0.0, 10.0]), x=np.arange(0.0, 360.0, 90.0))
    target = Grid(kind="latlon", y=np.array([0.0, 5.0]), x=np.array([-45.0, -18.0, 0.0, 45.0]))
    values = np.array([[0.0, 1.0, 2.0, 3.0], [10.0, 11.0, 12.0, 13.0]])
    # 45 W lies midway between 270 E (3) and 0 E (0); 18 W a fifth from 0 E: 0.2 * 3; half way up adds 5
    golden = [[1.5, 0.6, 0.0, 0.5], [6.5, 5.6, 5.0, 5.5]]
    np.testing.assert_allclose(interpolated(values, locate(source, target, PATH)), golden, atol=1e-6)


def test_points_of_both_grids_keep_their_values_beside_missing_ones() -> None:
    axis = np.arange(4.0)
    source = Grid(kind="latlon", y=axis, x=axis)
    values = np.full((4, 4), np.nan, np.float32)
    values[::2, ::2] = [[1, 2], [3, 4]]
    target = Grid(kind="latlon", y=axis[::2] + 1e-12, x=axis[::2] + 360)
    np.testing.assert_array_equal(interpolated(values, locate(source, target, PATH)), [[1, 2], [3, 4]])
    between = Grid(kind="latlon", y=axis[:2], x=axis[:2])
    np.testing.assert_array_equal(np.isnan(interpolated(values, locate(source, between, PATH))), [[0, 1], [1, 1]])


def test_a_crop_is_the_crop_of_the_whole_from_no_more_than_it_needs() -> None:
    source = Grid(kind="latlon", y=LATITUDES["to the south"], x=LONGITUDES["the globe"])
    values, points = drawn(source), locate(source, MODEL, PATH)
    box = (slice(3, 19), slice(8, 31))
    np.testing.assert_array_equal(interpolated(values, points, box), interpolated(values, points)[:, 3:19, 8:31])
    rows, columns = (part.stop - part.start for part in points.box)
    assert (rows, columns) == (3, 5)  # 90 km by 120 km at 32 N are 0.8 by 1.3 degrees


def test_a_forcing_that_does_not_reach_is_refused_with_its_ends() -> None:
    source = Grid(kind="latlon", y=np.arange(25.0, 31.6, 0.5), x=LONGITUDES["the globe"])
    with pytest.raises(BadDataError, match=r"forcing.zarr: latitude runs from 25 to 31.5, the model's grid from 31\.5"):
        locate(source, MODEL, PATH)
    with pytest.raises(BadDataError, match=r"longitude runs from 279.2 to 290"):
        locate(Grid(kind="latlon", y=LATITUDES["to the north"], x=np.arange(279.2, 290.1, 0.4)), MODEL, PATH)


def test_grids_without_a_place_on_the_earth_are_refused() -> None:
    bare = Grid(kind="index", y=np.arange(50.0), x=np.arange(50.0))
    globe = Grid(kind="latlon", y=LATITUDES["to the north"], x=LONGITUDES["the globe"])
    for source, target, name in ((bare, MODEL, "forcing.zarr"), (globe, bare, "the model's dataset"), (bare, bare, "")):
        with pytest.raises(BadDataError, match=f"{name}.*no latitude and longitude"):
            locate(source, target, PATH)


def test_rounded_coordinates_still_lie_within() -> None:
    axis = np.arange(0.0, 1.05, 0.1)
    single = axis.astype(np.float32).astype(np.float64)
    assert fractional(axis, single, "y") == pytest.approx(np.arange(11), abs=1e-5)
    assert fractional(axis[::-1], single, "y") == pytest.approx(np.arange(10, -1, -1), abs=1e-5)
    with pytest.raises(BadDataError, match="y runs from 0 to 1"):
        fractional(axis, single + 1e-3, "y")
