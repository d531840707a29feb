"""The door for notebooks: what it gives, what it refuses, and that it stays light."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr

import weatherml
from weatherml.data.store import open_dataset
from weatherml.door.runs import assignments
from weatherml.errors import BadDataError, ConfigError, MissingInputError, OutputError, UsageError
from weatherml.models.simple_cnn import SimpleCNN
from weatherml.run.directory import METRICS

HEAVY = {"torch", "xarray", "pandas", "pydantic", "numpy", "zarr", "pyproj", "eccodes"}
SMALL = {"base_features": SimpleCNN().base_features // 5}
TRAIN = {"warmup": 1, "batch": 2, "validation": {"every": 2, "cases": 2, "lead_steps": 1}}


@pytest.fixture(scope="module")
def run(small_dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> weatherml.Run:
    """Two steps of a small network on two variables."""
    return weatherml.train_model(
        small_dataset,
        model={"kind": "simple-cnn", **SMALL},
        run=tmp_path_factory.mktemp("runs") / "small",
        steps=2,
        device="cpu",
        data={"variables": ["t2m", "refc"]},
        train=TRAIN,
    )


@pytest.fixture(scope="module")
def forecast(run: weatherml.Run, small_dataset: Path) -> xr.Dataset:
    """Two forecasts of three hours, the second from the dataset's last time."""
    output = run.path.parent / "small.zarr"
    times = weatherml.open_dataset(small_dataset).time.values
    return run.rollout(small_dataset, init=[times[-6], "last"], hours=3, output=output, device="cpu")


def test_importing_weatherml_loads_nothing_heavy() -> None:
    code = "import sys, weatherml; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert HEAVY.isdisjoint(loaded)
    assert set(weatherml.__all__) <= set(dir(weatherml))
    with pytest.raises(AttributeError, match="no attribute 'open_datset'"):
        weatherml.open_datset  # noqa: B018


def test_a_dataset_opens_in_physical_values_with_its_parts(small_dataset: Path) -> None:
    found, store = weatherml.open_dataset(str(small_dataset)), open_dataset(small_dataset)
    assert found.t2m.dims == ("time", "y", "x")
    assert found.t2m.units == "K"
    assert 270 < float(found.t2m.mean()) < 300
    assert {"latitude", "longitude", "projection", "split"} <= set(found.coords)
    for part in ("train", "validation", "test"):
        np.testing.assert_array_equal(np.flatnonzero(found.split == part), store.part(part))
    assert (found.split == "").any()  # the gaps
    assert not found.t2m._in_memory
    assert found.encoding["source"] == str(small_dataset)


def test_what_is_no_dataset_is_refused(tmp_path: Path, forecast: xr.Dataset) -> None:
    with pytest.raises(MissingInputError, match="no such dataset"):
        weatherml.open_dataset(tmp_path / "none.zarr")
    with pytest.raises(BadDataError, match="not a finished dataset"):
        weatherml.open_dataset(tmp_path)
    with pytest.raises(BadDataError, match=r"holds .?forecast"):
        weatherml.open_dataset(forecast.encoding["source"])
    with pytest.raises(MissingInputError, match="no such file"):
        weatherml.open_forecast(tmp_path / "none.nc")


def test_a_run_tells_what_it_is(run: weatherml.Run, small_dataset: Path) -> None:
    assert run.task == "forecast"
    assert run.variables == {"t2m": "K", "refc": "dBZ"}
    assert run.config["model"]["kind"] == "simple-cnn"
    assert run.config["train"]["steps"] == 2
    assert "finished at step 2" in repr(run)
    np.testing.assert_allclose(run.grid.latitude, weatherml.open_dataset(small_dataset).latitude)
    assert run.metrics.index.name == "step"
    assert run.metrics.loss.notna().any()
    assert len(run.metrics) == len({*run.metrics.index})
    assert len((run.path / METRICS).read_text().splitlines()) >= len(run.metrics)


def test_a_forecast_is_written_and_opened_lazily(forecast: xr.Dataset, small_dataset: Path) -> None:
    assert forecast.t2m.dims == ("init_time", "lead_time", "y", "x")
    assert forecast.t2m.units == "K"
    assert (forecast.lead_time == pd.to_timedelta([1, 2, 3], "h")).all()
    last = weatherml.open_dataset(small_dataset).time.values[-1]
    assert forecast.init_time.values[-1] == last
    assert not forecast.t2m._in_memory
    assert np.isfinite(forecast.t2m).all()


