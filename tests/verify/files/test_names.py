"""Forecasts as others write them have the scores of the same forecast in our names."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from weatherml.errors import BadDataError
from weatherml.verify.files.forecasts import open_forecast
from weatherml.verify.files.names import standard
from weatherml.verify.files.truth import open_truth

HOUR = np.timedelta64(1, "h")
TIMES = np.datetime64("2024-06-01T00", "ns") + np.arange(24) * HOUR
LATITUDE, LONGITUDE = np.linspace(-10.0, 10.0, 5), np.arange(0.0, 360.0, 45.0)
RNG = np.random.default_rng(5)


@pytest.fixture
def truth(tmp_path: Path) -> Path:
    values = RNG.normal(280, 10, (24, 5, 8)).astype(np.float32)
    path = tmp_path / "truth.nc"
    xr.Dataset(
        {"t2m": (("time", "latitude", "longitude"), values, {"units": "K"})},
        coords={"time": TIMES, "latitude": LATITUDE, "longitude": LONGITUDE},
    ).to_netcdf(path)
    return path


def forecast() -> xr.Dataset:
    """Two initial times, three hours each, in our names."""
    values = RNG.normal(280, 10, (2, 3, 5, 8)).astype(np.float32)
    return xr.Dataset(
        {"t2m": (("init_time", "lead_time", "latitude", "longitude"), values, {"units": "K"})},
        coords={
            "init_time": TIMES[[2, 9]],
            "lead_time": ("lead_time", [1, 2, 3], {"units": "hours"}),
            "latitude": LATITUDE,
            "longitude": LONGITUDE,
        },
    )


def weatherbench(ours: xr.Dataset) -> xr.Dataset:
    """Longitude before latitude, from north to south, leads as durations."""
    theirs = ours.rename(init_time="time", lead_time="prediction_timedelta", t2m="2m_temperature")
    theirs = theirs.assign_coords(prediction_timedelta=theirs["prediction_timedelta"].values * HOUR.astype("m8[ns]"))
    return theirs.isel(latitude=slice(None, None, -1)).transpose(..., "longitude", "latitude")


def cfgrib(ours: xr.Dataset) -> xr.Dataset:
    """Steps, two-dimensional valid times, longitudes from -180."""
    theirs = ours.rename(init_time="time", lead_time="step", t2m="T2M")
    valid = theirs["time"].values[:, None] + theirs["step"].values * HOUR
    theirs = theirs.assign_coords(valid_time=(("time", "step"), valid))
    around = (theirs["longitude"] + 180) % 360 - 180
    return theirs.assign_coords(longitude=around).sortby("longitude").rename(latitude="lat", longitude="lon")


def valid_times(ours: xr.Dataset) -> xr.Dataset:
    """CF: one reference time without a dimension, and the times for which it is valid."""
    one = ours.isel(init_time=0)
    start = one["init_time"].values
    theirs = one.drop_vars("init_time").assign_coords(lead_time=start + one["lead_time"].values * HOUR)
    return theirs.rename(lead_time="time").assign_coords(
        issued=((), start, {"standard_name": "forecast_reference_time"})
    )


@pytest.mark.parametrize("style", [weatherbench, cfgrib, valid_times])
def test_the_same_forecast(style: Callable[[xr.Dataset], xr.Dataset], truth: Path, tmp_path: Path) -> None:
    ours = forecast()
    style(ours).to_netcdf(tmp_path / "theirs.nc")
    file = open_forecast(tmp_path / "theirs.nc", open_truth(truth))
    expected = ours.isel(init_time=slice(len(file.init_times)))
    np.testing.assert_array_equal(file.init_times, expected["init_time"].values.astype("datetime64[s]"))
    for case, init in enumerate(file.init_times):
        values = file.read(init, file.lead_times, "t2m")
        np.testing.assert_array_equal(values[:, 0], expected["t2m"].values[case])
    np.testing.assert_array_equal(file.lead_times / HOUR, [1, 2, 3])


def test_our_names_stay() -> None:
    ours = forecast()
    assert standard(ours).identical(ours)


def test_what_has_no_lead_is_told_its_dimensions(truth: Path, tmp_path: Path) -> None:
    forecast().isel(lead_time=0, drop=True).to_netcdf(tmp_path / "bad.nc")
    with pytest.raises(BadDataError, match="no dimension lead_time with values among init_time, latitude, longitude"):
        open_forecast(tmp_path / "bad.nc", open_truth(truth))
