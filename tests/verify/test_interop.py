"""What the tool writes, read by others: the CF checker, `scores`, xskillscore, and WeatherBench's layout."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import xarray as xr

from weatherml.config import parse
from weatherml.files import read_json
from weatherml.forecast.ensemble import EnsembleConfig, ensemble
from weatherml.forecast.netcdf import to_netcdf
from weatherml.forecast.rollout import rollout
from weatherml.forecast.store import ForecastWriter
from weatherml.grid import Grid
from weatherml.run.experiment import Experiment
from weatherml.train.trainer import train
from weatherml.variables import TABLE
from weatherml.verify import evaluate

INITS = ["2024-06-03T10", "2024-06-03T11"]
MEMBERS, STEPS = 3, 3
SUITE = "cf:1.11"
RECOMMENDED = {
    "§2.4": "time, height, y, x as the last dimensions: a member and a lead stand between",
    "§2.6": "a history of times and commands: a forecast gone on with is the same bytes as one never stopped",
    "§3.1.2": "whether kelvins are a difference",
    "§4.4": "whether time has leap seconds",
    "§7.3": "the checker knows no standard names in cell_methods, CF does: realization",
}
"""Sections of CF whose recommendations are not followed, and why."""
WEATHERBENCH = {"init_time": "time", "lead_time": "prediction_timedelta", "member": "number"}
"""The one renaming that docs/verification.md tells for WeatherBench 2; WeatherBench-X takes our names."""


@pytest.fixture(scope="module")
def written(small_dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with an ensemble and a single forecast, each as zarr and as NetCDF."""
    folder = tmp_path_factory.mktemp("interop")
    settings = {
        "model": {"kind": "crps", "base_features": 4, "depth": 1, "blocks": 1},
        "data": {"variables": ["t2m", "refc", "tracer"]},
        "train": {"steps": 2, "batch": 2, "precision": "32-true"},
    }
    run = train(parse(Experiment, settings), small_dataset, folder / "run", device="cpu").path
    drawn = parse(EnsembleConfig, {"members": MEMBERS, "products": ["mean", "probability"]})
    ensemble(run, small_dataset, drawn, init=INITS, steps=STEPS, output=folder / "many.zarr", device="cpu")
    rollout(run, small_dataset, init=INITS, steps=STEPS, output=folder / "one.zarr", device="cpu")
    for name in ("many", "one"):  # what `--output name.nc` does at its end
        to_netcdf(folder / f"{name}.zarr", folder / f"{name}.nc")
    return folder


@pytest.fixture(scope="module")
def scored(written: Path, small_dataset: Path) -> dict[str, dict[str, dict[str, list[float]]]]:
    """The scores of the ensemble, by variable and metric."""
    result = evaluate([written / "many.zarr"], small_dataset, baselines=["persistence"], output=written / "scores")
    found: dict[str, dict[str, dict[str, list[float]]]] = read_json(result.scores)["forecasts"]["many"]
    return found


def as_netcdf(store: Path, path: Path) -> Path:
    """A zarr store copied by xarray, which would give every array of floats a `_FillValue` of its own."""
    with xr.open_zarr(store) as dataset:
        plain = dataset.drop_encoding()
        plain.attrs = {
            name: value if isinstance(value, str | int) else json.dumps(value) for name, value in plain.attrs.items()
        }
        plain.to_netcdf(path, encoding={name: {"_FillValue": None} for name in plain.coords})
    return path


def test_the_cf_checker_has_no_complaint_of_weight(written: Path, small_dataset: Path, tmp_path: Path) -> None:
    runner = pytest.importorskip("compliance_checker.runner")
    runner.CheckSuite.load_all_available_checkers()
    stores = (small_dataset, written / "many.zarr", written / "one.zarr")
    files = [as_netcdf(store, tmp_path / f"{store.stem}.nc") for store in stores]
    for number, path in enumerate([*files, written / "many.nc", written / "one.nc"]):
        report = tmp_path / f"{number}.json"
        _, errors = runner.ComplianceChecker.run_checker(
            str(path), [SUITE], verbose=0, criteria="strict", output_filename=str(report), output_format="json"
        )
        assert not errors
        found = read_json(report)[SUITE]
        assert [check["msgs"] for check in found["high_priorities"] if check["msgs"]] == [], path.name
        sections = {check["name"].split()[0] for check in found["medium_priorities"] if check["msgs"]}
        assert sections <= RECOMMENDED.keys(), path.name
        assert not any(check["msgs"] for check in found["low_priorities"])


def pairs(written: Path, small_dataset: Path, name: str, file: str) -> tuple[xr.DataArray, xr.DataArray]:
    """Forecast and truth, float64, with (init_time, lead_time[, member], y, x)."""
    with xr.open_dataset(written / file, engine="zarr") as forecast, xr.open_zarr(small_dataset) as truth:
        observed = truth[name].sel(time=forecast["init_time"] + forecast["lead_time"]).drop_vars("time")
        return forecast[name].astype(float).load(), observed.astype(float).load()


