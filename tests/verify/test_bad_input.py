"""Missing values, missing truth, thresholds nobody can reach: said in one line, and never a number over nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr

from tests.verify.conftest import HOUR, INITS, forecast_dataset, write_truth
from weatherml.errors import BadDataError, ConfigError
from weatherml.metrics.base import METRICS
from weatherml.variables import TABLE
from weatherml.verify.scores.finish import finish
from weatherml.verify.scores.scores import Scores, headlines
from weatherml.verify.scoring.inputs import Request, open_inputs, read_baseline, within_range
from weatherml.verify.scoring.parts import score_part


def score(truth: Path, *forecasts: Path, baselines: tuple[Any, ...] = ()) -> Scores:
    found = tuple(read_baseline(baseline) for baseline in baselines)
    inputs = open_inputs(Request(truth=truth, forecasts=forecasts, baselines=found, regions=()))
    part = score_part(inputs, inputs.cases.init_times, inputs.frames())
    return finish(inputs, [part], resamples=1, seed=0, metadata={})


def save(dataset: xr.Dataset, path: Path) -> Path:
    dataset.to_netcdf(path)
    return path


@pytest.fixture(scope="module")
def small_truth(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_truth(tmp_path_factory.mktemp("truth") / "small.zarr", size=6)


def small(inits: np.ndarray, leads: list[int], **options: Any) -> xr.Dataset:
    return forecast_dataset(inits, leads, size=6, **options)


def test_members_missing_in_a_part(small_truth: Path, tmp_path: Path) -> None:
    ensemble = small(INITS, [1, 2], members=3)
    ensemble["t2m"][1, 0, 2] = np.nan  # a member that failed
    ensemble["t2m"][2, 1, 0, :3] = np.nan
    scores = score(small_truth, save(ensemble, tmp_path / "mine.nc"))
    assert scores.counts["t2m"].tolist() == [5, 6]
    (note,) = (note for note in scores.cases.notes if "mine: t2m" in note)
    assert note.startswith(
        "mine: t2m: of 12 forecasts (initial and lead time) 1 hold no value where the truth has one, "
    )
    assert note.endswith("1 lack points or members; those points are left out for all")
    assert np.isnan(scores.case_errors["mine"]["t2m"]).sum() == 0  # the other lead of that case was scored


def test_a_variable_without_values(small_truth: Path, tmp_path: Path) -> None:
    spoilt = small(INITS, [1])
    spoilt["refc"][:] = np.nan
    scores = score(small_truth, save(spoilt, tmp_path / "mine.nc"), baselines=("persistence",))
    assert list(scores.variables) == ["t2m"]
    assert list(scores.curves["mine"]) == ["t2m"]
    assert list(scores.case_errors["persistence"]) == ["t2m"]
    assert any(
        note.startswith("mine: refc: of 6 forecasts (initial and lead time) 6 hold") for note in scores.cases.notes
    )
    assert scores.cases.notes[-1] == "refc: nothing scored; left out"


def test_no_values_at_all(small_truth: Path, tmp_path: Path) -> None:
    spoilt = small(INITS, [1]) * np.nan
    with pytest.raises(BadDataError, match=r"no point that the truth and all forecasts know \(mine: refc: of 6"):
        score(small_truth, save(spoilt, tmp_path / "mine.nc"))


def test_a_truth_without_values(tmp_path: Path, small_truth: Path) -> None:
    truth = xr.load_dataset(small_truth, engine="zarr", consolidated=False)[["refc", "t2m"]].drop_attrs(deep=False)
    for array in truth.values():
        array.attrs.pop("grid_mapping", None)
    truth["t2m"][:] = np.nan
    forecast = save(small(INITS, [1]), tmp_path / "mine.nc")
    scores = score(save(truth, tmp_path / "truth.nc"), forecast)
    assert list(scores.variables) == ["refc"]
    assert any("truth.nc: t2m: no value at the times of the forecasts" in note for note in scores.cases.notes)


def test_a_truth_that_ends(small_truth: Path, tmp_path: Path) -> None:
    last = np.datetime64("2024-06-04T23:00:00", "s")
    inits = np.array([last - 3 * HOUR, last - 2 * HOUR, last])
    scores = score(small_truth, save(small(inits, [1, 2, 3, 4], names=["t2m"]), tmp_path / "mine.nc"))
    assert scores.counts["t2m"].tolist() == [2, 2, 1, 0]
    assert scores.curves["mine"]["t2m"]["rmse"].value.isnan().tolist() == [False, False, False, True]
    note = (
        "3 of 8 forecasts (initial and lead time) are not in the truth, which ends 2024-06-04T23:00:00Z; 5 are scored"
    )
    assert note in scores.cases.notes
    assert any("1 of 3 initial times" in note for note in scores.cases.notes)
    assert [line.lead_hours for line in headlines(scores)] == [1.0]


def test_leads_between_the_truth_s_times(small_truth: Path, tmp_path: Path) -> None:
    forecast = small(INITS, [1, 2], names=["t2m"])
    minutes = forecast.assign_coords(lead_time=np.array([60, 90]) * np.timedelta64(1, "m").astype("timedelta64[ns]"))
    scores = score(small_truth, save(minutes, tmp_path / "mine.nc"), baselines=("climatology",))
    assert scores.counts["t2m"].tolist() == [6, 0]
    assert any("6 of 12 forecasts" in note and "which has gaps" in note for note in scores.cases.notes)


def test_thresholds_out_of_range() -> None:
    variable, note = within_range(TABLE["refc"].model_copy(update={"thresholds": (-20.0, 30.0, 95.0)}))
    assert variable.thresholds == (30.0,)
    assert note == "refc: thresholds -20, 95 outside -10 to 90 dBZ; left out"
    assert within_range(TABLE["t2m"]) == (TABLE["t2m"], "")


def test_another_forecast_as_a_baseline(small_truth: Path, tmp_path: Path) -> None:
    mine = save(small(INITS, [1, 2, 3]), tmp_path / "mine.nc")
    operational = save(small(INITS[:4], [2, 3], names=["t2m"], phase=0.2), tmp_path / "hrrr.nc")
    scores = score(small_truth, mine, baselines=("persistence", str(operational)))
    assert scores.baselines == ["persistence", "hrrr"]
    assert scores.cases.lead_hours == [2, 3]
    assert scores.counts["refc"].tolist() == [4, 4]
    assert "refc" not in scores.curves["hrrr"]
    assert list(scores.comparisons["mine"]["hrrr"]) == ["t2m"]
    assert "hrrr: does not forecast refc; no baseline there" in scores.cases.notes
    line = next(line for line in headlines(scores) if line.variable == "refc")
    assert np.isnan(line.gain("hrrr"))
    with pytest.raises(BadDataError, match="mine: two forecasts or baselines have this name"):
        score(small_truth, mine, baselines=(mine,))


def test_names_of_baselines() -> None:
    assert read_baseline("forecasts/hrrr.zarr") == Path("forecasts/hrrr.zarr")
    assert read_baseline("persistence").kind == "persistence"  # type: ignore[union-attr]
    with pytest.raises(ConfigError, match="did you mean 'persistence'"):
        read_baseline("persistance")


def test_anomalies_are_those_of_the_climatology(small_truth: Path, tmp_path: Path) -> None:
    """The correlation of departures from the mean at the same hour of the training days."""
    mine = save(small(INITS, [1, 2], names=["t2m"], phase=0.1), tmp_path / "mine.nc")
    asking = [name for name in METRICS if METRICS[name].of_anomalies]
    assert asking == ["anomaly_correlation"]
    scores = score(small_truth, mine)
    truth = xr.load_dataset(small_truth, engine="zarr", consolidated=False)["t2m"]
    normal = truth[:48].groupby(truth["time"][:48].dt.hour).mean()  # the first half trains
    forecast = xr.load_dataset(mine)["t2m"]
    valid = xr.DataArray(forecast["init_time"].values[:, None] + forecast["lead_time"].values, dims=("i", "l"))
    mean = normal.sel(hour=valid.dt.hour).values
    a, b = forecast.values - mean, truth.sel(time=valid).values - mean
    expected = (a * b).sum((0, 2, 3)) / np.sqrt((a**2).sum((0, 2, 3)) * (b**2).sum((0, 2, 3)))
    found = scores.curves["mine"]["t2m"]["anomaly_correlation"].value
    np.testing.assert_allclose(found, expected, rtol=1e-3)
