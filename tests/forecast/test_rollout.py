"""Rollouts: persistence repeats, channels bind by name, the valid part survives, a killed job goes on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import xarray as xr

from weatherml.data.store import open_dataset
from weatherml.errors import BadDataError, MissingInputError, OutputError, UsageError, WMLError
from weatherml.forecast.initial import initial_indices
from weatherml.forecast.length import forecast_steps
from weatherml.forecast.rollout import rollout
from weatherml.forecast.store import ForecastWriter
from weatherml.models.prediction import ChangeModel
from weatherml.run.directory import Run


def opened(path: Path) -> xr.Dataset:
    return xr.open_zarr(path) if path.suffix == ".zarr" else xr.open_dataset(path)


def test_persistence_repeats_the_initial_state(persistence: Run, small_dataset: Path, tmp_path: Path) -> None:
    made = rollout(persistence.path, small_dataset, init=["last"], steps=3, output=tmp_path / "f.zarr", device="cpu")
    with opened(made.path) as forecast, opened(small_dataset) as truth:
        assert forecast.lead_time.values.tolist() == [np.timedelta64(hours, "h") for hours in (1, 2, 3)]
        assert forecast.init_time.values == truth.time.values[-1:]
        for name in open_dataset(small_dataset).names:
            last = truth[name].isel(time=-1).values
            for lead in range(3):
                np.testing.assert_allclose(forecast[name][0, lead].values, last, rtol=2e-6, atol=2e-2)
            assert forecast[name].attrs["units"] == truth[name].attrs["units"]
            assert forecast[name].encoding.get("grid_mapping") or forecast[name].attrs["grid_mapping"] == "projection"


def test_zarr_and_netcdf_hold_the_same(learned: Run, small_dataset: Path, tmp_path: Path) -> None:
    paths = [tmp_path / "f.zarr", tmp_path / "f.nc"]
    for path in paths:
        rollout(learned.path, small_dataset, init=["test"], steps=2, output=path, device="cpu")
    with opened(paths[0]) as store, opened(paths[1]) as file:
        for name in store.data_vars:
            if "lead_time" in store[name].dims:
                np.testing.assert_array_equal(store[name].values, file[name].values)
        np.testing.assert_array_equal(store.init_time.values, file.init_time.values)


def test_forecasts_do_not_depend_on_which_are_made_together(learned: Run, small_dataset: Path, tmp_path: Path) -> None:
    together = rollout(learned.path, small_dataset, init=["test"], steps=2, output=tmp_path / "a.zarr", device="cpu")
    time = together.init_times[1]
    alone = rollout(learned.path, small_dataset, init=[f"{time}Z"], steps=2, output=tmp_path / "b.zarr", device="cpu")
    with opened(together.path) as many, opened(alone.path) as one:
        difference = abs(many.t2m.sel(init_time=time) - one.t2m.isel(init_time=0)).max()
        assert float(difference) <= 1 / 64  # a packing step: sums of another batch size round differently


def test_values_stay_within_the_valid_ranges(
    learned: Run, small_dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    forward = ChangeModel.forward
    monkeypatch.setattr(ChangeModel, "forward", lambda self, batch: forward(self, batch) + 9.0)
    rollout(learned.path, small_dataset, init=["last"], steps=12, output=tmp_path / "f.zarr", device="cpu")
    dataset = open_dataset(small_dataset)
    normaliser = learned.normaliser(dataset.packings)
    bounds = normaliser.forecast(torch.full((len(dataset.variables), 1, 1), 1e4)).flatten().tolist()
    with opened(tmp_path / "f.zarr") as forecast:
        for variable, bound in zip(dataset.variables, bounds, strict=True):
            values = forecast[variable.name].values
            assert np.isfinite(values).all()
            assert values[:, -1].max() == pytest.approx(bound, rel=1e-2)  # it was driven against the bound
            assert variable.valid_max is None or values.max() <= variable.valid_max


def test_the_valid_part_is_kept_where_a_forecast_turns_non_finite(
    learned: Run, small_dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    forward, calls = ChangeModel.forward, []

    def failing(self: Any, batch: Any) -> torch.Tensor:
        calls.append(1)
        out: torch.Tensor = forward(self, batch)
        return out * float("inf") if len(calls) == 3 else out

    monkeypatch.setattr(ChangeModel, "forward", failing)
    with pytest.raises(WMLError, match=r"non-finite, the first from .* after 2 step"):
        rollout(learned.path, small_dataset, init=["last"], steps=4, output=tmp_path / "f.zarr", device="cpu")
    with opened(tmp_path / "f.zarr") as forecast:
        assert np.isfinite(forecast.t2m.values[0, :2]).all()
        assert np.isnan(forecast.t2m.values[0, 2:]).all()


def test_a_killed_rollout_goes_on_and_ends_the_same(
    learned: Run, small_dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("weatherml.forecast.rows.BATCH_POINTS", 1)
    arguments: dict[str, Any] = {"init": ["test"], "steps": 2, "device": "cpu"}
    rollout(learned.path, small_dataset, output=tmp_path / "whole.zarr", **arguments)
    complete, calls = ForecastWriter.complete, []

    def killed(self: ForecastWriter, *args: Any) -> None:
        complete(self, *args)
        calls.append(1)
        if len(calls) == 2:
            raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ForecastWriter, "complete", killed)
        with pytest.raises(KeyboardInterrupt):
            rollout(learned.path, small_dataset, output=tmp_path / "parts.zarr", **arguments)
    assert not (tmp_path / "parts.zarr").exists()
    seen = []
    rollout(
        learned.path,
        small_dataset,
        output=tmp_path / "parts.zarr",
        progress=lambda d, t: seen.append((d, t)),
        **arguments,
    )
    assert seen[0][0] > 4  # two initial times of two steps were done before
    for file in sorted((tmp_path / "whole.zarr").rglob("*")):
        if file.is_file():
            assert (
                file.read_bytes() == (tmp_path / "parts.zarr" / file.relative_to(tmp_path / "whole.zarr")).read_bytes()
            )


def test_what_cannot_be_forecast_is_refused(learned: Run, small_dataset: Path, tmp_path: Path) -> None:
    output = tmp_path / "f.zarr"
    with pytest.raises(MissingInputError, match="its times run from"):
        rollout(learned.path, small_dataset, init=["1999-01-01T00:00"], steps=1, output=output, device="cpu")
    with pytest.raises(UsageError, match="not an ISO time"):
        rollout(learned.path, small_dataset, init=["yesterday"], steps=1, output=output, device="cpu")
    with pytest.raises(UsageError, match="not a whole number"):
        forecast_steps(learned.path, hours=1.5, steps=None)
    assert forecast_steps(learned.path, hours=6, steps=None) == 6
    rollout(learned.path, small_dataset, init=["last"], steps=1, output=output, device="cpu")
    with pytest.raises(OutputError, match="exists"):
        rollout(learned.path, small_dataset, init=["last"], steps=1, output=output, device="cpu")


def test_a_dataset_of_other_channels_is_refused_by_name(learned: Run, small_dataset: Path, tmp_path: Path) -> None:
    dataset = open_dataset(small_dataset)
    assert (
        learned.forecast_lineage.matched(dataset.select(dataset.names[::-1])).names == dataset.names
    )  # reordered by name
    with pytest.raises(BadDataError, match="has no variable"):
        learned.forecast_lineage.matched(dataset.select(dataset.names[:-1]))


def test_times_of_the_test_part_by_the_hour(small_dataset: Path) -> None:
    dataset = open_dataset(small_dataset)
    every = dataset.times[initial_indices(dataset, ["test"], history=1)]
    third = dataset.times[initial_indices(dataset, ["test:3h"], history=1)]
    assert [f"{time}" for time in third] == [f"{time}" for time in every if int(f"{time}"[11:13]) % 3 == 0]
    assert 1 < len(third) < len(every)
    with pytest.raises(MissingInputError, match=r"--init test:24h: .* has no initial time at these hours"):
        initial_indices(dataset, ["test:24h"], history=1)
    with pytest.raises(UsageError, match="not an ISO time, `last`, `test` or `test:6h`"):
        initial_indices(dataset, ["test:0h"], history=1)
