"""Grids: coordinates, identity, difference, crops."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from weatherml.errors import BadDataError
from weatherml.grid import Grid

LAMBERT = {
    "grid_mapping_name": "lambert_conformal_conic",
    "latitude_of_projection_origin": 38.5,
    "longitude_of_central_meridian": -97.5,
    "standard_parallel": [38.5, 38.5],
    "earth_radius": 6371229.0,
}
GLOBE = Grid("latlon", np.arange(-88.0, 90, 4), np.arange(0.0, 360, 5))
HRRR = Grid(
    "projected",
    -1587306.152557 + 3000.0 * np.arange(1059),
    -2697520.142522 + 3000.0 * np.arange(1799),
    LAMBERT,
)


def test_hrrr_corners() -> None:
    assert HRRR.shape == (1059, 1799)
    assert HRRR.latlon is not None
    latitude, longitude = HRRR.latlon
    # as the messages say: 21.138123 N 122.719528 W to 47.842195 N 60.917193 W
    assert (latitude[0, 0], longitude[0, 0]) == pytest.approx((21.138123, -122.719528), abs=1e-5)
    assert (latitude[-1, -1], longitude[-1, -1]) == pytest.approx((47.842195, -60.917193), abs=1e-5)
    assert HRRR.spacing_km == 3.0
    assert HRRR.dims == ("y", "x")
    assert (HRRR.row_weights == 1).all()


def test_the_globe() -> None:
    assert GLOBE.dims == ("latitude", "longitude")
    assert GLOBE.periodic_x
    assert not Grid("latlon", GLOBE.y, GLOBE.x[:-1]).periodic_x
    assert not Grid("index", GLOBE.y, GLOBE.x).periodic_x
    weights = GLOBE.row_weights
    assert weights.mean() == pytest.approx(1)
    # cos(60) / cos(0) = 0.5
    assert weights[GLOBE.y == 60] / weights[GLOBE.y == 0] == pytest.approx(0.5)


@given(st.integers(0, 10), st.integers(1, 10), st.integers(0, 10), st.integers(1, 10))
def test_a_crop_is_the_same_points(top: int, height: int, left: int, width: int) -> None:
    rows, columns = slice(top, top + height), slice(left, left + width)
    crop = GLOBE.crop(rows, columns)
    assert crop.shape == (height, width)
    assert crop.latlon is not None
    assert GLOBE.latlon is not None
    for mine, whole in zip(crop.latlon, GLOBE.latlon, strict=True):
        assert np.array_equal(mine, whole[rows, columns])
    assert crop.digest != GLOBE.digest
    assert crop.digest == GLOBE.crop(rows, columns).digest


@pytest.mark.parametrize(
    ("other", "words"),
    [
        (Grid("latlon", GLOBE.y, GLOBE.x), ""),
        (Grid("latlon", GLOBE.y[::-1], GLOBE.x), "latitude runs the other way"),
        (Grid("latlon", GLOBE.y[:-1], GLOBE.x), "44 x 72 points instead of 45 x 72"),
        (Grid("latlon", GLOBE.y, GLOBE.x - 180), "longitude begins at -180 instead of 0, or its step differs"),
        (Grid("index", GLOBE.y, GLOBE.x), "index grid instead of latlon"),
        (Grid("latlon", GLOBE.y, GLOBE.x, {"grid_mapping_name": "latitude_longitude"}), "another projection"),
    ],
)
def test_differences_in_words(other: Grid, words: str) -> None:
    assert GLOBE.difference(other) == words


def test_one_column_does_not_run_the_other_way() -> None:
    one, other = (Grid("projected", np.arange(3.0), np.array([5.0]), {"radius": radius}) for radius in (1, 2))
    assert one.difference(other) == "another projection"


@pytest.mark.parametrize("axis", [[0.0, 0.0], [0.0, 1.0, 0.5], [0.0, np.nan, 2.0], [[0.0, 1.0]]])
def test_an_axis_must_be_strictly_monotonic(axis: list[float]) -> None:
    with pytest.raises(BadDataError, match="x: not strictly monotonic"):
        Grid("index", np.arange(2.0), np.array(axis))


def test_bare_indices_know_no_place() -> None:
    grid = Grid("index", np.arange(3.0), np.arange(4.0))
    assert grid.latlon is None
    assert grid.spacing_km is None