@pytest.mark.parametrize("name", ["t2m", "refc"])
def test_scores_and_xskillscore_give_our_scores(
    name: str, written: Path, small_dataset: Path, scored: dict[str, dict[str, dict[str, list[float]]]]
) -> None:
    xskillscore = pytest.importorskip("xskillscore")
    judge = pytest.importorskip("scores")
    forecast, truth = pairs(written, small_dataset, name, "many.zarr")
    ours = {metric: np.array(scored[name][metric]["value"]) for metric in ("crps", "rmse", "bias")}
    by_lead = {"preserve_dims": "lead_time"}
    fair = judge.probability.crps_for_ensemble(forecast, truth, "member", method="fair", **by_lead)
    np.testing.assert_allclose(ours["crps"], fair, rtol=1e-6)
    mean = forecast.mean("member")
    np.testing.assert_allclose(ours["rmse"], judge.continuous.rmse(mean, truth, **by_lead), rtol=1e-6)
    np.testing.assert_allclose(ours["bias"], judge.continuous.additive_bias(mean, truth, **by_lead), rtol=1e-5)
    others = ["init_time", "y", "x"]
    np.testing.assert_allclose(ours["rmse"], xskillscore.rmse(mean, truth, dim=others), rtol=1e-6)
    # xskillscore divides the members' differences by 2 M^2, the fair score by 2 M (M - 1)
    near = xskillscore.mae(forecast, truth.broadcast_like(forecast), dim=[*others, "member"])
    far = near - xskillscore.crps_ensemble(truth, forecast, dim=others)
    np.testing.assert_allclose(ours["crps"], near - far * MEMBERS / (MEMBERS - 1), rtol=1e-6)


def latlon_forecast(path: Path) -> Path:
    """An ensemble of t2m on a grid of latitude and longitude."""
    kind = SimpleNamespace(
        variables=(TABLE["t2m"],),
        packings=(None,),
        grid=Grid(kind="latlon", y=np.arange(30.0, 36.0), x=np.arange(250.0, 258.0)),
        step=np.timedelta64(6, "h"),
    )
    inits = np.array(["2024-06-01T00", "2024-06-01T12"], "datetime64[s]")
    writer = ForecastWriter(path, {}, members=2)
    writer.create(kind, inits, 2, {"title": "a test"})
    for row in range(4):
        writer.write([row], 0, np.full((1, 2, 1, 6, 8), 280.0 + row))
    writer.complete(range(4), {})
    writer.finish()
    return path


@pytest.mark.parametrize("suffix", [".zarr", ".nc"])
def test_a_forecast_has_weatherbench_layout(suffix: str, tmp_path: Path) -> None:
    path = latlon_forecast(tmp_path / f"forecast{suffix}")
    with xr.open_dataset(path, engine="zarr" if suffix == ".zarr" else "netcdf4") as forecast:
        # WeatherBench-X selects by these names and types: PredictionsFromXarray(..., rename_dimensions=None)
        lead_times = np.array([6, 12], "timedelta64[h]").astype("timedelta64[ns]")
        chunk = forecast.sel(init_time=np.array(["2024-06-01T12"], "datetime64[ns]"), lead_time=lead_times)
        assert chunk["t2m"].dims == ("init_time", "lead_time", "member", "latitude", "longitude")
        assert chunk["t2m"].values[0, :, :, 0, 0].tolist() == [[282.0, 283.0]] * 2  # rows 2 and 3
        renamed = forecast.rename(WEATHERBENCH)
        assert renamed["t2m"].dims == ("time", "prediction_timedelta", "number", "latitude", "longitude")
        assert renamed["time"].dtype.kind == "M"
        assert renamed["prediction_timedelta"].dtype.kind == "m"
        assert renamed["prediction_timedelta"].values.astype("timedelta64[h]").astype(int).tolist() == [6, 12]


def test_a_dataset_is_a_target_of_weatherbench(small_dataset: Path) -> None:
    """WeatherBench-X renames `time` to `valid_time` and selects there by arrays of initial and lead time."""
    with xr.open_zarr(small_dataset) as dataset:
        inits, leads = dataset["time"].values[[10, 20]], np.array([1, 2, 3], "timedelta64[h]").astype("timedelta64[ns]")
        valid = xr.DataArray(inits, coords={"init_time": inits}) + xr.DataArray(leads, coords={"lead_time": leads})
        chunk = dataset.rename(time="valid_time").sel(valid_time=valid)
        assert chunk["t2m"].dims == ("init_time", "lead_time", "y", "x")
        np.testing.assert_array_equal(chunk["t2m"].values[1, 2], dataset["t2m"].values[23])
