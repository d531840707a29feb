from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr

from weatherml.config import parse_member
from weatherml.errors import BadDataError, ConfigError, MissingInputError, WMLError
from weatherml.sources import SOURCES
from weatherml.sources.climate.calendar import is_annual, read_months
from weatherml.sources.climate.tables import at_months, read_annual
from weatherml.sources.sequences import Sequences

LAT, LON = np.array([-60.0, 0.0, 60.0]), np.arange(0.0, 360.0, 90.0)
GRID = {"lat": ("lat", LAT), "lon": ("lon", LON)}
TABLE = "Scenario,Region,Variable,Unit,2015,2016,2017,2018\n"


def monthly(
    path: Path, count: int = 24, *, calendar: str = "noleap", days: np.ndarray | None = None, name: str = "tas"
) -> Path:
    """Months from January 2015 of 280 + the month's number, in a calendar of its own."""
    times = xr.date_range("2015-01-01", periods=count, freq="MS", calendar=calendar, use_cftime=True)
    values = 280.0 + np.arange(count)[:, None, None] + LAT[:, None] / 60 + LON / 360
    data = xr.Dataset({name: (("time", "lat", "lon"), values, {"units": "K"})}, {"time": times, **GRID})
    if days is not None:
        data["time"] = ("time", days, {"units": "days since 2015-01-01", "calendar": calendar})
    data.to_netcdf(path, engine="netcdf4")
    return path


def forcings(path: Path, rows: dict[str, list[float]]) -> Path:
    lines = [f"{scenario},World,CO2,ppm,{','.join(map(str, values))}" for scenario, values in rows.items()]
    path.write_text(TABLE + "\n".join(lines) + "\n")
    return path


def cmip(folder: Path, **settings: Any) -> Sequences:
    where = {"Scenario": "{scenario}", "Region": "World", "Variable": "CO2"}
    chosen = {
        "length": 3,
        "train": ["high"],
        "test": {"low": 6},
        "forcings": {"co2": {"file": "world.csv", "where": where, "units": "ppm"}},
    }
    return parse_member(SOURCES, {"kind": "cmip", **chosen, **settings}, at="cmip").build([str(folder)])  # type: ignore[no-any-return]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    monthly(tmp_path / "tas_Amon_MODEL_high_r1.nc")
    monthly(tmp_path / "tas_Amon_MODEL_low_r1.nc", 18)
    forcings(tmp_path / "world.csv", {"high": [400, 420, 440, 460], "low": [400, 401, 402, 403]})
    return tmp_path


def test_scenarios_of_different_length_become_series(folder: Path) -> None:
    found = cmip(folder, log_co2=False)
    assert found.series == ("high", "low")
    assert np.isnat(found.times[1, 18:]).all()
    assert found.times[0, 1] == np.datetime64("2015-02-01")
    assert [variable.name for variable in found.inputs] == ["co2", "month_sin", "month_cos", "latitude_scaled"]
    assert found.part[0].tolist() == [-1, -1] + [0] * 22  # the first two have no three steps
    assert found.part[1, :18].tolist() == [-1] * 12 + [2] * 6
    assert np.isnan(found.values["tas"][1, 18:]).all()
    assert found.values["tas"][0, 5, 1, 0] == 285
    assert found.grid.periodic_x
    assert "so2: not among the forcings, left out" in found.notes


def test_features_of_the_calendar_and_of_latitude(folder: Path) -> None:
    found = cmip(folder)
    np.testing.assert_allclose(found.values["month_sin"][0, [0, 3, 6], 0, 0], [0, 1, 0], atol=1e-6)
    np.testing.assert_allclose(found.values["month_cos"][0, [0, 3, 6], 0, 0], [1, 0, -1], atol=1e-6)
    np.testing.assert_allclose(found.values["latitude_scaled"][0, 0, :, 0], LAT / 90, rtol=1e-6)


def test_annual_forcings_are_linear_between_the_middles_of_years(folder: Path) -> None:
    co2 = np.exp(cmip(folder).values["co2"][0, :, 0, 0].astype(float))
    # January 2015 is before the first middle: held; January 2016 is 13/24 of the way from July 2015 to July 2016
    np.testing.assert_allclose(co2[[0, 12]], [400, 400 + 20 * 13 / 24], rtol=1e-5)


def test_targets_as_changes_since_a_reference(folder: Path) -> None:
    plain, found = cmip(folder), cmip(folder, reference=[2015, 2015])
    assert found.inputs[1].name == "tas_reference"
    whole = found.values["tas"] + found.values["tas_reference"]
    np.testing.assert_allclose(whole, plain.values["tas"], atol=1e-4)
    np.testing.assert_allclose(found.values["tas"][0, :12], 0, atol=1e-4)
    np.testing.assert_allclose(found.values["tas"][0, 12:], 12, atol=1e-4)
    with pytest.raises(BadDataError, match="no training step from 1990 to 1999"):
        cmip(folder, reference=[1990, 1999])


@pytest.mark.parametrize("calendar", ["360_day", "noleap", "standard"])
def test_months_of_any_calendar(tmp_path: Path, calendar: str) -> None:
    path = monthly(tmp_path / "file.nc", 24, calendar=calendar)
    with xr.open_dataset(path, decode_times=False) as dataset:
        months = read_months(path, dataset, "time")
    np.testing.assert_array_equal(months, np.arange("2015-01", "2017-01", dtype="datetime64[M]"))
    assert not is_annual(months)


def test_the_thirtieth_of_february_is_in_february(tmp_path: Path) -> None:
    path = monthly(tmp_path / "file.nc", 2, calendar="360_day", days=np.array([29.0, 59.0]))
    with xr.open_dataset(path, decode_times=False) as dataset:
        assert read_months(path, dataset, "time").tolist() == np.array(["2015-01", "2015-02"], "datetime64[M]").tolist()


