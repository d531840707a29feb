"""The Utah archive, as zarr itself writes its layout: both dtypes, edge chunks, forecasts, gaps and damage."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numcodecs
import numpy as np
import pytest
from archive_server import ArchiveServer
from utah_archive import AFTER, BEFORE, SHAPE, array_folder, fields_at, s3_server, write_array, write_hour

from weatherml.config import parse
from weatherml.data.prepare import prepare
from weatherml.errors import BadDataError, ConfigError, MissingInputError, UsageError
from weatherml.files import read_json
from weatherml.sources import grib
from weatherml.sources.hrrrzarr import PATHS, HRRRZarr, HRRRZarrSource
from weatherml.sources.zarr2 import stored_array

ROWS, COLUMNS = slice(1020, 1059), slice(1760, 1799)
CORNER = {"rows": [1020, 1059], "columns": [1760, 1799]}
"""The north-east corner, of which chunk 7.11 (rows from 1050, columns from 1650) is cut by both edges."""

HOUR = np.timedelta64(1, "h")
PROJECTION = {"proj": "lcc", "a": 6371229, "b": 6371229, "lon_0": 262.5, "lat_0": 38.5, "lat_1": 38.5, "lat_2": 38.5}


def between(start: np.datetime64, end: np.datetime64, **settings: Any) -> HRRRZarr:
    return parse(HRRRZarr, {"start": str(start), "end": str(end), **settings})


@pytest.fixture(scope="module")
def corner(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[np.datetime64, dict[str, np.ndarray]]]:
    """The chunks of the north-east corner at one hour of each dtype, and what they hold."""
    root = tmp_path_factory.mktemp("utah")
    (root / "grid").mkdir()
    (root / "grid/projparams.json").write_text(json.dumps(PROJECTION))
    hours = ((BEFORE, "<f2"), (AFTER, "<f4"))
    return root, {time: write_hour(root, time, dtype, ROWS, COLUMNS) for time, dtype in hours}


@pytest.fixture(params=["folder", "s3", "web"])
def address(
    request: pytest.FixtureRequest, corner: tuple[Path, Any], monkeypatch: pytest.MonkeyPatch
) -> Iterator[list[str]]:
    """`--input` of the same archive in a folder, in the bucket that is the default, and on a web server."""
    root, _ = corner
    files = {path.relative_to(root).as_posix(): path.read_bytes() for path in root.rglob("*") if path.is_file()}
    if request.param == "folder":
        yield [str(root)]
    elif request.param == "web":
        with ArchiveServer() as server:
            server.files |= {f"mirror/{key}": content for key, content in files.items()}
            yield [f"{server.url}/mirror"]
    else:
        with s3_server(files) as endpoint:
            monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
            yield []


def test_the_corner_from_anywhere(address: list[str], corner: tuple[Path, Any]) -> None:
    """Only chunks that the region touches are there, so only they are asked for."""
    source = between(BEFORE, AFTER, region=CORNER).open(address)
    description = source.describe()
    np.testing.assert_array_equal(description.times, [BEFORE, AFTER])  # the 47 hours between are not there
    assert description.step == HOUR
    assert [variable.name for variable in description.variables] == list(PATHS)
    assert description.grid.latlon is not None
    latitude, longitude = (axis[-1, -1] for axis in description.grid.latlon)
    assert (latitude, longitude) == pytest.approx((47.842195, -60.917193), abs=1e-6)
    assert len(description.inputs) == 2
    assert not description.notes
    for time, frame in zip(description.times, source.read(description.times), strict=True):
        expected = corner[1][time]
        for name, values in frame.items():
            np.testing.assert_array_equal(values, expected[name][ROWS, COLUMNS])
    first = corner[1][BEFORE]
    for name in ("orography", "land_binary_mask"):
        np.testing.assert_array_equal(description.static[name].values, first[name][ROWS, COLUMNS])


def test_what_the_region_does_not_touch_is_not_asked_for(corner: tuple[Path, Any]) -> None:
    with ArchiveServer() as server:
        root = corner[0]
        server.files |= {p.relative_to(root).as_posix(): p.read_bytes() for p in root.rglob("*") if p.is_file()}
        config = between(AFTER, AFTER, variables={"t2m": {}}, region={"rows": [1051, 1059], "columns": [1700, 1799]})
        next(config.open([server.url]).read(np.array([AFTER])))
        chunks = {path.rsplit("/", 2)[-1] for _, path, _ in server.requests if "/TMP/" in path}
    assert chunks == {".zarray", "7.11"}


def test_a_real_field_comes_back(shared_data: Path, tmp_path: Path) -> None:
    """All 8 x 12 chunks of a full message, value by value as GRIB has it."""
    path = shared_data / "hrrr_gribberish/hrrr.t06z.wrfsfcf01-UGRD.grib2"
    keys = {"parameterCategory": 2.0, "parameterNumber": 2.0}
    ((_, place),) = grib.scan_file(path, {"u10": keys}).found
    field = grib.decode(path.read_bytes(), SHAPE)
    write_array(array_folder(tmp_path, AFTER, PATHS["u10"]), field, "<f4")
    source = between(AFTER, AFTER, variables={"u10": {}}).open([str(tmp_path)])
    (frame,) = source.read(np.array([AFTER]))
    np.testing.assert_array_equal(frame["u10"], field)
    assert source.describe().grid.difference(grib.grid_of(place.field.grid)) == ""
    assert source.describe().notes == (
        "orography: cannot be read, left out",
        "land_binary_mask: cannot be read, left out",
    )


def test_float16_overflows_and_fill_values_are_missing(tmp_path: Path) -> None:
    field = fields_at(BEFORE)["cape"]
    field[1050, 1790:1793] = 70_000, -9999, 0  # beyond float16; the fill value, rounded to it; a value
    write_array(array_folder(tmp_path, BEFORE, PATHS["cape"]), field, "<f2", rows=ROWS, columns=COLUMNS)
    (frame,) = between(BEFORE, BEFORE, variables={"cape": {}}, region=CORNER).open([str(tmp_path)]).read([BEFORE])
    np.testing.assert_array_equal(frame["cape"][1050 - 1020, 1790 - 1760 :][:3], [np.nan, np.nan, 0])
    assert np.isnan(frame["cape"]).sum() == 2


def test_zero_is_a_value_though_zarr_calls_it_the_fill_value() -> None:
    array = stored_array(zarray(fill_value=0.0), SHAPE, at="x")
    assert not np.isnan(array.decode(chunk(np.zeros((150, 150), "<f4")), 0)).any()


@pytest.mark.parametrize("lead", [1, 18])
def test_forecasts(lead: int, tmp_path: Path) -> None:
    """Index 0 of a forecast is its first hour; a state is that of the run `lead` hours before."""
    hours = np.stack([np.full(SHAPE, 280 + hour, np.float32) for hour in range(1, 19)])
    folder = array_folder(tmp_path, AFTER, PATHS["t2m"], lead=lead)
    run = (AFTER - lead * HOUR).item()
    assert f"{run:%Y%m%d/%Y%m%d_%H}z_fcst.zarr" in str(folder)
    write_array(folder, hours, "<f4", rows=ROWS, columns=COLUMNS)
    source = between(AFTER, AFTER, lead=lead, variables={"t2m": {}}, region=CORNER).open([str(tmp_path)])
    (frame,) = source.read(source.describe().times)
    assert np.unique(frame["t2m"]).tolist() == [280 + lead]


def test_a_forecast_that_ends_before_the_lead(tmp_path: Path) -> None:
    folder = array_folder(tmp_path, AFTER, PATHS["t2m"], lead=3)
    write_array(folder, np.zeros((2, *SHAPE), np.float32), "<f4", rows=ROWS, columns=COLUMNS)
    source = between(AFTER, AFTER, lead=3, variables={"t2m": {}}, region=CORNER).open([str(tmp_path)])
    with pytest.raises(BadDataError, match=r"2m_above_ground/TMP: 2 fields, none at 2; choose a shorter lead"):
        next(source.read(np.array([AFTER])))


def test_a_lost_chunk_quarantines_its_hour_and_a_gap_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(HRRRZarrSource, "isolated", False)  # workers start slowly
    hours = [AFTER + n * HOUR for n in range(9) if n != 5]
    for time in hours:
        field = fields_at(time)["t2m"]
        write_array(array_folder(tmp_path, time, PATHS["t2m"]), field, "<f4", rows=ROWS, columns=COLUMNS)
    (array_folder(tmp_path, hours[3], PATHS["t2m"]) / "7.11").unlink()
    config = between(hours[0], hours[-1], variables={"t2m": {}}, region=CORNER, split={"gap_hours": 1})
    dataset = prepare(config, [str(tmp_path)], tmp_path / "a.zarr")
    report = read_json(dataset.path / "quality.json")
    assert report["missing"] == ["2024-06-02T05:00:00Z"]
    assert list(report["quarantined"]) == ["2024-06-02T03:00:00Z"]
    assert "7.11: not there; the time is left out" in report["quarantined"]["2024-06-02T03:00:00Z"]
    assert len(dataset.times) == 7


def zarray(**changes: Any) -> bytes:
    """The `.zarray` of the archive's documentation, changed."""
    blosc = {"id": "blosc", "cname": "lz4", "clevel": 9, "shuffle": 0, "blocksize": 0}
    metadata = {"zarr_format": 2, "shape": SHAPE, "chunks": (150, 150), "dtype": "<f4", "compressor": blosc}
    metadata |= {"filters": None, "order": "C", "fill_value": None} | changes
    return json.dumps(metadata).encode()


