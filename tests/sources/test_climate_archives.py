from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr

from weatherml.config import parse_member
from weatherml.errors import BadDataError
from weatherml.sources import SOURCES
from weatherml.sources.sequences import Sequences

LAT, LON = np.array([-60.0, 0.0, 60.0]), np.arange(0.0, 360.0, 90.0)
MAP = (len(LAT), len(LON))


def experiment(folder: Path, name: str, years: np.ndarray, *, members: int = 2) -> None:
    """A pair of ClimateBench's files."""
    T = len(years)
    world = {"CO2": np.arange(T, dtype=float), "CH4": np.ones(T)}
    maps = {"SO2": np.ones((T, *MAP)), "BC": np.full((T, *MAP), 2.0)}
    xr.Dataset(
        {
            **{k: ("time", v) for k, v in world.items()},
            **{k: (("time", "latitude", "longitude"), v) for k, v in maps.items()},
        },
        {"time": years, "latitude": LAT, "longitude": LON},
    ).to_netcdf(folder / f"inputs_{name}.nc")
    fields = np.arange(members, dtype=float)[:, None, None, None] + np.zeros((members, T, *MAP))
    dims = ("member", "time", "lat", "lon")
    names = ("tas", "diurnal_temperature_range", "pr", "pr90")
    xr.Dataset(
        {key: (dims, fields / (86400 if key.startswith("pr") else 1)) for key in names},
        {"time": years, "lat": LAT, "lon": LON},
    ).to_netcdf(folder / f"outputs_{name}.nc")


@pytest.fixture
def climatebench(tmp_path: Path) -> Path:
    experiment(tmp_path, "historical", np.arange(1990, 2015))
    for name in ("ssp126", "ssp370", "ssp585", "ssp245"):
        experiment(tmp_path, name, np.arange(2070, 2101))
    return tmp_path


def build(kind: str, path: Path, **settings: Any) -> Sequences:
    return parse_member(SOURCES, {"kind": kind, **settings}, at=kind).build([str(path)])  # type: ignore[no-any-return]


def test_climatebench(climatebench: Path) -> None:
    found = build("climatebench", climatebench)
    assert found.series == ("historical", "ssp126", "ssp370", "ssp585", "ssp245")
    assert [variable.name for variable in found.inputs] == ["co2", "so2", "ch4", "bc", "latitude_scaled"]
    assert [variable.units for variable in found.targets] == ["K", "K", "mm day-1", "mm day-1"]
    assert found.values["pr"][0, 0, 0, 0] == pytest.approx(0.5)  # the mean of members 0 and 1, x 86400
    tested = found.times[4][found.part[4] == 2].astype("datetime64[Y]").astype(int) + 1970
    assert tested.tolist() == list(range(2080, 2101))
    assert (found.part[2] == 1).sum() == 10
    assert (found.part[0] == 0).sum() == 25 - 9  # a sequence of ten years
    assert set(found.notes) == {
        "rsdt: not among the forcings, left out",
        "month_sin, month_cos: the data are annual, left out",
    }


def test_climatebench_pairs_agree(climatebench: Path) -> None:
    experiment(climatebench, "ssp126", np.arange(2069, 2101))
    outputs = climatebench / "outputs_ssp126.nc"
    outputs.unlink()
    with pytest.raises(BadDataError, match=r"outputs_ssp126.nc: not among inputs_historical.nc"):
        build("climatebench", climatebench)
    (climatebench / "outputs_ssp585.nc").rename(outputs)
    experiment(climatebench, "ssp585", np.arange(2070, 2101))
    with pytest.raises(BadDataError, match="ssp126: co2: 32 dates where the target has 31"):
        build("climatebench", climatebench)


def competition(path: Path, *, months: int = 40, shift: float = 0.01, T: np.ndarray | None = None) -> Path:
    """A store like the competition's; tas is 100 x scenario + member + 10 x row, so2 the column."""
    ssps = ["ssp126", "ssp245", "ssp370", "ssp585"]
    tas = 100 * np.arange(4)[:, None, None, None, None] + np.arange(3)[:, None, None] + 10 * np.arange(3)[:, None]
    tas = np.broadcast_to(tas, (4, months, 3, *MAP)).astype(np.float32)
    column = np.broadcast_to(np.arange(4.0), (4, months, *MAP))
    world = np.ones((4, months))
    where = ("ssp", "time", "latitude", "longitude")
    target = ("ssp", "time", "member_id", "y", "x")
    times = xr.date_range("2015-01-01", periods=months, freq="MS", calendar="noleap", use_cftime=True)
    data = {
        "CO2": (("ssp", "time"), world), "CH4": (("ssp", "time"), world), "SO2": (where, column), "BC": (where, column),
        "rsdt": (("ssp", "time", "y", "x"), column), "tas": (target, tas), "pr": (target, tas),
    }  # fmt: skip
    axes = {"ssp": ssps, "y": LAT, "x": LON, "latitude": LAT + shift, "longitude": LON - shift, "time": times}
    xr.Dataset(data, axes).to_zarr(path, zarr_format=2, consolidated=False)
    return path


SMALL: dict[str, Any] = {"length": 3, "validation": {"ssp370": 5}, "test": {"ssp245": 8}}


def test_cse151b(tmp_path: Path) -> None:
    found = build("cse151b", competition(tmp_path / "data.zarr"), **SMALL, members=[0, 2])
    assert found.series == (
        "ssp126/0",
        "ssp126/2",
        "ssp370/0",
        "ssp370/2",
        "ssp585/0",
        "ssp585/2",
        "ssp245/0",
        "ssp245/2",
    )
    names = ["co2", "so2", "ch4", "bc", "rsdt", "month_sin", "month_cos", "latitude_scaled"]
    assert [variable.name for variable in found.inputs] == names  # the eight of the document
    assert found.values["tas"][7, 0, 1, 0] == 100 * 1 + 2 + 10  # ssp245, the third member, the second row
    np.testing.assert_array_equal(found.values["so2"][0, 0, 0], [0, 1, 2, 3])  # by position, whatever the labels
    np.testing.assert_array_equal(found.grid.y, LAT)
    assert (found.part[2] == 1).sum() == 5
    assert (found.part[2] == 0).sum() == 40 - 5 - 2
    assert (found.part[6] == 2).sum() == 8
    assert (found.part[6] == 0).sum() == 0


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"members": [3]}, "3 members, no number 3; set members"),
        ({"train": ["ssp999"]}, "no scenario ssp999; did you mean"),
        ({"targets": ["psl"]}, "no variable psl"),
        ({"length": 50}, "ssp126/0: 40 dates, a sequence has 50"),
    ],
)
def test_cse151b_names_what_is_missing(tmp_path: Path, settings: dict[str, Any], message: str) -> None:
    with pytest.raises(BadDataError, match=message):
        build("cse151b", competition(tmp_path / "data.zarr"), **{**SMALL, **settings})


def test_cse151b_axes_are_the_same(tmp_path: Path) -> None:
    with pytest.raises(BadDataError, match="latitude and y are not the same axis"):
        build("cse151b", competition(tmp_path / "data.zarr", shift=40.0), **SMALL)