def test_netcdf_stays_readable_after_it_was_scored(
    run: weatherml.Run, small_dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    times = weatherml.open_dataset(small_dataset).time.values
    made = run.rollout(small_dataset, init=times[-6], steps=2, output="a.nc", device="cpu")
    scores = weatherml.evaluate(made, small_dataset, baselines=["persistence"])
    assert Path(scores.attrs["report"]) == Path("evaluation/a/report.html")
    assert scores.sizes["forecast"] == 2
    assert list(scores.lead_time.values) == [1, 2]
    rmse = float(scores.value.sel(forecast="a", variable="t2m", metric="rmse", lead_time=1))
    truth = weatherml.open_dataset(small_dataset).t2m.sel(time=times[-5])
    said = made.t2m.isel(init_time=0, lead_time=0)
    assert rmse == pytest.approx(float(((said - truth) ** 2).mean() ** 0.5), rel=1e-4)
    assert (made.lead_time == pd.to_timedelta([1, 2], "h")).all()
    with pytest.raises(OutputError, match="exists"):
        weatherml.evaluate(made, small_dataset, output="evaluation/a")


def test_a_dataset_stands_for_its_file_alone(forecast: xr.Dataset, small_dataset: Path) -> None:
    with pytest.raises(UsageError, match="changed since"):
        weatherml.evaluate(forecast.isel(init_time=[0]), small_dataset)
    with pytest.raises(UsageError, match="changed since"):
        weatherml.plot(forecast.assign(wind=forecast.t2m))
    with pytest.raises(UsageError, match="not opened by weatherml"):
        weatherml.evaluate(xr.Dataset(), small_dataset)


def test_a_picture(forecast: xr.Dataset, small_dataset: Path, tmp_path: Path) -> None:
    picture = weatherml.plot(forecast, tmp_path / "a.png", variable="t2m", hours=2, truth=small_dataset)
    assert picture.read_bytes().startswith(b"\x89PNG")
    with pytest.raises(UsageError, match="--show members: not known; choose field"):
        weatherml.plot(forecast, show="members")


def test_ensembles_need_a_generative_run(run: weatherml.Run, small_dataset: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="unknown key; did you mean 'seed'"):
        run.ensemble(small_dataset, sed=1, output=tmp_path / "a.zarr")
    with pytest.raises(UsageError, match="perturb"):
        run.ensemble(small_dataset, members=2, init="last", hours=1, output=tmp_path / "a.zarr", device="cpu")


def test_sequences_are_predicted_and_not_rolled_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    days = pd.date_range("2020-01-01", periods=160).strftime("%Y-%m-%d")
    rain = np.random.default_rng(0).exponential(1.0, len(days))
    frame = pd.DataFrame({"place": "a", "date": days, "rain": rain, "label": (np.roll(rain, 1) > 2).astype(int)})
    frame.to_csv(tmp_path / "table.csv", index=False)
    split = {"validation": 0.25, "test": 0.3}
    data = weatherml.prepare("table", tmp_path / "table.csv", tmp_path / "table.zarr", length=3, split=split)
    assert data.rain.dims == ("series", "step", "y", "x")
    assert list(data.series.values) == ["a"]
    assert data.time.dims == data.split.dims == ("series", "step")
    assert {"train", "validation", "test", ""} == {*np.unique(data.split)}
    net = {"kind": "cnn-convlstm", "base_features": 4, "lstm_hidden": 2, "heads": 1, "head": [2]}
    settings = {"loss": {"kind": "focal"}, "train": {"warmup": 1, "validation": {"every": 2}}, "model": net}
    run = weatherml.train_model(data, run=tmp_path / "run", steps=2, device="cpu", **settings)
    assert run.variables == {"label": "1"}
    assert "latitude" not in run.grid.coords
    with pytest.raises(UsageError, match="its task is classify, which steps nothing in time; call predict"):
        run.rollout(data)
    said = run.predict(data, device="cpu")
    assert said.encoding["source"] == "forecasts/run.nc"
    known = said.label_probability.where(data.split == "test")
    assert int(known.count()) == int((data.split == "test").sum())
    scores = weatherml.evaluate([said], data, output=tmp_path / "scores")
    assert scores.value.dims == ("forecast", "variable", "metric")
    base = float(data.label.where(data.split == "test").mean())
    assert float(scores.value.sel(forecast="run", variable="label", metric="base_rate")) == pytest.approx(base)
    with pytest.raises(UsageError, match="baselines: are for forecasts"):
        weatherml.evaluate(said, data, baselines=["persistence"], output=tmp_path / "other")


def test_nested_settings_become_assignments() -> None:
    found = assignments({"train": {"lr": 1e-3, "validation": {"every": 5}}, "loss": "l1", "data": {"flips": True}})
    assert found == ["train.lr=0.001", "train.validation.every=5", 'loss="l1"', "data.flips=true"]