def chunk(values: np.ndarray) -> bytes:
    return bytes(numcodecs.Blosc(cname="lz4").encode(values))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"<html>", "x: Expecting value"),
        (b"[" * 5000, "x: "),
        (b"[1]", "x: .*keys are words"),
        (zarray(zarr_format=3), r"\.zarray\.zarr_format: Input should be 2, got 3"),
        (zarray(dtype="|O"), r"\.zarray\.dtype: Input should be '<f2' or '<f4', got '\|O'"),
        (zarray(dtype=">f4"), r"\.zarray\.dtype"),
        (zarray(compressor={"id": "zlib", "level": 1}), r"\.zarray\.compressor\.id: Input should be 'blosc'"),
        (zarray(compressor=None), r"\.zarray\.compressor"),
        (zarray(filters=[{"id": "pickle"}]), r"\.zarray\.filters"),
        (zarray(order="F"), r"\.zarray\.order"),
        (zarray(dimension_separator="/"), r"\.zarray\.dimension_separator"),
        (zarray(object_codec="pickle"), r"\.zarray\.object_codec: unknown key"),
        (zarray(shape=(1799, 1059)), r"an array of \(1799, 1059\) where fields of \(1059, 1799\) are expected"),
        (zarray(shape=(1059,), chunks=(150,)), r"an array of \(1059,\)"),
        (zarray(chunks=(150, 0)), r"in chunks of \(150, 0\)"),
        (zarray(chunks=(150, 150, 150)), r"in chunks of \(150, 150, 150\)"),
        (zarray(chunks=(1 << 20, 1 << 20)), r"chunks of \(1048576, 1048576\), over 33554432 bytes"),
    ],
)
def test_metadata_that_are_not_read(content: bytes, message: str) -> None:
    with pytest.raises(BadDataError, match=message):
        stored_array(content, SHAPE, at="x")


