"""From forecast files to scores.json: the numbers, the cases, and what is refused."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr

from tests.verify.conftest import HOUR, INITS, forecast_dataset, write_truth
from weatherml.errors import BadDataError, MissingInputError, OutputError, WMLError
from weatherml.verify import evaluate

Make = Callable[..., Any]


def run(tmp_path: Path, truth: Path, *forecasts: Path, **options: Any) -> dict[str, Any]:
    options = {"baselines": ("persistence",), "resamples": 20, **options}
    found = evaluate(forecasts, truth, output=tmp_path / "scores", overwrite=True, **options)
    scores: dict[str, Any] = json.loads(found.scores.read_text())
    return scores


def save(dataset: xr.Dataset, path: Path) -> Path:
    dataset.to_zarr(path, consolidated=False) if path.suffix == ".zarr" else dataset.to_netcdf(path)
    return path


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A truth and a forecast."""
    folder: Path = tmp_path_factory.mktemp("small")
    write_truth(folder / "dataset.zarr")
    save(forecast_dataset(INITS, range(1, 7)), folder / "mine.zarr")
    return folder


@pytest.fixture(scope="module")
def truth(folder: Path) -> Path:
    return folder / "dataset.zarr"


@pytest.fixture(scope="module")
def forecast(folder: Path) -> Path:
    return folder / "mine.zarr"


@pytest.fixture(scope="module")
def seen() -> list[tuple[int, int]]:
    """What progress was told of `scores`."""
    return []


@pytest.fixture(scope="module")
def scores(folder: Path, truth: Path, forecast: Path, seen: list[tuple[int, int]]) -> dict[str, Any]:
    """The forecast beside persistence."""
    return run(folder, truth, forecast, progress=lambda done, total: seen.append((done, total)))


def test_scores_are_those_of_plain_numpy(truth: Path, forecast: Path, scores: dict[str, Any]) -> None:
    observed, mine = xr.open_zarr(truth, consolidated=False), xr.open_zarr(forecast, consolidated=False)
    valid = INITS[:, None] + np.arange(1, 7) * HOUR
    then = observed["t2m"].sel(time=xr.DataArray(valid.astype("datetime64[ns]"), dims=("init_time", "lead_time")))
    error = mine["t2m"].values - then.values
    still = observed["t2m"].sel(time=INITS.astype("datetime64[ns]")).values[:, None] - then.values
    assert list(scores["forecasts"]) == ["mine", "persistence"]
    found = scores["forecasts"]["mine"]["t2m"]["rmse"]
    assert found["lead_hours"] == [1, 2, 3, 4, 5, 6]
    np.testing.assert_allclose(found["value"], np.sqrt((error**2).mean((0, 2, 3))), rtol=1e-5)
    persistence = scores["forecasts"]["persistence"]["t2m"]["rmse"]["value"]
    np.testing.assert_allclose(persistence, np.sqrt((still**2).mean((0, 2, 3))), rtol=1e-5)
    assert all(
        low <= value <= high for low, value, high in zip(found["low"], found["value"], found["high"], strict=True)
    )
    assert scores["cases"]["t2m"] == {"lead_hours": [1, 2, 3, 4, 5, 6], "count": [6] * 6}
    assert {"csi_30dbz", "fss_30dbz_9km", "log_spectral_distance"} < set(scores["forecasts"]["mine"]["refc"])


def test_scores_nc_and_report_hold_the_same(folder: Path, scores: dict[str, Any]) -> None:
    with xr.open_dataset(folder / "scores" / "scores.nc", decode_timedelta=True) as stored:
        rmse = stored["value"].sel(forecast="mine", variable="t2m", metric="rmse")
        np.testing.assert_allclose(rmse, scores["forecasts"]["mine"]["t2m"]["rmse"]["value"])
        assert stored["power"].sel(source="truth").notnull().all()
    report = (folder / "scores" / "report.html").read_text().replace("http://www.w3.org/", "")  # a namespace's name
    assert "mine" in report
    assert "csi_30dbz" in report
    assert not any(remote in report for remote in ("http:", "https:", 'src="/', "@import"))  # fmt: skip
    assert {path.name for path in (folder / "scores").iterdir()} == {"report.html", "scores.json", "scores.nc"}


