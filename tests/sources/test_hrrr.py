"""HRRR files: real hours against eccodes, message keys, and what is refused or quarantined."""

from __future__ import annotations

import io
import shutil
from pathlib import Path

import numpy as np
import pyproj  # noqa: F401 - before eccodes
import pytest
from distributed.protocol import deserialize_bytes, serialize_bytes

from weatherml.errors import BadDataError, ConfigError, MissingInputError
from weatherml.sources import grib
from weatherml.sources.hrrr import CHANNEL_KEYS, HRRR, STATIC_KEYS

eccodes = pytest.importorskip("eccodes")

SHORT_NAMES = {"t2m": "2t", "d2m": "2d", "u10": "10u", "v10": "10v", "cape": "cape", "cin": "cin"}
RAIN = {"keys": {"discipline": 209, "parameterCategory": 6, "parameterNumber": 1}, "units": "mm h-1", "missing": -3}


@pytest.fixture(scope="module")
def rme(shared_data: Path) -> Path:
    return shared_data / "hrrr_smrf_rme" / "hrrr.20180722"


@pytest.fixture(scope="module")
def source(rme: Path) -> grib.GribSource:
    return HRRR().build([str(rme.parent)])


def of_eccodes(path: Path) -> dict[str, np.ndarray]:
    """The six channels of a file by short name, as eccodes decodes them: the last at level 0, 2 or 10 wins."""
    found = {}
    with path.open("rb") as stream:
        while (handle := eccodes.codes_grib_new_from_file(stream)) is not None:
            found[eccodes.codes_get(handle, "shortName")] = eccodes.codes_get_array(handle, "values").reshape(78, 41)
            eccodes.codes_release(handle)
    return found


def hours(rme: Path, folder: Path, *cycles: int) -> list[Path]:
    """Writable copies of some files."""
    return [Path(shutil.copyfile(rme / f"hrrr.t{c:02d}z.wrfsfcf01.grib2", folder / f"t{c:02d}.grib2")) for c in cycles]


def test_the_real_day(source: grib.GribSource) -> None:
    description = source.describe()
    first = np.datetime64("2018-07-22T01:00:00")
    np.testing.assert_array_equal(description.times, first + np.arange(24) * np.timedelta64(1, "h"))
    assert description.step == np.timedelta64(1, "h")
    assert [v.name for v in description.variables] == list(SHORT_NAMES)
    assert description.notes == ("refc: in none of the files, left out",)
    assert not description.quarantined
    assert len(description.inputs) == 24
    assert set(description.static) == set(STATIC_KEYS)
    land = description.static["land_binary_mask"].values
    assert set(np.unique(land)) == {0.0, 1.0}
    assert 600 < description.static["orography"].values.min() < 3000  # southern Idaho, metres


def test_values_are_those_of_eccodes(source: grib.GribSource, rme: Path) -> None:
    for cycle, frame in zip((0, 9, 23), source.read(source.times[[0, 9, 23]]), strict=True):
        expected = of_eccodes(rme / f"hrrr.t{cycle:02d}z.wrfsfcf01.grib2")
        for name, short_name in SHORT_NAMES.items():
            np.testing.assert_array_equal(frame[name], expected[short_name].astype(np.float32))
            assert frame[name].dtype == np.float32


def test_the_bad_point_is_read_as_it_is(source: grib.GribSource) -> None:
    (frame,) = source.read(np.array(["2018-07-22T10:00:00"], "datetime64[s]"))
    assert frame["d2m"].min() == pytest.approx(209.4, abs=0.05)


def test_the_crop_of_the_full_grid(source: grib.GribSource, shared_data: Path) -> None:
    full = HRRR().build([str(shared_data / "hrrr_kerchunk")]).grid
    assert full.shape == (1059, 1799)
    crop = full.crop(slice(711, 789), slice(366, 407))
    np.testing.assert_allclose(source.grid.y, crop.y, atol=0.5)  # first points are given to 1e-6 degree, 0.1 m
    np.testing.assert_allclose(source.grid.x, crop.x, atol=0.5)
    assert source.grid.mapping == crop.mapping


def test_full_conus_messages(shared_data: Path) -> None:
    quarter = HRRR().build([str(shared_data / "hrrr_kerchunk" / "hrrr.wrfsubhf.sample.grib2")])
    np.testing.assert_array_equal(quarter.times, np.array(["2022-10-14T01:15"], "datetime64[s]"))  # 01Z + 15 min
    (frame,) = quarter.read(quarter.times)
    assert frame["refc"].shape == (1059, 1799)
    assert frame["refc"].min() == -10.0
    assert np.mean(frame["refc"] == -10.0) == pytest.approx(0.84, abs=0.01)
    later = HRRR().build([str(shared_data / "hrrr_reformatters" / "dpt2m.grib2")])
    np.testing.assert_array_equal(later.times, np.array(["2026-07-04T04:00"], "datetime64[s]"))  # 00Z + 28 h