VALUES = np.arange(150 * 150, dtype="<f4").reshape(150, 150)
WHOLE = chunk(VALUES)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "0 bytes are no Blosc chunk"),
        (WHOLE[:-1], "says that .* bytes decode to 90000, and has"),
        (WHOLE + b"\0", "says that .* bytes decode to 90000, and has"),
        (chunk(VALUES.astype("<f2")), "decode to 45000, and has .* where 90000 are to come"),
        (chunk(np.zeros((5000, 5000), "<f4")), "decode to 100000000, and has"),  # a small file, much memory
        (WHOLE[:12] + b"\xff\xff\xff\x7f" + WHOLE[16:], "says that 2147483647 bytes"),
    ],
)
def test_chunks_that_are_not_decoded(content: bytes, message: str) -> None:
    array = stored_array(zarray(), SHAPE, at="x")
    np.testing.assert_array_equal(array.decode(WHOLE, 0), VALUES)
    with pytest.raises(ValueError, match=message):
        array.decode(content, 0)


def test_no_byte_of_a_chunks_header_is_believed(tmp_path: Path) -> None:
    """Each inverted in turn: the true values, an error, or other finite values of the same size; never more memory."""
    array = stored_array(zarray(), SHAPE, at="x")
    refused = 0
    for at in range(16):
        try:
            decoded = array.decode(WHOLE[:at] + bytes([WHOLE[at] ^ 0xFF]) + WHOLE[at + 1 :], 0)
            assert decoded.shape == (150, 150)
        except ValueError:
            refused += 1
    assert refused >= 8  # the eight bytes that say the sizes


