"""Scores by hour of the day, regime and region are those of the cases and points that belong there."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr

from tests.verify.conftest import HOUR, START, forecast_dataset, write_truth
from weatherml.errors import BadDataError, ConfigError, UsageError
from weatherml.variables import TABLE
from weatherml.verify.files.truth import open_truth
from weatherml.verify.scores.export import to_json
from weatherml.verify.scores.finish import finish
from weatherml.verify.scores.scores import Scores
from weatherml.verify.scoring.conditions import ACTIVE, event_share, storm_variable
from weatherml.verify.scoring.inputs import Request, open_inputs
from weatherml.verify.scoring.parts import score_part
from weatherml.verify.scoring.regions import read_regions

LEADS = (1, 2, 9)
BOX = "box=38.6,38.8,-98.4,-98.2"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("conditions")
    write_truth(path / "truth.zarr")
    inits = START + np.array([50, 56, 68, 72, 80]) * HOUR
    forecast_dataset(inits, LEADS).to_netcdf(path / "mine.nc")
    return path


@pytest.fixture(scope="module")
def scores(folder: Path) -> Scores:
    regions = ("land", "sea", BOX)
    request = Request(truth=folder / "truth.zarr", forecasts=(folder / "mine.nc",), baselines=(), regions=regions)
    inputs = open_inputs(request)
    days = [inputs.cases.init_times[:3], inputs.cases.init_times[3:]]
    parts = [score_part(inputs, times, inputs.frames()) for times in days]
    return finish(inputs, parts, resamples=10, seed=0, metadata={})


@pytest.fixture(scope="module")
def both(folder: Path) -> tuple[xr.Dataset, xr.Dataset]:
    """The forecast, and the truth at its valid times."""
    mine, truth = (
        xr.load_dataset(folder / "mine.nc"),
        xr.load_dataset(folder / "truth.zarr", engine="zarr", consolidated=False),
    )
    valid = xr.DataArray(mine["init_time"].values[:, None] + mine["lead_time"].values, dims=("init_time", "lead_time"))
    return mine, truth.sel(time=valid)


def rmse(both: tuple[xr.Dataset, xr.Dataset], where: Any = True) -> np.ndarray:
    """RMSE of t2m at each lead, over what is True."""
    square = (both[0]["t2m"] - both[1]["t2m"]) ** 2
    return np.sqrt(square.where(where).mean(("init_time", "y", "x"))).values


def found(scores: Scores, condition: str, label: str, part: str = "value") -> np.ndarray:
    return np.asarray(getattr(scores.conditions[condition][label]["mine"]["t2m"]["rmse"], part))


def test_hours_of_the_day(scores: Scores, both: tuple[xr.Dataset, xr.Dataset]) -> None:
    hour = both[1]["time"].dt.hour
    labels = {0: "00-06", 6: "06-12", 12: "12-18", 18: "18-24"}
    assert set(scores.conditions["hour_of_day"]) <= set(labels.values())
    unseen = 0
    for start, label in labels.items():
        expected = rmse(both, (hour >= start) & (hour < start + 6))
        if np.isnan(expected).all():
            assert label not in scores.conditions["hour_of_day"]
        else:
            np.testing.assert_allclose(found(scores, "hour_of_day", label), expected, rtol=1e-5)
            unseen += np.isnan(expected).sum()
    assert unseen > 0  # leads at which no case falls into those hours


def test_regimes(scores: Scores, both: tuple[xr.Dataset, xr.Dataset]) -> None:
    share = (both[1]["refc"] >= 40).mean(("y", "x"))  # the third of 20, 30, 40, 50 dBZ
    np.testing.assert_allclose(found(scores, "regime", "calm"), rmse(both, share < ACTIVE), rtol=1e-5)
    np.testing.assert_allclose(found(scores, "regime", "active"), rmse(both, share >= ACTIVE), rtol=1e-5)


def test_regions(scores: Scores, both: tuple[xr.Dataset, xr.Dataset], folder: Path) -> None:
    land = both[1]["land_binary_mask"]
    np.testing.assert_allclose(found(scores, "region", "land"), rmse(both, land == 1), rtol=1e-5)
    np.testing.assert_allclose(found(scores, "region", "sea"), rmse(both, land == 0), rtol=1e-5)
    latlon = open_truth(folder / "truth.zarr").grid.latlon
    assert latlon is not None
    latitude, longitude = latlon
    inside = (latitude >= 38.6) & (latitude <= 38.8) & (longitude >= -98.4) & (longitude <= -98.2)
    assert 0 < inside.sum() < inside.size
    np.testing.assert_allclose(
        found(scores, "region", "box"), rmse(both, xr.DataArray(inside, dims=("y", "x"))), rtol=1e-5
    )


def test_intervals_and_json(scores: Scores) -> None:
    low, value, high = (found(scores, "region", "land", part) for part in ("low", "value", "high"))
    assert (low <= value).all()
    assert (value <= high).all()
    leaf = to_json(scores)["conditions"]["region"]["land"]["mine"]["t2m"]["rmse"]
    assert leaf == {"lead_hours": [1, 2, 9], "value": value.tolist(), "low": low.tolist(), "high": high.tolist()}


def test_metrics_that_mean_nothing_on_a_part_are_left_out(scores: Scores) -> None:
    under, card = scores.conditions["regime"]["active"]["mine"]["refc"], scores.cards["refc"]
    assert set(under) == {name for name, metric in card.items() if metric.by_condition and not metric.needs_members}
    assert "log_spectral_distance" not in under


def test_regime_of_other_variables() -> None:
    assert storm_variable([TABLE["t2m"], TABLE["cape"]], "t2m") is TABLE["cape"]
    assert storm_variable([TABLE["t2m"]], "t2m") is None
    field = np.full((2, 2, 2), np.nan)
    field[0] = [[-25, 0], [-30, np.nan]]  # CIN: the event lies at or below -25; two of three known points
    np.testing.assert_allclose(event_share(field, TABLE["cin"], np.ones(2)), [2 / 3, np.nan])


def refusals() -> list[Any]:
    return [
        (["coast"], UsageError, "--region coast: unknown"),
        (["a=1,2,3"], UsageError, "3 edges"),
        (["=1,2,3,4"], UsageError, "4 edges"),
        (["land", "land"], UsageError, "two regions are called land"),
        (["a=50,40,0,10"], ConfigError, "south lies north of north"),
        (["a=x,40,0,10"], ConfigError, "south"),
        (["a=-50,-40,0,10"], ConfigError, "no grid point in -50 to -40 N"),
    ]


@pytest.mark.parametrize(("texts", "error", "words"), refusals())
def test_refused_regions(texts: list[str], error: type[Exception], words: str, folder: Path) -> None:
    with pytest.raises(error, match=words):
        read_regions(texts, open_truth(folder / "truth.zarr"))


def test_a_truth_without_land(folder: Path) -> None:
    truth = open_truth(folder / "truth.zarr")
    bare = replace(truth, dataset=truth.dataset.drop_vars("land_binary_mask"))
    with pytest.raises(BadDataError, match="no land_binary_mask, so no region sea"):
        read_regions(["sea"], bare)
    ocean = replace(truth, dataset=truth.dataset.assign(land_binary_mask=truth.dataset["land_binary_mask"] * 0))
    with pytest.raises(BadDataError, match="region land: no such point"):
        read_regions(["land"], ocean)