def test_any_message_by_its_keys(shared_data: Path) -> None:
    source = HRRR(variables={"rain": RAIN}).build([str(shared_data / "mrms_pysteps" / "*-000[024]00.grib2")])
    assert len(source.times) == 3
    assert source.step == np.timedelta64(120, "s")
    assert source.grid.kind == "latlon"
    np.testing.assert_allclose(source.grid.y[[0, -1]], [54.995, 20.005])  # row 0 is north
    np.testing.assert_allclose(source.grid.x[[0, -1]], [230.005, 299.995])
    (frame,) = source.read(source.times[:1])
    assert np.isnan(frame["rain"]).mean() == pytest.approx(0.358, abs=0.001)  # -3: no coverage
    assert np.nanmin(frame["rain"]) == 0.0


def test_one_time_travels_light(source: grib.GribSource, shared_data: Path) -> None:
    source.describe()
    sent = serialize_bytes(source.narrowed(source.times[5]))
    assert len(sent) < 5_000
    (frame,) = deserialize_bytes(sent).read(source.times[5:6])
    (expected,) = source.read(source.times[5:6])
    assert set(frame) == set(SHORT_NAMES)
    for name, values in expected.items():
        np.testing.assert_array_equal(frame[name], values)
    full = HRRR().build([str(shared_data / "hrrr_kerchunk")])  # 1059 x 1799 points
    assert len(serialize_bytes(full.narrowed(full.times[0]))) < 2_000
    with pytest.raises(BadDataError, match="2018-07-22T01:00:00Z: not among the 1 times"):
        source.narrowed(source.times[5]).table.row(source.times[0])


def test_a_grid_travels_without_its_latitudes(source: grib.GribSource) -> None:
    grid = source.grid
    assert grid.latlon is not None
    sent = serialize_bytes(grid)
    assert len(sent) < 2_000  # 78 + 41 coordinates of 8 bytes
    assert deserialize_bytes(sent).difference(grid) == ""
    np.testing.assert_array_equal(deserialize_bytes(sent).latlon[0], grid.latlon[0])


def test_winds_along_the_grid_are_marked(source: grib.GribSource, rme: Path, tmp_path: Path) -> None:
    assert source.describe().attributes["wind_orientation"] == "grid"
    assert "wind_orientation" not in HRRR(variables={"t2m": {}}).build([str(rme)]).attributes
    (path,) = hours(rme, tmp_path, 1)
    content = bytearray(path.read_bytes())
    for field in grib.scan(io.BytesIO(bytes(content)), len(content)):
        content[field.offset + 16 + 21 + 46] &= 0xFF - 0x08  # sections 0 and 1, then octet 47 of section 3
    path.write_bytes(content)
    turned = HRRR().build([str(path)])
    assert "wind_orientation" not in turned.attributes
    assert turned.notes[-1] == "u10, v10: point east and north, not along the grid (uvRelativeToGrid = 0)"


def test_a_variable_asked_for_must_be_there(rme: Path) -> None:
    with pytest.raises(BadDataError, match=r"variables\.refc: no message matches in 24 files"):
        HRRR(variables={"t2m": {}, "refc": {}}).build([str(rme)])


def test_a_subset_in_its_order_from_start_to_end(rme: Path) -> None:
    config = HRRR(variables={"u10": {}, "t2m": {"valid_max": 330}}, start="2018-07-22T03:00Z", end="2018-07-22T05:00Z")
    source = config.build([str(rme)])
    assert [(v.name, v.valid_max) for v in source.describe().variables] == [("u10", 100.0), ("t2m", 330.0)]
    assert [str(time) for time in source.times] == [f"2018-07-22T0{hour}:00:00" for hour in (3, 4, 5)]
    with pytest.raises(BadDataError, match="start, end: none of the times 2018-07-22T01:00:00Z to"):
        HRRR(start="2019-01-01").build([str(rme)])


def shifted_lead(path: Path, hours: int) -> None:
    """Turn an f01 file into one of the run `hours` earlier, valid at the same time."""
    messages = []
    with path.open("rb") as stream:
        while (handle := eccodes.codes_grib_new_from_file(stream)) is not None:
            if eccodes.codes_get(handle, "productDefinitionTemplateNumber") == grib.INSTANT:
                eccodes.codes_set(handle, "dataTime", eccodes.codes_get(handle, "dataTime") - 100 * hours)
                eccodes.codes_set(handle, "forecastTime", 1 + hours)
                messages.append(eccodes.codes_get_message(handle))
            eccodes.codes_release(handle)
    path.write_bytes(b"".join(messages))