REFUSED: dict[str, tuple[Callable[[], object], type[Exception], str]] = {
    "no start": (lambda: parse(HRRRZarr, {"end": "2024-05-01"}), ConfigError, "start: not set; hrrrzarr needs start"),
    "no end": (lambda: parse(HRRRZarr, {"start": "2024-05-01"}), ConfigError, "end: not set; hrrrzarr needs start"),
    "unknown": (lambda: between(AFTER, AFTER, variables={"t3m": {}}), ConfigError, "t3m: .*did you mean 't2m'"),
    "no units": (lambda: between(AFTER, AFTER, variables={"g": {"path": "a/b"}}), ConfigError, r"g\.units: Field req"),
    "path": (lambda: between(AFTER, AFTER, variables={"t2m": {"path": "../b"}}), ConfigError, r"t2m\.path: String sh"),
    "lead": (lambda: between(AFTER, AFTER, lead=49), ConfigError, "lead: "),
    "two": (lambda: between(AFTER, AFTER).build(["a", "b"]), UsageError, "--input: 2 of them; name one archive"),
    "nowhere": (lambda: between(AFTER, AFTER).build(["/none"]), MissingInputError, "/none: no such folder"),
    "backwards": (lambda: between(AFTER, BEFORE).times(), ConfigError, "start, end, months, hours_of_day: leave no"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_settings_that_cannot_be(case: str) -> None:
    make, kind, message = REFUSED[case]
    with pytest.raises(kind, match=message):
        make()


def test_an_archive_without_these_hours_or_of_another_model(tmp_path: Path) -> None:
    with pytest.raises(BadDataError, match=r"20240602_00z_anl\.zarr/.*REFC/\.zarray: not there, nor is any of 2 hours"):
        between(AFTER, AFTER + HOUR).build([str(tmp_path)])
    (tmp_path / "grid").mkdir()
    (tmp_path / "grid/projparams.json").write_text(json.dumps(PROJECTION | {"lat_0": 60}))
    with pytest.raises(BadDataError, match=r"projparams\.json: not HRRR's projection"):
        between(AFTER, AFTER).build([str(tmp_path)])


def test_one_time_travels_light(corner: tuple[Path, Any]) -> None:
    source = between(BEFORE, AFTER, region=CORNER).build([str(corner[0])])
    assert isinstance(source, HRRRZarrSource)
    narrowed = source.narrowed(AFTER)
    assert (len(narrowed.times), narrowed.inputs) == (1, ())
