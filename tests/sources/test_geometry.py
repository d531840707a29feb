"""Map factors and rotation angles: Lambert's closed formula, and winds turned by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyproj
import pytest

from weatherml.data.prepare import prepare
from weatherml.grid import Grid
from weatherml.sources.geometry import PROJECTION_FIELDS, projection_fields
from weatherml.sources.synthetic import Synthetic
from weatherml.sources.world.terrain import hrrr_crop

NORTH_CAPE = {  # ellipsoidal, and not tangent: two standard parallels
    "grid_mapping_name": "lambert_conformal_conic",
    "standard_parallel": [60.0, 70.0],
    "latitude_of_projection_origin": 65.0,
    "longitude_of_central_meridian": 15.0,
    "semi_major_axis": 6378137.0,
    "inverse_flattening": 298.257223563,
}
POLAR = {
    "grid_mapping_name": "polar_stereographic",
    "standard_parallel": 60.0,
    "straight_vertical_longitude_from_pole": -150.0,
    "latitude_of_projection_origin": 90.0,
    "earth_radius": 6371229.0,
}
EQUAL_AREA = {
    "grid_mapping_name": "lambert_azimuthal_equal_area",
    "longitude_of_projection_origin": 10.0,
    "latitude_of_projection_origin": 52.0,
    "earth_radius": 6371229.0,
}


def test_the_closed_formula_of_lambert() -> None:
    """One standard parallel phi0 on a sphere: n = sin phi0, angle n (lon - lon0), k = rho n / (R cos phi)."""
    grid = hrrr_crop(300, 300)
    assert grid.latlon is not None
    phi, lam = (np.deg2rad(axis) for axis in grid.latlon)
    phi0, lam0 = np.deg2rad(38.5), np.deg2rad(-97.5)
    n = np.sin(phi0)
    rho_over_radius = np.cos(phi0) / n * (np.tan(np.pi / 4 + phi0 / 2) / np.tan(np.pi / 4 + phi / 2)) ** n
    fields = projection_fields(grid)
    np.testing.assert_allclose(fields["map_factor"].values, n * rho_over_radius / np.cos(phi), rtol=1e-6)
    np.testing.assert_allclose(fields["wind_rotation_angle"].values, np.rad2deg(n * (lam - lam0)), atol=1e-5)
    assert {static.values.dtype.str for static in fields.values()} == {"<f4"}
    assert {name: static.attributes for name, static in fields.items()} == PROJECTION_FIELDS


@pytest.mark.parametrize("mapping", [NORTH_CAPE, POLAR, None], ids=["lambert", "polar", "hrrr"])
def test_winds_turned_by_hand(mapping: dict[str, object] | None) -> None:
    """Air that moves along the grid for a minute gets to where the turned components say, east and west."""
    axis = 400e3 * np.arange(-2.0, 3)
    grid = Grid("projected", axis - (2500e3 if mapping is POLAR else 0), axis, mapping or hrrr_crop(16, 16).mapping)
    assert grid.latlon is not None
    a = np.deg2rad(projection_fields(grid)["wind_rotation_angle"].values.astype(float))
    geod = pyproj.Geod(a=grid.crs.ellipsoid.semi_major_metre, b=grid.crs.ellipsoid.semi_minor_metre)
    to_degrees = pyproj.Transformer.from_crs(grid.crs, grid.crs.geodetic_crs, always_xy=True)
    u, v, seconds = 12.0, 5.0, 60.0
    for point in ((1, 0), (3, 4)):
        y, x = grid.y[point[0]], grid.x[point[1]]
        start, stop = to_degrees.transform(x, y), to_degrees.transform(x + u * seconds, y + v * seconds)
        azimuth, _, _ = geod.inv(*start, *stop)
        eastward = u * np.cos(a[point]) + v * np.sin(a[point])
        northward = v * np.cos(a[point]) - u * np.sin(a[point])
        assert np.hypot(eastward, northward) == pytest.approx(13.0)  # 12, 5, 13
        assert np.rad2deg(np.arctan2(eastward, northward)) == pytest.approx(azimuth, abs=0.01)
        assert abs(a[point]) > 0.05  # three degrees: the sign matters


@pytest.mark.parametrize("mapping", [NORTH_CAPE, EQUAL_AREA], ids=["lambert", "equal area"])
def test_map_factors_are_ratios_of_distances(mapping: dict[str, object]) -> None:
    grid = Grid("projected", 500e3 + 3000.0 * np.arange(3), 700e3 + 3000.0 * np.arange(3), mapping)
    assert grid.latlon is not None
    latitude, longitude = grid.latlon
    geod = pyproj.Geod(a=grid.crs.ellipsoid.semi_major_metre, b=grid.crs.ellipsoid.semi_minor_metre)
    ring = [(0, 0), (0, 2), (2, 2), (2, 0)]
    area, _ = geod.polygon_area_perimeter([longitude[at] for at in ring], [latitude[at] for at in ring])
    factor = projection_fields(grid)["map_factor"].values[1, 1]
    assert factor == pytest.approx(np.sqrt(6000.0**2 / abs(area)), rel=1e-5)


def test_only_where_there_is_a_projection() -> None:
    assert projection_fields(Grid("latlon", np.arange(3.0), np.arange(4.0))) == {}
    assert projection_fields(Grid("index", np.arange(3.0), np.arange(4.0))) == {}
    assert projection_fields(Grid("projected", np.arange(3.0), np.arange(4.0))) == {}


def test_they_are_stored_and_no_input_of_a_network(tmp_path: Path) -> None:
    dataset = prepare(Synthetic(hours=120, height=16, width=16), [], tmp_path / "a.zarr")
    assert list(dataset.static) == ["land_binary_mask", "orography"]
    for name, static in projection_fields(dataset.grid).items():
        stored = dataset.group[name]
        np.testing.assert_array_equal(stored[...], static.values)  # type: ignore[index]
        assert stored.attrs["units"] == PROJECTION_FIELDS[name]["units"]
        assert stored.attrs["grid_mapping"] == "projection"