def test_years_as_numbers(tmp_path: Path) -> None:
    path = tmp_path / "years.nc"
    xr.Dataset({"x": ("time", np.zeros(2))}, {"time": [2015, 2016]}).to_netcdf(path)
    with xr.open_dataset(path, decode_times=False) as dataset:
        months = read_months(path, dataset, "time")
    assert months.astype(str).tolist() == ["2015-01", "2016-01"]
    assert is_annual(months)


def test_files_that_follow_each_other_are_joined(folder: Path) -> None:
    (folder / "tas_Amon_MODEL_low_r1.nc").unlink()
    days = np.array([15.0 + 30 * n for n in range(18)])
    for n, part in enumerate((slice(9, 18), slice(0, 9))):
        monthly(folder / f"tas_Amon_MODEL_low_{n}.nc", 9, calendar="360_day", days=days[part])
    assert (~np.isnat(cmip(folder).times[1])).sum() == 18


@pytest.mark.parametrize(
    ("days", "message"),
    [
        ([15.0, 45.0, 50.0, 105.0], r"tas_Amon_MODEL_low_r1.nc: 2015-02 stands twice; write each date once, in order"),
        ([15.0, 75.0, 45.0, 105.0], r"low_r1.nc: 2015-02 comes after 2015-03"),
    ],
)
def test_dates_twice_or_unsorted_are_refused(folder: Path, days: list[float], message: str) -> None:
    monthly(folder / "tas_Amon_MODEL_low_r1.nc", 4, calendar="360_day", days=np.array(days))
    with pytest.raises(BadDataError, match=message):
        cmip(folder)


def test_a_gap_has_no_sequence(folder: Path) -> None:
    days = np.array([15.0 + 30 * n for n in range(12) if n != 5])
    monthly(folder / "tas_Amon_MODEL_low_r1.nc", 11, calendar="360_day", days=days)
    part = cmip(folder, test={"low": 12}).part[1]
    assert (part[:11] == 2).tolist() == [False, False, True, True, True, False, False, True, True, True, True]


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"length": 20}, BadDataError, "low: 18 dates, a sequence has 20; set a shorter length"),
        ({"train": ["other"]}, MissingInputError, r"tas_\*mon_\*_other_\*.nc: none of the 3 inputs has this name"),
        ({"train": ["low"]}, ConfigError, "low is to be tested and seen in training"),
        ({"train": []}, ConfigError, "train and targets name at least one"),
        ({"targets": ["pr"]}, MissingInputError, r"pr_\*mon_\*_high_\*.nc: none of"),
        ({"outputs": {"tas": {"file": "tas_*{scenario}*", "variable": "ts"}}}, BadDataError, "no variable ts; .*'tas'"),
        ({"forcings": {"co2": {"file": "world.csv", "variable": "CO2"}}}, BadDataError, "no column CO2"),
    ],
)
def test_what_is_missing_is_named(folder: Path, settings: dict[str, Any], error: type[WMLError], message: str) -> None:
    with pytest.raises(error, match=message):
        cmip(folder, **settings)


def test_forcings_of_other_years_are_refused(folder: Path) -> None:
    monthly(folder / "tas_Amon_MODEL_high_r1.nc", 60)
    with pytest.raises(BadDataError, match=r"high: co2: 2015 to 2018, its targets are of 2015 to 2019"):
        cmip(folder)


def test_forcing_files_of_another_length_are_refused(folder: Path) -> None:
    monthly(folder / "so2_high.nc", 12, name="so2")
    monthly(folder / "so2_low.nc", 18, name="so2")
    with pytest.raises(BadDataError, match="high: so2: 12 dates where the target has 24; give the same of both"):
        cmip(folder, forcings={"so2": {"file": "so2_{scenario}.nc"}})


def test_a_logarithm_needs_more_than_nothing(folder: Path) -> None:
    forcings(folder / "world.csv", {"high": [0, 1, 2, 3], "low": [1, 1, 1, 1]})
    with pytest.raises(BadDataError, match="high: CO2 is not above 0 everywhere; set log_co2=false"):
        cmip(folder)


def test_tables_with_years_in_rows_and_blanks(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    path.write_text("year,CO2\n2015,1\n2016,\n2017,3\n")
    years, values = read_annual(path, "CO2", {})
    assert years.tolist() == [2015, 2017]
    annual = np.array(["2015-01", "2016-01", "2017-01"], "datetime64[M]")
    np.testing.assert_allclose(at_months(years, values, annual, "x"), [1, 2, 3])
    path.write_text("year,CO2\n2015,1\n2015,2\n")
    with pytest.raises(BadDataError, match="2015 stands twice or after a later year"):
        read_annual(path, "CO2", {})


def test_rows_must_be_one(folder: Path) -> None:
    with pytest.raises(BadDataError, match=r"world\.csv: 2 rows with Region = World; one is needed"):
        read_annual(folder / "world.csv", "", {"Region": "World"})


def test_real_cmip6_with_rcmip(shared_data: Path) -> None:
    config = parse_member(SOURCES, "cmip", at="cmip")
    found = config.build([str(shared_data / "cmip6_mesmer"), str(shared_data / "rcmip_ssp")])
    assert found.values["tas"].shape == (2, 1032, 20, 20)
    assert found.grid.periodic_x
    assert (found.part == 2).sum() == 252
    assert str(found.times[1, 780]) == "2080-01-01T00:00:00"
    assert found.part[1, 779:781].tolist() == [-1, 2]
    assert np.exp(found.values["co2"][0, 6, 0, 0]) == pytest.approx(400, rel=0.01)
    assert len(found.files) == 4
