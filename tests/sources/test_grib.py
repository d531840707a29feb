"""GRIB2 headers in pure Python against eccodes, and what a broken message does."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pyproj  # noqa: F401 - before eccodes
import pytest

from weatherml.sources import grib

eccodes = pytest.importorskip("eccodes")

RME = "hrrr_smrf_rme/hrrr.20180722/hrrr.t09z.wrfsfcf01.grib2"
KEYS = ("discipline", "parameterCategory", "parameterNumber", "level", "productDefinitionTemplateNumber")


@pytest.fixture(scope="module")
def content(shared_data: Path) -> bytes:
    return (shared_data / RME).read_bytes()


def fields(content: bytes) -> list[grib.Field]:
    return list(grib.scan(io.BytesIO(content), len(content)))


def test_headers_are_those_of_eccodes(shared_data: Path, content: bytes) -> None:
    scanned = fields(content)
    assert len(scanned) == 52
    for field in scanned:
        handle = eccodes.codes_new_from_message(content[field.offset : field.offset + field.length])
        for key in KEYS:
            assert field.keys[key] == eccodes.codes_get(handle, key), (field.offset, key)
        valid = f"{eccodes.codes_get(handle, 'validityDate'):08d}{eccodes.codes_get(handle, 'validityTime'):04d}"
        assert str(field.valid) == f"{valid[:4]}-{valid[4:6]}-{valid[6:8]}T{valid[8:10]}:{valid[10:]}:00"
        eccodes.codes_release(handle)


@pytest.mark.parametrize(
    ("name", "corner"),
    [("hrrr_kerchunk/hrrr.wrfsubhf.sample.grib2", (21.138123, -122.719528)), (RME, (41.881421, -116.929854))],
)
def test_grid_points_are_those_of_eccodes(shared_data: Path, name: str, corner: tuple[float, float]) -> None:
    with (shared_data / name).open("rb") as stream:
        field = next(grib.scan(stream, (shared_data / name).stat().st_size))
        stream.seek(0)
        handle = eccodes.codes_grib_new_from_file(stream)
    latitude, longitude = (eccodes.codes_get_array(handle, key) for key in ("latitudes", "longitudes"))
    eccodes.codes_release(handle)
    grid = grib.grid_of(field.grid)
    assert grid.latlon is not None
    np.testing.assert_allclose(grid.latlon[0].ravel(), latitude, atol=2e-6)
    np.testing.assert_allclose(grid.latlon[1].ravel() % 360, longitude, atol=2e-6)
    np.testing.assert_allclose([axis[0, 0] for axis in grid.latlon], corner, atol=1e-6)
    assert grib.relative_to_grid(field.grid)


def test_the_documented_corners(shared_data: Path) -> None:
    path = shared_data / "hrrr_reformatters/dpt2m.grib2"
    grid = grib.grid_of(grib.scan_file(path, {"d2m": {"parameterNumber": 6}}).found[0][1].field.grid)
    assert grid.shape == (1059, 1799)
    assert grid.latlon is not None
    np.testing.assert_allclose([axis[0, 0] for axis in grid.latlon], (21.138123, -122.719528), atol=1e-6)
    np.testing.assert_allclose([axis[-1, -1] for axis in grid.latlon], (47.842195, -60.917193), atol=1e-6)


def test_a_message_with_two_fields(content: bytes) -> None:
    """U and V in one message, sections 1 to 3 shared, as some centres write them."""
    u, v = (field for field in fields(content) if field.keys["level"] == 10 and field.keys["parameterNumber"] in (2, 3))
    one, two = (content[field.offset : field.offset + field.length] for field in (u, v))
    start = 16 + 21 + 81  # sections 0, 1 and 3
    body = one[16:-4] + two[start:-4] + b"7777"
    both = one[:8] + (16 + len(body)).to_bytes(8, "big") + body
    assert [field.number for field in fields(both)] == [0, 1]
    for number, alone in enumerate((one, two)):
        field, message = grib.extract(both, number)
        assert field.number == number
        assert message == alone
    with pytest.raises(grib.GribError, match="no field 2"):
        grib.extract(both, 2)


def test_bitmaps_become_nan(content: bytes) -> None:
    handle = eccodes.codes_new_from_message(content[: fields(content)[0].length])
    values = eccodes.codes_get_array(handle, "values")
    eccodes.codes_set(handle, "bitmapPresent", 1)
    values[7] = eccodes.codes_get(handle, "missingValue")
    eccodes.codes_set_array(handle, "values", values)
    decoded = grib.decode(eccodes.codes_get_message(handle), (78, 41))
    eccodes.codes_release(handle)
    assert np.flatnonzero(np.isnan(decoded)).tolist() == [7]


def broken(content: bytes, at: int, value: bytes) -> bytes:
    return content[:at] + value + content[at + len(value) :]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda c: b"", "empty"),
        (lambda c: c[:10], "ends after 10 bytes"),
        (lambda c: c[:1000], "the file 1000 from there on"),
        (lambda c: broken(c, 0, b"BRIG"), "no GRIB message at byte 0"),
        (lambda c: broken(c, 7, b"\x01"), "edition 1"),
        (lambda c: broken(c, 15, b"\x00"), "does not end with 7777"),
        (lambda c: broken(c, 16, b"\xff"), "broken section at byte 16"),
        (lambda c: broken(c, 16 + 14, b"\x0d"), "unreadable headers"),  # month 13
    ],
)
def test_broken_messages_are_named(change: object, message: str, content: bytes) -> None:
    with pytest.raises(grib.GribError, match=message):
        fields(change(content))  # type: ignore[operator]


def test_no_header_byte_can_crash_the_scan(content: bytes) -> None:
    """Every byte of the first message's headers, inverted: a field, or a GribError, and nothing else."""
    message = content[: fields(content)[0].length]
    outcomes = set()
    for at in range(16 + 21 + 81 + 34):
        try:
            for field in fields(broken(message, at, bytes([message[at] ^ 0xFF]))):
                if at % 8 == 0:  # a projection takes a tenth of a second
                    grib.grid_of(field.grid)
            outcomes.add("read")
        except grib.GribError:
            outcomes.add("refused")
    assert outcomes == {"read", "refused"}


def test_a_grid_too_large_is_refused(content: bytes) -> None:
    section = fields(content)[0].grid
    huge = (1 << 31).to_bytes(4, "big")
    with pytest.raises(grib.GribError, match="points that says"):
        grib.grid_of(section[:30] + huge + huge + section[38:])
