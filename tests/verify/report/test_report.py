"""Pictures and lines of the report: north is up, colours are right, nothing is drawn over nothing."""

from __future__ import annotations

import base64
import io
import json
import re
from pathlib import Path

import numpy as np
import pytest
from matplotlib.image import imread

from weatherml.errors import BadDataError, ConfigError, MissingInputError
from weatherml.grid import Grid
from weatherml.page.charts import Series, line_chart, linear_axis, power_axis
from weatherml.variables import TABLE
from weatherml.verify.colors import NWS_COLORS, colormap_named, error_scale, field_scale, reflectivity_scale
from weatherml.verify.report.lines import coast_lines, read_lines
from weatherml.verify.report.maps import map_frame
from weatherml.verify.report.page import number

LATLON = Grid(kind="latlon", y=np.array([50.0, 40.0, 30.0]), x=np.array([250.0, 260.0, 270.0, 280.0]))


def pixels(uri: str) -> np.ndarray:
    return np.asarray(imread(io.BytesIO(base64.b64decode(uri.split(",")[1]))))


def hexes(rgba: np.ndarray) -> str:
    return "#" + "".join(f"{value:02x}" for value in rgba[:3])


@pytest.mark.parametrize(
    ("dbz", "color"), [(5.0, 0), (9.9, 0), (30.0, 5), (52.0, 9), (74.0, 13), (75.0, 14), (90.0, 14)]
)
def test_reflectivity_has_the_usual_colours(dbz: float, color: int) -> None:
    assert hexes(reflectivity_scale().rgba(np.array(dbz))) == NWS_COLORS[color]


def test_no_echo_and_no_data_are_transparent() -> None:
    assert reflectivity_scale().rgba(np.array([-10.0, 4.9, np.nan]))[:, 3].tolist() == [0, 0, 0]
    assert field_scale(TABLE["t2m"], np.array([280.0, 290.0])).rgba(np.array([np.nan]))[0, 3] == 0


def test_scales_of_winds_and_errors_are_symmetric() -> None:
    wind = field_scale(TABLE["u10"], np.array([-2.0, 9.0]))
    assert wind.norm.vmin == -wind.norm.vmax  # type: ignore[operator]
    assert error_scale(np.array([-1.0, 4.0])).rgba(np.array([0.0]))[0, 3] < 30  # zero lets the page through
    assert field_scale(TABLE["t2m"], np.full(3, np.nan)).labels  # nothing known still has a bar


def test_unknown_colormap() -> None:
    with pytest.raises(ConfigError, match="did you mean 'viridis'"):
        colormap_named("viridid")


@pytest.mark.parametrize("south_first", [True, False])
def test_north_is_up(south_first: bool) -> None:
    y = np.arange(3.0) * 1000 if south_first else np.arange(3.0)[::-1] * 1000
    frame = map_frame(Grid(kind="projected", y=y, x=np.arange(4.0) * 1000), [])
    field = np.full((3, 4), -10.0)
    field[-1 if south_first else 0, 0] = 60.0  # the north-west corner
    image = pixels(frame.png(field, reflectivity_scale()))
    assert image.shape == (3, 4, 4)
    assert np.argwhere(image[..., 3] > 0).tolist() == [[0, 0]]


def test_large_fields_are_thinned() -> None:
    frame = map_frame(Grid(kind="index", y=np.arange(1000.0), x=np.arange(500.0)), [])
    assert pixels(frame.png(np.zeros((1000, 500)), error_scale(np.ones(1)))).shape == (334, 167, 4)


def test_few_colours_have_a_palette_and_many_have_not() -> None:
    frame = map_frame(Grid(kind="index", y=np.arange(40.0)[::-1], x=np.arange(40.0)), [])
    ramp = np.linspace(0, 1, 1600).reshape(40, 40)
    scale = error_scale(np.array([1.0]))
    drawn = pixels(frame.png(ramp, scale))
    assert len(np.unique(drawn.reshape(-1, 4), axis=0)) == 32  # 64 colours over -1 to 1, half of them from 0 on
    assert np.abs(drawn - scale.rgba(ramp) / 255).max() < 0.08
    image = np.random.default_rng(0).integers(0, 256, (40, 40, 4), dtype=np.uint8)
    np.testing.assert_allclose(pixels(frame.picture(image)) * 255, image)
    assert pixels(frame.picture(image, pixels=20)).shape == (20, 20, 4)


def test_coast_follows_the_land_mask() -> None:
    land = np.zeros((3, 4))
    land[:, 2:] = 1
    (coast,) = coast_lines(land)
    np.testing.assert_allclose(coast[:, 0], 1.5)  # between columns 1 and 2
    path = map_frame(LATLON, [coast]).path
    assert path.startswith("M2.00 ")  # half a cell from the edge of the first column
    assert coast_lines(None) == []


def test_state_lines(tmp_path: Path) -> None:
    line = {"type": "LineString", "coordinates": [[-110, 45], [-100, 35], [-60, 35]]}
    ring = {"type": "MultiPolygon", "coordinates": [[[[-100, 40], [-90, 40], [-90, 30]]]]}
    (tmp_path / "states.json").write_text(
        json.dumps(
            {"type": "FeatureCollection", "features": [{"type": "Feature", "geometry": line}, {"geometry": ring}]}
        )
    )
    first, second = read_lines(tmp_path / "states.json", LATLON)
    np.testing.assert_allclose(first, [[0, 0.5], [1, 1.5], [np.nan, 1.5]])  # 60 W lies outside
    np.testing.assert_allclose(second, [[1, 1], [2, 1], [2, 2]])
    assert map_frame(LATLON, [first]).path.count("M") == 1
    with pytest.raises(BadDataError, match="no longitudes"):
        read_lines(tmp_path / "states.json", Grid(kind="index", y=np.arange(3.0), x=np.arange(3.0)))
    (tmp_path / "states.json").write_text('{"type": "LineString"}')
    with pytest.raises(BadDataError, match="not GeoJSON"):
        read_lines(tmp_path / "states.json", LATLON)
    with pytest.raises(MissingInputError):
        read_lines(tmp_path / "none.json", LATLON)


def test_lines_break_at_nan_and_text_is_escaped() -> None:
    x, y = np.arange(5.0), np.array([1.0, 2.0, np.nan, 4.0, 5.0])
    series = Series(name="<mine>", style="f0", x=x, y=y, low=y - 1, high=y + 1)
    svg = line_chart([series], linear_axis(x, whole=True), linear_axis(y), x_label="lead")
    path = re.search(r'class="line f0" d="([^"]*)"', svg)
    assert path is not None
    assert path[1].count("M") == 2
    assert "&lt;mine&gt;" in svg
    nothing = Series(name="a", style="f0", x=x, y=np.full(5, np.nan))
    assert "no case to score" in line_chart([nothing], linear_axis(x), linear_axis(nothing.y), x_label="lead")


def test_axes() -> None:
    axis = power_axis(np.array([3e-3, 2e4, 0.0, np.nan]))
    assert (axis.low, axis.high) == (1e-3, 1e5)
    np.testing.assert_allclose(axis.share(np.array([1e-3, 10.0, 1e5])), [0, 0.5, 1])
    assert [tick for tick, _ in linear_axis(np.arange(1.0, 25), include=(0.0,), ticks=8, whole=True).ticks][-1] == 24
    assert number(float("nan")) == "\N{EN DASH}"
