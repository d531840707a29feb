"""Truth and forecasts that this project has not seen, written by plain xarray: each score is that of its judge."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
from scores.continuous import additive_bias, mae, rmse
from scores.probability import crps_for_ensemble

from weatherml.verify.scores.finish import finish
from weatherml.verify.scores.scores import Scores
from weatherml.verify.scoring.inputs import Request, open_inputs
from weatherml.verify.scoring.parts import score_part

HOUR = np.timedelta64(1, "h").astype("timedelta64[ns]")
TIMES = np.datetime64("2021-12-30T00", "ns") + np.arange(72) * HOUR
INITS = TIMES[[5, 17, 29, 41]]
LATITUDE, LONGITUDE = np.linspace(60.0, 20.0, 6), np.arange(0.0, 360.0, 40.0)
MEMBERS = 3
RNG = np.random.default_rng(11)
GRID = ("latitude", "longitude")


def temperature(*shape: int) -> np.ndarray:
    """Numbers that int16 with a step of 1/64 K holds exactly, so that packing changes nothing."""
    return np.round(RNG.normal(280, 6, (*shape, len(LATITUDE), len(LONGITUDE))) * 64) / 64


@pytest.fixture(scope="module")
def truth() -> xr.DataArray:
    """Hourly, from north to south, longitudes from 0, float64."""
    dims = ("time", *GRID)
    coords = {"time": TIMES, "latitude": LATITUDE, "longitude": LONGITUDE}
    return xr.DataArray(temperature(len(TIMES)), coords, dims, "t2m", {"units": "K"})


@pytest.fixture(scope="module")
def forecast() -> xr.DataArray:
    """Four initial times, three leads, three members."""
    dims = ("init_time", "lead_time", "member", *GRID)
    coords: dict[str, Any] = {"init_time": INITS, "lead_time": np.array([3, 6, 9]) * HOUR, "member": range(MEMBERS)}
    coords |= {"latitude": LATITUDE, "longitude": LONGITUDE}
    return xr.DataArray(temperature(len(INITS), 3, MEMBERS), coords, dims, "t2m", {"units": "K"})


def plain_netcdf(truth: xr.DataArray, path: Path) -> None:
    truth.rename(latitude="lat", longitude="lon").to_dataset().to_netcdf(path)


def weatherbench_zarr(truth: xr.DataArray, path: Path) -> None:
    theirs = truth.rename("2m_temperature").transpose("time", "longitude", "latitude").to_dataset()
    theirs.to_zarr(path, zarr_format=2, consolidated=True)


TRUTHS = {"truth.nc": plain_netcdf, "truth.zarr": weatherbench_zarr}


def weatherbench(ours: xr.DataArray) -> xr.Dataset:
    names = {"init_time": "time", "lead_time": "prediction_timedelta", "member": "number"}
    return ours.rename("2m_temperature").rename(names).transpose(..., "longitude", "latitude").to_dataset()


def cfgrib(ours: xr.DataArray) -> xr.Dataset:
    theirs = ours.rename("t2m").rename(init_time="time", lead_time="step", member="number")
    around = (theirs["longitude"] + 180) % 360 - 180
    return theirs.assign_coords(longitude=around).sortby("longitude").isel(latitude=slice(None, None, -1)).to_dataset()


def members_last(ours: xr.DataArray) -> xr.Dataset:
    """The members innermost, leads in minutes, packed integers."""
    theirs = ours.rename(member="ensemble", latitude="lat", longitude="lon").transpose(..., "ensemble")
    minutes = ("lead_time", (ours["lead_time"] / np.timedelta64(1, "m")).values.astype(int), {"units": "minutes"})
    theirs = theirs.assign_coords(lead_time=minutes)
    theirs.encoding = {"dtype": "int16", "scale_factor": 1 / 64, "add_offset": 280.0, "_FillValue": -32768}
    return theirs.to_dataset()


def float_days(ours: xr.DataArray) -> xr.Dataset:
    """Leads in days as numbers, members by their CF name alone, no coordinates of members."""
    days = ("lead_time", (ours["lead_time"] / np.timedelta64(1, "D")).values, {"units": "days"})
    theirs = ours.assign_coords(lead_time=days).drop_vars("member").rename(member="realization")
    return theirs.to_dataset()


def shuffled(ours: xr.DataArray) -> xr.Dataset:
    """Initial and lead times in no order."""
    return ours.isel(init_time=[2, 0, 3, 1], lead_time=[1, 2, 0]).to_dataset()


STYLES = [weatherbench, cfgrib, members_last, float_days, shuffled]


def score(truth: Path, *forecasts: Path) -> Scores:
    inputs = open_inputs(Request(truth=truth, forecasts=forecasts, baselines=(), regions=()))
    part = score_part(inputs, inputs.cases.init_times, inputs.frames())
    return finish(inputs, [part], resamples=1, seed=0, metadata={})


def observed(truth: xr.DataArray, inits: np.ndarray, leads: np.ndarray) -> xr.DataArray:
    valid = xr.DataArray(inits[:, None] + leads, dims=("init_time", "lead_time"))
    return truth.sel(time=valid).drop_vars("time").assign_coords(init_time=inits, lead_time=leads)


def judged(forecast: xr.DataArray, truth: xr.DataArray) -> dict[str, np.ndarray]:
    """By metric, what `scores` makes of it at each lead, rows weighted by their area."""
    seen = observed(truth, forecast["init_time"].values, forecast["lead_time"].values)
    weights = np.cos(np.deg2rad(seen["latitude"])).broadcast_like(seen)
    mean = forecast.mean("member") if "member" in forecast.dims else forecast
    named = {"preserve_dims": "lead_time", "weights": weights}
    found = {
        name: judge(mean, seen, **named) for name, judge in {"rmse": rmse, "mae": mae, "bias": additive_bias}.items()
    }
    if "member" in forecast.dims:
        found["crps"] = crps_for_ensemble(forecast, seen, "member", method="fair", **named)
    return {name: values.values for name, values in found.items()}


def assert_judged(scores: Scores, forecast: xr.DataArray, truth: xr.DataArray) -> None:
    (name,) = scores.forecasts
    for metric, expected in judged(forecast, truth).items():
        np.testing.assert_allclose(scores.curves[name]["t2m"][metric].value, expected, rtol=2e-5, atol=1e-6)


@pytest.mark.parametrize("kind", TRUTHS)
@pytest.mark.parametrize("style", STYLES)
def test_ensembles(
    style: Callable[[xr.DataArray], xr.Dataset], kind: str, truth: xr.DataArray, forecast: xr.DataArray, tmp_path: Path
) -> None:
    TRUTHS[kind](truth, tmp_path / kind)
    style(forecast).to_netcdf(tmp_path / "theirs.nc")
    scores = score(tmp_path / kind, tmp_path / "theirs.nc")
    assert scores.counts["t2m"].tolist() == [4, 4, 4]
    assert_judged(scores, forecast, truth)


def valid_times(ours: xr.DataArray) -> xr.Dataset:
    """CF: the reference time alone, and the times for which the one forecast is valid."""
    one = ours.isel(init_time=0)
    start = one["init_time"].values
    theirs = (
        one.drop_vars("init_time").assign_coords(lead_time=start + one["lead_time"].values).rename(lead_time="time")
    )
    return theirs.assign_coords(forecast_reference_time=start).to_dataset()


def test_valid_times_without_members(truth: xr.DataArray, forecast: xr.DataArray, tmp_path: Path) -> None:
    plain_netcdf(truth, tmp_path / "truth.nc")
    single = forecast.isel(member=0, drop=True)
    valid_times(single).to_netcdf(tmp_path / "theirs.nc")
    assert_judged(score(tmp_path / "truth.nc", tmp_path / "theirs.nc"), single.isel(init_time=[0]), truth)


def test_an_initial_time_that_one_lacks(truth: xr.DataArray, forecast: xr.DataArray, tmp_path: Path) -> None:
    plain_netcdf(truth, tmp_path / "truth.nc")
    weatherbench(forecast.isel(init_time=[0, 1, 3])).to_netcdf(tmp_path / "a.nc")
    cfgrib(forecast).to_netcdf(tmp_path / "b.nc")
    scores = score(tmp_path / "truth.nc", tmp_path / "a.nc", tmp_path / "b.nc")
    assert scores.counts["t2m"].tolist() == [3, 3, 3]
    assert scores.cases.notes[0] == "b: 1 of 4 initial times left out: not in every forecast and the truth"
    assert "anomaly_correlation left out" in scores.cases.notes[1]  # such a truth has no training part
    assert len(scores.cases.notes) == 2
    expected = judged(forecast.isel(init_time=[0, 1, 3]), truth)
    for name in ("a", "b"):
        np.testing.assert_allclose(scores.curves[name]["t2m"]["crps"].value, expected["crps"], rtol=2e-5)
