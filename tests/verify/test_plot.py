"""Pictures of forecasts: what is drawn, where north is, and what is refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
from matplotlib.image import imread
from PIL import Image

from tests.verify.conftest import HOUR, START, forecast_dataset
from weatherml.errors import MissingInputError, OutputError, UsageError, WMLError
from weatherml.variables import TABLE
from weatherml.verify.colors import NWS_COLORS
from weatherml.verify.plot import View, draw, read_scenes

MEMBERS = np.array([10.0, 30.0, 50.0], np.float32)


@pytest.fixture(scope="module")
def ensemble(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Reflectivity of 10, 30 and 50 dBZ in its three members, echoes in the northern half alone."""
    forecast = forecast_dataset(START + np.array([60, 70]) * HOUR, [1, 2, 3])
    north = np.broadcast_to((np.arange(16) >= 8)[:, None], (16, 16))
    values = np.where(north, MEMBERS[:, None, None], np.float32(-10))
    members = forecast["refc"].expand_dims(member=3, axis=2).copy(data=np.broadcast_to(values, (2, 3, 3, 16, 16)))
    path: Path = tmp_path_factory.mktemp("ensemble") / "ens.nc"
    forecast.drop_vars("refc").assign(refc=members).to_netcdf(path)
    return path


@pytest.mark.parametrize(
    ("shown", "north"),
    [("field", 30.0), ("mean", 30.0), ("spread", 20.0), ("probability", 2 / 3)],  # std of 10, 30, 50; two reach 25
)
def test_what_is_shown(shown: Any, north: float, ensemble: Path) -> None:
    scenes = read_scenes(ensemble, View(shown=shown, member=1, threshold=25.0, lead_hours=2.0))
    assert scenes.fields.shape == (1, 16, 16)
    np.testing.assert_allclose(scenes.fields[0, 8:], north, rtol=1e-6)
    assert str(scenes.valid_time(0)) == "2024-06-03T14:00"  # 60 h after 1 June 00Z, and 2 h


def test_north_is_up_in_the_colours_of_the_weather_service(ensemble: Path, tmp_path: Path) -> None:
    draw(read_scenes(ensemble, View(member=2)), tmp_path / "map.png")
    picture = imread(tmp_path / "map.png")[..., :3]
    red = np.array([int(NWS_COLORS[9][i : i + 2], 16) for i in (1, 3, 5)]) / 255  # 50 to 55 dBZ
    rows, columns = np.nonzero((np.abs(picture - red) < 0.01).all(-1))
    upper = rows < picture.shape[0] / 2  # the colour bar's patch is below
    assert upper.sum() > 0.3 * picture[..., 0].size / 2
    assert np.ptp(columns[upper]) > 0.8 * picture.shape[1]


def test_an_animation_has_all_leads_beside_the_truth(ensemble: Path, truth_path: Path, tmp_path: Path) -> None:
    scenes = read_scenes(ensemble, View(shown="mean"), truth=truth_path, animated=True)
    assert scenes.truth is not None
    np.testing.assert_array_equal(scenes.lead_hours, [1, 2, 3])
    with xr.open_dataset(truth_path, engine="zarr", consolidated=False) as truth:
        expected = truth["refc"].sel(time=START + np.array([61, 62, 63]) * HOUR).values
    np.testing.assert_array_equal(scenes.truth, expected)
    draw(scenes, tmp_path / "film.gif")
    with Image.open(tmp_path / "film.gif") as film:
        assert film.n_frames == 3  # type: ignore[attr-defined]
    assert sorted(path.name for path in tmp_path.glob("*film*")) == ["film.gif"]


@pytest.mark.parametrize(
    ("view", "error", "message"),
    [
        (View(variable="rain"), UsageError, "--variable rain: not in the forecast"),
        (View(lead_hours=9), UsageError, "--lead 9: leads run from 1 to 3 h"),
        (View(member=3), UsageError, "--member 3: the forecast has 3"),
        (View(variable="t2m", shown="spread"), UsageError, "t2m has one member"),
        (View(init_time=START), MissingInputError, "no forecast from 2024-06-01T00:00:00Z; 2 start from"),
    ],
)
def test_refusals(view: View, error: type[WMLError], message: str, ensemble: Path) -> None:
    with pytest.raises(error, match=message):
        read_scenes(ensemble, view)


def test_kinds_of_pictures(ensemble: Path, tmp_path: Path) -> None:
    scenes = read_scenes(ensemble, View())
    with pytest.raises(UsageError, match=r"map.docx: no kind of picture; end it in .png"):
        draw(scenes, tmp_path / "map.docx")
    draw(scenes, tmp_path / "map.svg")
    assert "<svg" in (tmp_path / "map.svg").read_text()


def test_a_folder_is_made_and_a_file_in_its_place_is_told(ensemble: Path, tmp_path: Path) -> None:
    scenes = read_scenes(ensemble, View())
    draw(scenes, tmp_path / "new" / "p.png")
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["p.png"]
    with pytest.raises(OutputError, match=r"p\.png/q\.png: cannot be written"):
        draw(scenes, tmp_path / "new" / "p.png" / "q.png")


def test_a_probability_needs_a_threshold(ensemble: Path) -> None:
    plain = replace(View(), shown="probability")
    assert plain.event(TABLE["refc"]) == 40.0  # the third of 20, 30, 40, 50
    with pytest.raises(UsageError, match="t2m has no usual threshold; name one with --threshold"):
        plain.event(TABLE["t2m"])