@pytest.mark.usefixtures("scores")
def test_progress_counts_cases(seen: list[tuple[int, int]]) -> None:
    assert seen == [(n, 6) for n in range(1, 7)]


def test_all_share_the_points_that_all_know(tmp_path: Path, truth: Path) -> None:
    whole, broken = forecast_dataset(INITS, [1, 2, 3]), forecast_dataset(INITS, [1, 2, 3], phase=0.1)
    broken["t2m"][:, 2:] = np.nan  # a rollout that stopped
    broken["t2m"][0, 0, :4] = np.nan
    scores = run(tmp_path, truth, save(whole, tmp_path / "a.nc"), save(broken, tmp_path / "b.nc"))
    for name in ("a", "b", "persistence"):
        value = scores["forecasts"][name]["t2m"]["rmse"]["value"]
        assert [number is None for number in value] == [False, False, True]
        assert None not in scores["forecasts"][name]["refc"]["rmse"]["value"]
    assert scores["cases"]["t2m"]["count"] == [6, 6, 0]


def test_foreign_file(tmp_path: Path, truth: Path, scores: dict[str, Any]) -> None:
    """Numeric hours, float32 axes, other spelling of units, transposed, no grid mapping."""
    own = forecast_dataset(INITS, range(1, 7))
    foreign = own.assign_coords(
        lead_time=range(1, 7), x=own.x.astype(np.float32), y=own.y.astype(np.float32)
    ).transpose("y", "x", "lead_time", "init_time")
    foreign["t2m"].attrs["units"] = "kelvin"
    del foreign["refc"].attrs["units"]
    found = run(tmp_path, truth, save(foreign, tmp_path / "mine.nc"))
    assert found["forecasts"] == scores["forecasts"]


def test_only_what_is_common_is_scored(tmp_path: Path, truth: Path) -> None:
    a = save(forecast_dataset(INITS, [1, 2, 3]), tmp_path / "a.nc")
    b = save(forecast_dataset(INITS[2:], [2, 3, 4], names=["t2m"]), tmp_path / "b.nc")
    found = evaluate([a, b], truth, output=tmp_path / "out", baselines=())
    scores = json.loads(found.scores.read_text())
    assert list(scores["forecasts"]["a"]) == ["t2m"]
    assert scores["cases"]["t2m"] == {"lead_hours": [2, 3], "count": [4, 4]}
    assert len(found.notes) == 4  # a: initial times, leads, variables; b: leads
    assert [line.lead_hours for line in found.headlines] == [2.0, 3.0, 2.0, 3.0]


def refusals() -> list[Any]:
    def far(d: xr.Dataset) -> xr.Dataset:
        return d.assign_coords(init_time=d.init_time + np.timedelta64(4000, "D"))

    return [
        pytest.param(far, r"no case in common.*truth 2024-06-01T00:00:00Z to 2024-06-04.*mine 2035", id="other years"),
        pytest.param(lambda d: d.isel(x=slice(0, 9)), "16 x 9 points instead of 16 x 16", id="shape"),
        pytest.param(lambda d: d.assign_coords(x=d.x + 3000), "x begins at -87000 instead of -90000", id="shifted"),
        pytest.param(lambda d: d.rename(y="latitude", x="longitude"), "latlon grid instead of projected", id="kind"),
        pytest.param(lambda d: d.rename(y="j"), "rename the grid's to y, x", id="dimensions"),
        pytest.param(lambda d: d.rename(t2m="a", refc="b"), "none of the truth's refc, t2m", id="variables"),
        pytest.param(lambda d: d.rename(init_time="start"), "no dimension init_time", id="no init_time"),
        pytest.param(
            lambda d: d.assign(t2m=d.t2m.assign_attrs(units="degC")), "t2m: units degC, the truth has K", id="units"
        ),
        pytest.param(lambda d: xr.concat([d, d], "init_time"), "init_time: values repeat", id="repeated"),
    ]