def test_the_shortest_lead_is_taken(rme: Path, tmp_path: Path) -> None:
    (late,) = hours(rme, tmp_path, 5)
    shifted_lead(late, 3)
    source = HRRR().build([str(late), str(rme / "hrrr.t05z.wrfsfcf01.grib2")])
    assert len(source.times) == 1
    assert {str(path) for path, *_ in source.table.row(source.times[0])} == {str(rme / "hrrr.t05z.wrfsfcf01.grib2")}
    assert source.notes[-1] == "1 times stand at several lead times: the shortest was taken"


def test_a_truncated_file_quarantines_its_hour(rme: Path, tmp_path: Path) -> None:
    one, _ = hours(rme, tmp_path, 1, 2)
    one.write_bytes(one.read_bytes()[:40_000])
    source = HRRR().build([str(tmp_path)])
    assert [str(time) for time in source.times] == ["2018-07-22T03:00:00"]
    (reason,) = source.quarantined.values()
    assert list(source.quarantined) == ["2018-07-22T02:00:00Z"]
    assert reason.startswith(f"{one}: the message at byte")
    with pytest.raises(BadDataError, match=r"t01\.grib2: the message at byte"):
        HRRR().build([str(one)])


def test_a_file_cut_after_the_last_channel_is_used_and_noted(rme: Path, tmp_path: Path) -> None:
    one, _ = hours(rme, tmp_path, 1, 2)
    one.write_bytes(one.read_bytes()[:-50])
    source = HRRR().build([str(tmp_path)])
    assert len(source.times) == 2
    assert any(note.startswith(f"{one}: the message at byte") for note in source.notes)


def test_a_missing_channel_quarantines_its_hour(rme: Path, tmp_path: Path) -> None:
    one, _ = hours(rme, tmp_path, 1, 2)
    content = one.read_bytes()
    ((_, cape),) = grib.scan_file(one, {"cape": CHANNEL_KEYS["cape"]}).found
    one.write_bytes(content[: cape.field.offset] + content[cape.field.offset + cape.field.length :])
    source = HRRR().build([str(tmp_path)])
    assert source.quarantined == {"2018-07-22T02:00:00Z": "no cape in t01.grib2 at 2018-07-22T02:00:00Z"}


def test_duplicate_hours_are_refused(rme: Path, tmp_path: Path) -> None:
    (copy,) = hours(rme, tmp_path, 1)
    with pytest.raises(BadDataError, match=r"duplicate hours, t2m at 2018-07-22T02:00:00Z is in .*t01"):
        HRRR().build([str(copy), str(rme)])
    copy.write_bytes(copy.read_bytes() * 2)
    with pytest.raises(BadDataError, match=r"two messages match t2m at 2018-07-22T02:00:00Z; add to variables\.t2m"):
        HRRR().build([str(copy)])


def test_another_grid_is_refused(rme: Path, shared_data: Path) -> None:
    other = shared_data / "hrrr_reformatters" / "dpt2m.grib2"
    with pytest.raises(BadDataError, match="points instead of"):
        HRRR(variables={"d2m": {}}).build([str(other), str(rme)])


def test_inputs_that_hold_nothing(tmp_path: Path) -> None:
    (tmp_path / "readme.txt").write_text("nothing")
    for text in (str(tmp_path), f"{tmp_path}/*.grib2", str(tmp_path / "absent")):
        with pytest.raises(MissingInputError, match="GRIB2"):
            HRRR().build([text])
    with pytest.raises(ConfigError, match="start: a bucket holds years; set --start and --end"):
        HRRR().build([])
    with pytest.raises(BadDataError, match=r"readme\.txt: no GRIB message at byte 0"):
        HRRR().build([str(tmp_path / "readme.txt")])


def test_a_file_changed_since_the_scan(rme: Path, tmp_path: Path) -> None:
    (path,) = hours(rme, tmp_path, 1)
    source = HRRR().build([str(path)])
    path.write_bytes(b"\0" * path.stat().st_size)
    with pytest.raises(BadDataError, match=r"t01\.grib2: t2m at 2018-07-22T02:00:00Z: no GRIB message"):
        next(source.read(source.times))


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        ({"t2n": {}}, "variables.t2n: not a known channel; did you mean 't2m'"),
        ({"t2m": {"valid_mim": 1}}, "variables.t2m.valid_mim: unknown key; did you mean 'valid_min'"),
        ({"x": {"units": "1", "keys": {"level_": 1}}}, "variables.x.keys.level_: unknown key; did you mean 'level'"),
        ({"x": {"keys": {"level": 1}}}, "variables.x.units: Field required"),
        ({"x": {"units": "1", "keys": {}}}, "variables.x.keys: empty"),
    ],
)
def test_the_variables_table_is_checked_first(variables: dict[str, dict[str, object]], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        HRRR(variables=variables)


def test_start_is_a_time() -> None:
    with pytest.raises(ConfigError, match="start: 'noon' is not an ISO 8601 time"):
        HRRR(start="noon")
