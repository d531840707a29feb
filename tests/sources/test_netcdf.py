"""NetCDF and zarr: layouts, units, times, and what is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyproj
import pytest
import xarray as xr
from distributed.protocol import deserialize_bytes, serialize_bytes

from weatherml.errors import BadDataError, ConfigError, MissingInputError
from weatherml.sources import cf
from weatherml.sources.netcdf import NetCDF, NetCDFSource
from weatherml.sources.world.terrain import MAPPING

HOURS = np.datetime64("2024-05-01T00:00:00", "s") + np.arange(5) * np.timedelta64(3600, "s")
VALUES = np.arange(5 * 3 * 4, dtype=np.float32).reshape(5, 3, 4)


def dataset(**names: str) -> xr.Dataset:
    """Five hours of `gust` on a 3 x 4 latitude-longitude grid; `names` renames dimensions."""
    coordinates = {"time": HOURS.astype("datetime64[ns]"), "lat": [10.0, 20.0, 30.0], "lon": [5.0, 6.0, 7.0, 8.0]}
    gust = xr.DataArray(
        VALUES, dims=("time", "lat", "lon"), coords=coordinates, attrs={"units": "m/s", "long_name": "gust"}
    )
    return gust.to_dataset(name="GUST").rename(names)


def write(data: xr.Dataset, path: Path) -> str:
    if path.suffix == ".zarr":
        data.to_zarr(path, zarr_format=2 if path.stem == "v2" else 3, consolidated=path.stem == "v2")
    else:
        data.to_netcdf(path, engine="netcdf4")
    return str(path)


def opened(data: xr.Dataset, folder: Path, name: str = "a.nc", **settings: object) -> NetCDFSource:
    return NetCDF(**settings).build([write(data, folder / name)])


def stack(source: NetCDFSource, name: str) -> np.ndarray:
    return np.stack([frame[name] for frame in source.read(source.times)])


def packed() -> xr.Dataset:
    data = dataset()
    data["GUST"].encoding = {"dtype": "int16", "scale_factor": 0.5, "add_offset": 20.0, "_FillValue": -32768}
    return data


def bare() -> xr.Dataset:
    return dataset(lat="j", lon="i").drop_vars(["j", "i"])


def by_axis() -> xr.Dataset:
    data = dataset(time="when", lat="down", lon="across")
    for dim, axis in (("when", "T"), ("down", "Y"), ("across", "X")):
        data[dim].attrs["axis"] = axis
    return data


def projected() -> xr.Dataset:
    data = dataset(lat="y", lon="x").assign_coords(y=[0.0, 3.0, 6.0], x=[0.0, 3.0, 6.0, 9.0])
    for dim in "yx":
        data[dim].attrs = {"standard_name": f"projection_{dim}_coordinate", "units": "km"}
    data["GUST"].attrs["grid_mapping"] = "crs"
    return data.assign(crs=xr.DataArray(0, attrs=MAPPING))


def curvilinear() -> xr.Dataset:
    """The projected grid as files of WRF have it: 2-D latitude and longitude only."""
    crs = pyproj.CRS.from_cf(MAPPING)
    x, y = np.meshgrid(np.arange(4) * 3000.0, np.arange(3) * 3000.0)
    lon, lat = pyproj.Transformer.from_crs(crs, crs.geodetic_crs, always_xy=True).transform(x, y)
    data = projected().drop_vars(["y", "x"])
    return data.assign_coords(latitude=(("y", "x"), lat), longitude=(("y", "x"), lon))


LAYOUTS = {
    "latlon": (dataset, "a.nc", "latlon"),
    "descending": (lambda: dataset().isel(lat=slice(None, None, -1)), "a.nc", "latlon"),
    "transposed": (lambda: dataset().transpose("lon", "time", "lat"), "a.nc", "latlon"),
    "long names": (lambda: dataset(lat="latitude", lon="longitude", time="valid_time"), "a.nc", "latlon"),
    "by axis": (by_axis, "a.nc", "index"),
    "no coordinates": (bare, "a.nc", "index"),
    "packed": (packed, "a.nc", "latlon"),
    "one member": (lambda: dataset().expand_dims("member"), "a.nc", "latlon"),
    "projected": (projected, "a.nc", "projected"),
    "curvilinear": (curvilinear, "a.nc", "projected"),
    "zarr 3": (dataset, "v3.zarr", "latlon"),
    "zarr 2": (dataset, "v2.zarr", "latlon"),
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout_reads_the_same_field(layout: str, tmp_path: Path) -> None:
    make, name, kind = LAYOUTS[layout]
    source = opened(make(), tmp_path, name)
    description = source.describe()

    assert description.grid.kind == kind
    assert description.grid.shape == (3, 4)
    assert [(v.name, v.units) for v in description.variables] == [("gust", "m s-1")]
    assert description.step == np.timedelta64(3600, "s")
    np.testing.assert_array_equal(description.times, HOURS)
    expected = VALUES[:, ::-1] if layout == "descending" else VALUES
    np.testing.assert_array_equal(stack(source, "gust"), expected)
    assert bool(description.notes) == (kind == "index")
    assert list(description.inputs) == [str(tmp_path / name)]


@pytest.mark.parametrize("make", [projected, curvilinear])
def test_projected_axes_are_in_metres(make: object, tmp_path: Path) -> None:
    grid = opened(make(), tmp_path).describe().grid  # type: ignore[operator]
    np.testing.assert_allclose(grid.y, [0.0, 3000.0, 6000.0], atol=1e-3)
    np.testing.assert_allclose(grid.x, [0.0, 3000.0, 6000.0, 9000.0], atol=1e-3)
    assert grid.latlon is not None
    np.testing.assert_allclose([axis[0, 0] for axis in grid.latlon], [38.5, -97.5], atol=1e-6)


def test_files_follow_each_other_in_time(tmp_path: Path) -> None:
    write(dataset().isel(time=slice(3, 5)), tmp_path / "a.nc")
    write(dataset().isel(time=slice(0, 3)), tmp_path / "b.nc")
    source = deserialize_bytes(serialize_bytes(NetCDF().build([str(tmp_path)])))
    np.testing.assert_array_equal(source.times, HOURS)
    np.testing.assert_array_equal(stack(source, "gust"), VALUES)
    some = HOURS[[0, 2, 4]]
    np.testing.assert_array_equal([frame["gust"] for frame in source.read(some)], VALUES[[0, 2, 4]])


def test_slabs_do_not_change_what_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = opened(dataset(), tmp_path)
    monkeypatch.setattr("weatherml.sources.netcdf.SLAB_BYTES", 2 * 8 * 3 * 4)  # two times of a 3 x 4 field
    np.testing.assert_array_equal(stack(source, "gust"), VALUES)


def test_a_file_an_hour_is_opened_once_a_slab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for hour in range(5):
        write(dataset().isel(time=[hour]).assign(rh=2 * dataset()["GUST"]), tmp_path / f"{hour}.nc")
    source = NetCDF().build([str(tmp_path)])
    opened_files = []
    monkeypatch.setattr(
        "weatherml.sources.cf.opened", lambda path, real=cf.opened: opened_files.append(path.name) or real(path)
    )
    frames = list(source.read(source.times))
    np.testing.assert_array_equal([frame["gust"] for frame in frames], VALUES)
    np.testing.assert_array_equal([frame["rh"] for frame in frames], 2 * VALUES)
    assert opened_files == [f"{hour}.nc" for hour in range(5)]


def test_a_broken_hour_costs_no_other(tmp_path: Path) -> None:
    for hour in range(5):
        write(dataset().isel(time=[hour]), tmp_path / f"{hour}.nc")
    source = NetCDF().build([str(tmp_path)])
    (tmp_path / "3.nc").write_bytes(b"gone")
    frames = source.read(source.times)
    np.testing.assert_array_equal([next(frames)["gust"] for _ in range(3)], VALUES[:3])
    with pytest.raises(BadDataError, match=r"3\.nc: not readable"):
        next(frames)
    np.testing.assert_array_equal(next(source.read(source.times[4:]))["gust"], VALUES[4])


def test_one_time_takes_only_its_files_along(tmp_path: Path) -> None:
    for hour in range(5):
        write(dataset().isel(time=[hour]), tmp_path / f"{hour}.nc")
    narrowed = NetCDF().build([str(tmp_path)]).narrowed(HOURS[3])
    assert [layout.path.name for layout in narrowed.layouts] == ["3.nc"]
    np.testing.assert_array_equal(stack(narrowed, "gust"), VALUES[3:4])


def test_fill_values_are_nan(tmp_path: Path) -> None:
    data = packed()
    data["GUST"][2, 1, 1] = np.nan
    values = stack(opened(data, tmp_path), "gust")
    assert np.isnan(values[2, 1, 1])
    assert np.isnan(values).sum() == 1


def test_a_known_name_takes_the_tables_units(tmp_path: Path) -> None:
    data = dataset().rename(GUST="T2M")
    data["T2M"].attrs["units"] = "degC"
    source = opened(data, tmp_path)
    assert source.variables[0].units == "K"
    assert source.variables[0].transform == "none"
    np.testing.assert_allclose(stack(source, "t2m"), VALUES + 273.15, rtol=1e-6)


def test_the_valid_range_of_packed_values(tmp_path: Path) -> None:
    data = packed()
    data["GUST"].attrs["valid_range"] = np.array([-40, 200], "int16")
    variable = opened(data, tmp_path).variables[0]
    # -40 * 0.5 + 20 = 0; 200 * 0.5 + 20 = 120
    assert (variable.valid_min, variable.valid_max, variable.packing_step) == (0.0, 120.0, None)


def test_variables_choose_and_rename(tmp_path: Path) -> None:
    data = dataset().assign(other=dataset()["GUST"] * 2)
    source = opened(data, tmp_path, variables={"wind": {"source_name": "GUST", "valid_max": 90}})
    assert [(v.name, v.valid_max) for v in source.variables] == [("wind", 90.0)]
    np.testing.assert_array_equal(stack(source, "wind"), VALUES)


def test_static_fields(tmp_path: Path) -> None:
    height = xr.DataArray(VALUES[0], dims=("lat", "lon"), attrs={"units": "m", "standard_name": "surface_altitude"})
    source = opened(dataset().assign(HGT=height), tmp_path)
    static = source.describe().static
    assert list(static) == ["orography"]
    assert static["orography"].attributes == {"units": "m", "standard_name": "surface_altitude"}
    np.testing.assert_array_equal(static["orography"].values, VALUES[0])


def test_gaps_are_multiples_of_the_step(tmp_path: Path) -> None:
    description = opened(dataset().isel(time=[0, 1, 4]), tmp_path).describe()
    assert description.step == np.timedelta64(3600, "s")
    np.testing.assert_array_equal(description.times, HOURS[[0, 1, 4]])


def test_a_variable_missing_at_a_time_quarantines_it(tmp_path: Path) -> None:
    write(dataset().isel(time=slice(0, 3)).assign(rh=dataset()["GUST"]), tmp_path / "a.nc")
    write(dataset().isel(time=slice(3, 5)), tmp_path / "b.nc")
    description = NetCDF().build([str(tmp_path)]).describe()
    np.testing.assert_array_equal(description.times, HOURS[:3])
    assert description.quarantined == {"2024-05-01T03:00:00Z": "no rh", "2024-05-01T04:00:00Z": "no rh"}


def test_start_and_end(tmp_path: Path) -> None:
    source = opened(dataset(), tmp_path, start="2024-05-01T03:00+02:00", end="2024-05-01T02:00Z")
    np.testing.assert_array_equal(source.times, HOURS[1:3])


def three_hundred_sixty(day: str) -> xr.Dataset:
    data = dataset()
    return data.assign_coords(time=("time", np.arange(5), {"units": f"days since {day}", "calendar": "360_day"}))


def profile() -> xr.Dataset:
    return dataset().expand_dims(level=[1, 2])


def with_units(units: str | None) -> xr.Dataset:
    data = dataset().rename(GUST="t2m")
    data["t2m"].attrs = {} if units is None else {"units": units}
    return data


REFUSED = {
    "no units": (lambda: with_units(None), r"t2m: has no units; write them, or set variables\.t2m\.units"),
    "wrong units": (lambda: with_units("Pa"), "t2m is in 'Pa', not 'K'"),
    "duplicate": (lambda: dataset().isel(time=[0, 1, 1, 2]), "2024-05-01T01:00:00Z stands twice"),
    "unsorted": (lambda: dataset().isel(time=[0, 2, 1]), "2024-05-01T01:00:00Z comes after a later time"),
    "irregular": (lambda: irregular(HOURS[0]), "irregular times, 5400 s after 2024-05-01T01:00:00Z"),
    "calendar": (lambda: three_hundred_sixty("2000-02-28"), "calendar '360_day' has no UTC times"),
    "levels": (profile, r"further dimension, level \(2\)"),
    "no axis": (lambda: dataset(lat="up"), "no y among the dimensions"),
    "no time": (lambda: dataset().isel(time=0, drop=True), "no variable over time"),
}


def irregular(first: np.datetime64) -> xr.Dataset:
    times = first + np.array([0, 3600, 9000, 12600, 16200]) * np.timedelta64(1, "s")
    return dataset().assign_coords(time=times.astype("datetime64[ns]"))


@pytest.mark.parametrize("case", REFUSED)
def test_bad_data_is_refused(case: str, tmp_path: Path) -> None:
    make, message = REFUSED[case]
    data = make()
    if case == "no axis":
        data = data.drop_vars("up")
    with pytest.raises(BadDataError, match=message):
        opened(data, tmp_path)


def test_months_have_no_step(tmp_path: Path) -> None:
    months = np.array(["2024-01-01", "2024-02-01", "2024-03-01", "2024-04-01", "2024-05-01"], "datetime64[ns]")
    with pytest.raises(BadDataError, match=r"irregular times, 31 days after .* the shortest step is 29 days; .*months"):
        opened(dataset().assign_coords(time=months), tmp_path)


def test_a_classic_file_that_ends_early_is_not_read_as_zeros(tmp_path: Path) -> None:
    path = tmp_path / "a.nc"
    dataset().to_netcdf(path, format="NETCDF3_CLASSIC")
    np.testing.assert_array_equal(stack(NetCDF().build([str(path)]), "gust"), VALUES)
    path.write_bytes(path.read_bytes()[:-8])
    with pytest.raises(BadDataError, match=r"a\.nc: not readable \(it ends before its last variable"):
        NetCDF().build([str(path)])


def test_a_variable_asked_for_must_be_there(tmp_path: Path) -> None:
    with pytest.raises(BadDataError, match=r"variables\.gusts: in none of 1 files; did you mean 'gust'"):
        opened(dataset(), tmp_path, variables={"gusts": {}})


def test_units_can_be_given(tmp_path: Path) -> None:
    source = opened(with_units(None), tmp_path, variables={"t2m": {"units": "K"}})
    assert source.variables[0].units == "K"


def test_two_files_with_the_same_times(tmp_path: Path) -> None:
    for name in ("a.nc", "b.nc"):
        write(dataset(), tmp_path / name)
    with pytest.raises(BadDataError, match=r"b\.nc: duplicate times, gust at 2024-05-01T00:00:00Z is in .*a\.nc"):
        NetCDF().build([str(tmp_path)])


def test_two_grids(tmp_path: Path) -> None:
    write(dataset().isel(time=[0]), tmp_path / "a.nc")
    write(dataset().isel(time=[1], lat=slice(None, None, -1)), tmp_path / "b.nc")
    with pytest.raises(BadDataError, match=r"b\.nc: latitude runs the other way"):
        NetCDF().build([str(tmp_path)])


def test_a_file_that_is_none(tmp_path: Path) -> None:
    (tmp_path / "a.nc").write_bytes(b"no netcdf")
    with pytest.raises(BadDataError, match=r"a\.nc: not readable"):
        NetCDF().build([str(tmp_path)])


@pytest.mark.parametrize("inputs", [[], ["{}"], ["{}/*.nc"], ["{}/a.nc"]])
def test_nothing_there(inputs: list[str], tmp_path: Path) -> None:
    with pytest.raises(MissingInputError):
        NetCDF().build([text.format(tmp_path) for text in inputs])


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"variables": {"t2m": {"unit": "K"}}}, r"variables\.t2m\.unit: unknown key; did you mean 'units'"),
        ({"start": "yesterday"}, "start: 'yesterday' is not an ISO 8601 time"),
    ],
)
def test_settings_are_checked_first(settings: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        NetCDF(**settings)