@pytest.mark.parametrize(("spoil", "message"), refusals())
def test_mismatches_are_refused(spoil: Make, message: str, tmp_path: Path, truth: Path) -> None:
    path = save(spoil(forecast_dataset(INITS, [1, 2])), tmp_path / "mine.nc")
    with pytest.raises(BadDataError, match=message) as caught:
        run(tmp_path, truth, path)
    assert caught.value.exit_code == 65
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "scores" / "scores.json").exists()


def test_a_corrupt_chunk_of_the_truth_is_named(tmp_path: Path, truth_path: Path, forecast: Path) -> None:
    chunk = truth_path / "t2m" / "c" / "57" / "0" / "0"  # hour 57: 2024-06-03T09
    chunk.write_bytes(b"\x00" * 12)
    with pytest.raises(BadDataError, match="t2m at 2024-06-03T09:00:00"):
        run(tmp_path, truth_path, forecast)


def test_a_lost_chunk_of_a_finished_dataset_is_named(tmp_path: Path, truth_path: Path, forecast: Path) -> None:
    (truth_path / "complete.json").write_text("{}")
    shutil.rmtree(truth_path / "refc" / "c" / "58")
    with pytest.raises(BadDataError, match="refc at 2024-06-03T10:00:00: its file is lost"):
        run(tmp_path, truth_path, forecast)


def test_a_corrupt_chunk_of_a_forecast_is_named(tmp_path: Path, truth: Path) -> None:
    dataset = forecast_dataset(INITS, [1, 2])
    path = tmp_path / "mine.zarr"
    dataset.to_zarr(path, consolidated=False, encoding={"refc": {"chunks": (1, 1, 16, 16)}})
    (path / "refc" / "c" / "1" / "1" / "0" / "0").write_bytes(b"\x07" * 9)
    with pytest.raises(BadDataError, match=r"refc at 2024-06-03T08:00:00Z \+ 2 h"):
        run(tmp_path, truth, path)


def test_missing_files_and_names(tmp_path: Path, truth: Path, forecast: Path) -> None:
    with pytest.raises(MissingInputError, match=r"none\.nc: no such file"):
        run(tmp_path, truth, tmp_path / "none.nc")
    with pytest.raises(MissingInputError, match="no such file"):
        run(tmp_path, tmp_path / "none.zarr", forecast)
    with pytest.raises(BadDataError, match="two forecasts"):
        run(tmp_path, truth, forecast, forecast)
    with pytest.raises(BadDataError, match="two forecasts or baselines"):
        run(tmp_path, truth, shutil.copytree(forecast, tmp_path / "persistence.zarr"))
    with pytest.raises(WMLError, match="did you mean 'persistence'"):
        run(tmp_path, truth, forecast, baselines=["persistance"])


@pytest.mark.usefixtures("scores")
def test_scores_are_replaced_only_on_demand(tmp_path: Path, folder: Path, truth: Path, forecast: Path) -> None:
    shutil.copytree(folder / "scores", tmp_path / "scores")
    (tmp_path / "scores" / "mine.txt").write_text("kept")
    before = (tmp_path / "scores" / "scores.nc").stat().st_mtime_ns
    with pytest.raises(OutputError, match="exists"):
        evaluate([forecast], truth, output=tmp_path / "scores")
    assert (tmp_path / "scores" / "scores.nc").stat().st_mtime_ns == before
    run(tmp_path, truth, save(forecast_dataset(INITS[:2], [1], names=["t2m"]), tmp_path / "other.nc"))
    assert (tmp_path / "scores" / "scores.nc").stat().st_mtime_ns > before
    assert (tmp_path / "scores" / "mine.txt").read_text() == "kept"
