"""External forcing from files to scores, by the command line: a coarse copy of what is forecast, from the future."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from tests.cli.commands import refused, wml
from tests.conftest import waves
from tests.large_scale import LATITUDES, LONGITUDES
from weatherml.data.store import open_dataset

SMALL = ("model.base_features=8", "model.depth=1", "model.blocks=1", "train.batch=4", "train.precision=32-true")


def settings(*assignments: str) -> list[str]:
    return [word for each in assignments for word in ("--set", each)]


@pytest.fixture(scope="module")
def coarse(small_dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """t2m of the world's 72 hours at half a degree, the nearest point's where the world has none."""
    latitude, longitude = open_dataset(small_dataset).grid.latlon or ()
    places = [
        np.unravel_index(np.argmin((latitude - lat) ** 2 + (longitude + 360 - lon) ** 2), latitude.shape)
        for lat in LATITUDES
        for lon in LONGITUDES
    ]
    rows, columns = np.transpose(places)
    fine = waves(np.arange(72), (24, 20))["t2m"]
    values = fine[:, rows, columns].reshape(72, len(LATITUDES), len(LONGITUDES))
    with xr.open_zarr(small_dataset) as truth:
        times = truth.time.values
    file = tmp_path_factory.mktemp("coarse") / "coarse.nc"
    xr.Dataset(
        {"t2m": (("time", "lat", "lon"), values, {"units": "K"})},
        {
            "time": times,
            "lat": ("lat", LATITUDES, {"units": "degrees_north"}),
            "lon": ("lon", LONGITUDES, {"units": "degrees_east"}),
        },
    ).to_netcdf(file, engine="netcdf4")
    return file


def test_forcing_from_files_to_scores(small_dataset: Path, coarse: Path, tmp_path: Path) -> None:
    forcing, run, forecast = tmp_path / "forcing.zarr", tmp_path / "run", tmp_path / "forecast.zarr"
    code, _, err = wml("prepare", "netcdf", "--input", coarse, "--output", forcing)
    assert code == 0, err
    assert open_dataset(forcing).grid.kind == "latlon"
    options = ("--data", small_dataset, "--forcing", forcing, "--run", run, "--steps", 4, "--device", "cpu")
    code, _, err = wml("train", *options, *settings(*SMALL))
    assert code == 0, err
    code, _, err = wml("rollout", "--run", run, "--data", small_dataset, "--steps", 2, "--output", forecast)
    assert code == 0, err
    code, _, err = wml("evaluate", forecast, "--truth", small_dataset, "--output", tmp_path / "scores")
    assert code == 0, err
    scores = json.loads((tmp_path / "scores" / "scores.json").read_text())["forecasts"]["forecast"]
    assert np.isfinite(scores["t2m"]["rmse"]["value"]).all()
    again = ("--run", run, "--data", small_dataset, "--output", tmp_path / "again.zarr", "--steps", 1)
    refused(65, "no forcing for 2024-06-04T00:00:00Z", "rollout", *again, "--init", "last", "--forcing", forcing)
    refused(66, "no such dataset", "rollout", *again, "--forcing", tmp_path / "nowhere.zarr")
    refused(2, "runs of a blend", "ensemble", *again[2:], "--run", run, "--run", run, "--forcing", forcing)
