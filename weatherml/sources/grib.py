"""GRIB2 messages: headers are read and checked in pure Python, payloads are decoded by eccodes.

GRIB has no checksum, and a flipped header bit can crash a native decoder. So a scan touches headers
only, seeks over the payloads, and never calls eccodes; `decode` alone does, on one checked message.
Octets are numbered from 1, as in the WMO Manual on Codes (FM 92, GRIB edition 2).
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from weatherml.errors import BadDataError
from weatherml.grid import Grid

Array = npt.NDArray[Any]
Keys = dict[str, float]

KEYS = (
    "discipline",
    "parameterCategory",
    "parameterNumber",
    "typeOfFirstFixedSurface",
    "level",
    "typeOfSecondFixedSurface",
    "secondLevel",
    "typeOfGeneratingProcess",
    "productDefinitionTemplateNumber",
    "typeOfStatisticalProcessing",
)
"""The keys by which a message can be chosen: code-table numbers, and the levels in the surface's units."""

INSTANT, INTERVAL = 0, 8  # product definition templates 4.0 and 4.8
UNIT_SECONDS = {0: 60, 1: 3600, 2: 86400, 10: 3 * 3600, 11: 6 * 3600, 12: 12 * 3600, 13: 1}  # code table 4.4
MAX_HEADER = 1 << 16
MAX_POINTS = 1 << 28  # a constant field of any size is a few bytes: refuse before memory is asked for

HEAD, END = b"GRIB", b"7777"
HEAD_SIZE = 16
MISSING = -1e30  # eccodes' default, 9999, is a possible value


class GribError(BadDataError):
    """What is wrong with a message; whoever reads the file adds its name."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Field:
    """One field's headers.

    Attributes:
        offset: the first byte of its message in the file.
        length: the message's bytes.
        number: the field within the message; 0 but in messages that share sections between fields.
        keys: values of `KEYS`; a key that the message lacks is absent.
        reference: reference time, datetime64[s] UTC.
        valid: valid time, the end of the interval for sums, means and extremes.
        grid: section 3, for `grid_of`.
    """

    offset: int
    length: int
    number: int
    keys: Keys
    reference: np.datetime64
    valid: np.datetime64
    grid: bytes

    @property
    def lead(self) -> np.timedelta64:
        """Valid time minus reference time."""
        return np.timedelta64(self.valid - self.reference, "s")

    def matches(self, keys: Mapping[str, float]) -> bool:
        """Whether every one of `keys` has this value here."""
        return all(self.keys.get(key) == value for key, value in keys.items())


@dataclass(frozen=True, kw_only=True, slots=True)
class Place:
    """A field and the file that holds it."""

    path: Path
    field: Field


@dataclass(frozen=True, kw_only=True, slots=True)
class ScannedFile:
    """What the headers of one file hold.

    Attributes:
        path: the file.
        size: in bytes.
        found: the wanted fields with their names.
        times: valid times of all its fields, wanted or not.
        damage: why the scan stopped early; empty where the file is whole.
    """

    path: Path
    size: int
    found: tuple[tuple[str, Place], ...]
    times: frozenset[np.datetime64]
    damage: str = ""


def scan_file(path: Path, wanted: Mapping[str, Keys]) -> ScannedFile:
    """Find the fields whose headers match one of `wanted`, by name; damage is kept, not raised."""
    found: list[tuple[str, Place]] = []
    times: set[np.datetime64] = set()
    damage = ""
    size = path.stat().st_size
    try:
        with path.open("rb") as stream:
            for field in scan(stream, size):
                times.add(field.valid)
                found += [(name, Place(path=path, field=field)) for name, keys in wanted.items() if field.matches(keys)]
    except GribError as error:
        damage = f"{path}: {error}; fetch the file again"
    return ScannedFile(path=path, size=size, found=tuple(found), times=frozenset(times), damage=damage)


def scan(stream: BinaryIO, size: int) -> Iterator[Field]:
    """The fields of a file of `size` bytes, in order; payloads are not read.

    Raises:
        GribError: at the first broken message; what was yielded before it stands.
    """
    if not size:
        raise GribError("the file is empty")
    offset = 0
    while offset < size:
        length, discipline = _message_head(stream, offset, size)
        yield from _fields(stream, offset, length, discipline)
        offset += length


def extract(message: bytes, number: int) -> tuple[Field, bytes]:
    """The `number`-th field of a whole message: its headers, and a message that holds it alone.

    Raises:
        GribError: the message is broken, or has no such field.
    """
    stream = io.BytesIO(message)
    field = next((field for field in scan(stream, len(message)) if field.number == number), None)
    if field is None:
        raise GribError(f"the message has no field {number}")
    sections: dict[int, bytes] = {}
    seen = -1
    for kind, start, size in _sections(stream, 0, len(message)):
        body = message[start : start + size]
        if kind != 6 or body[5] != 254:  # 254: the bitmap of the field before applies
            sections[kind] = body
        seen += kind == 7
        if seen == number:
            break
    content = b"".join(sections[kind] for kind in sorted(sections)) + END
    return field, message[:8] + (HEAD_SIZE + len(content)).to_bytes(8, "big") + content


def read_field(path: Path, offset: int, length: int, number: int) -> tuple[Field, bytes]:
    """`extract` from a place in a file, touching nothing else of it."""
    with path.open("rb") as stream:
        return extract(_read(stream, offset, length), number)


def decode(message: bytes, shape: tuple[int, int]) -> Array:
    """The values of a single-field message, (H, W) float32 in scanning order, NaN where the bitmap says missing.

    Raises:
        GribError: eccodes cannot decode it, or it has another number of points.
    """
    import pyproj  # noqa: F401, I001, PLC0415 - before eccodes: both bundle libproj, and the other order crashes at exit
    import eccodes  # noqa: PLC0415 - loads native libraries that only reading needs

    handle = None
    try:
        handle = eccodes.codes_new_from_message(message)
        eccodes.codes_set(handle, "missingValue", MISSING)
        values = np.asarray(eccodes.codes_get_array(handle, "values"))
        masked = eccodes.codes_get(handle, "bitmapPresent")
    except eccodes.CodesInternalError as error:
        raise GribError(f"eccodes: {error}") from None
    finally:
        if handle is not None:
            eccodes.codes_release(handle)
    if values.size != shape[0] * shape[1]:
        raise GribError(f"{values.size} values for {shape[0]} x {shape[1]} points")
    if masked:
        values[values == MISSING] = np.nan
    return values.astype(np.float32).reshape(shape)


@lru_cache(maxsize=64)
def grid_of(section: bytes) -> Grid:
    """The grid that section 3 defines; row 0 is the first row scanned.

    Raises:
        GribError: a grid template other than 3.0 (latitude-longitude) and 3.30 (Lambert conformal).
    """
    template = _unsigned(section, 13, 2)
    if template not in _GRIDS or len(section) < 72:
        raise GribError(f"grid template 3.{template}; latitude-longitude (3.0) and Lambert conformal (3.30) are read")
    nx, ny = _unsigned(section, 31, 4), _unsigned(section, 35, 4)
    if nx * ny != _unsigned(section, 7, 4) or not 0 < nx * ny <= MAX_POINTS:
        raise GribError(f"a grid of {nx} x {ny} points that says it has {_unsigned(section, 7, 4)}")
    try:
        return _GRIDS[template](section, nx, ny)
    except (IndexError, RuntimeError, BadDataError) as error:  # RuntimeError: pyproj's
        raise GribError(f"a grid that cannot be ({error})") from None


def relative_to_grid(section: bytes) -> bool:
    """Whether vector components are along the grid's x and y (`uvRelativeToGrid`), not east and north."""
    octet = {0: 55, 30: 47}[_unsigned(section, 13, 2)]
    return bool(_unsigned(section, octet) & 0x08)


def _message_head(stream: BinaryIO, offset: int, size: int) -> tuple[int, int]:
    """Check section 0 and the end marker; the message's length and discipline."""
    head = _read(stream, offset, HEAD_SIZE)
    if head[:4] != HEAD:
        raise GribError(f"no GRIB message at byte {offset}")
    if len(head) < HEAD_SIZE:
        raise GribError(f"the message at byte {offset} ends after {len(head)} bytes")
    if head[7] != 2:
        raise GribError(f"GRIB edition {head[7]} at byte {offset}; edition 2 is read")
    length = int.from_bytes(head[8:16], "big")
    if length < HEAD_SIZE + len(END) or offset + length > size:
        raise GribError(f"the message at byte {offset} has {length} bytes and the file {size - offset} from there on")
    if _read(stream, offset + length - len(END), len(END)) != END:
        raise GribError(f"the message at byte {offset} does not end with 7777")
    return length, head[6]


def _sections(stream: BinaryIO, offset: int, length: int) -> Iterator[tuple[int, int, int]]:
    """(number, first byte, size) of each section of the message at `offset`."""
    position, end = offset + HEAD_SIZE, offset + length - len(END)
    while position < end:
        head = _read(stream, position, 5)
        size = int.from_bytes(head[:4], "big")
        if size < 5 or position + size > end or not 1 <= head[4] <= 7:
            raise GribError(f"the message at byte {offset} has a broken section at byte {position}")
        yield head[4], position, size
        position += size


def _fields(stream: BinaryIO, offset: int, length: int, discipline: int) -> Iterator[Field]:
    """The fields of one message: each ends with a section 7, under the latest sections 1, 3 and 4."""
    latest: dict[int, bytes] = {}
    number = 0
    for kind, start, size in _sections(stream, offset, length):
        if kind in (1, 3, 4):
            latest[kind] = _read(stream, start, min(size, MAX_HEADER))
        if kind != 7:
            continue
        try:
            product = _product(latest[4])
            if product is not None:
                reference = _time(latest[1], 13)
                yield Field(
                    offset=offset,
                    length=length,
                    number=number,
                    keys={"discipline": discipline, **product},
                    reference=reference,
                    valid=_valid_time(latest[4], reference),
                    grid=latest[3],
                )
        except (KeyError, ValueError, IndexError):
            raise GribError(f"the message at byte {offset} has unreadable headers") from None
        number += 1


def _product(section: bytes) -> Keys | None:
    """The keys of section 4; None for templates that say something else there (ensembles, satellites)."""
    template = _unsigned(section, 8, 2)
    if template not in (INSTANT, INTERVAL):
        return None
    keys: Keys = {
        "productDefinitionTemplateNumber": template,
        "parameterCategory": section[9],
        "parameterNumber": section[10],
        "typeOfGeneratingProcess": section[11],
        "typeOfFirstFixedSurface": section[22],
        "typeOfSecondFixedSurface": section[28],
    }
    for name, octet in (("level", 24), ("secondLevel", 30)):
        if section[octet - 1] != 0xFF and section[octet : octet + 4] != b"\xff\xff\xff\xff":
            keys[name] = _signed(section, octet + 1, 4) * 10.0 ** -_signed(section, octet, 1)
    if template == INTERVAL:
        keys["typeOfStatisticalProcessing"] = section[46]
    return keys


def _valid_time(section: bytes, reference: np.datetime64) -> np.datetime64:
    if _unsigned(section, 8, 2) == INTERVAL:
        return _time(section, 35)
    return reference + np.timedelta64(_signed(section, 19, 4) * UNIT_SECONDS[section[17]], "s")


def _time(section: bytes, octet: int) -> np.datetime64:
    """Year (two octets), month, day, hour, minute, second."""
    parts = section[octet + 1 : octet + 6]
    return np.datetime64(datetime(_unsigned(section, octet, 2), *parts), "s")  # noqa: DTZ001 - GRIB is UTC


def _lambert(section: bytes, nx: int, ny: int) -> Grid:
    """Template 3.30: the first point is projected, the others stand at multiples of Dx and Dy from it."""
    import pyproj  # noqa: PLC0415 - slow to import

    latin = [_signed(section, octet, 4) * 1e-6 for octet in (66, 70)]
    mapping = {
        "grid_mapping_name": "lambert_conformal_conic",
        "standard_parallel": latin,
        "longitude_of_central_meridian": _east(_unsigned(section, 52, 4) * 1e-6),
        "latitude_of_projection_origin": _signed(section, 48, 4) * 1e-6,
        "false_easting": 0.0,
        "false_northing": 0.0,
        **_earth(section),
    }
    crs = pyproj.CRS.from_cf(mapping)
    project = pyproj.Transformer.from_crs(crs.geodetic_crs, crs, always_xy=True)
    x0, y0 = project.transform(_east(_unsigned(section, 43, 4) * 1e-6), _signed(section, 39, 4) * 1e-6)
    if not np.isfinite([x0, y0]).all():
        raise GribError("its first point is off the projection")
    sign_x, sign_y = _directions(section[64])
    x = x0 + sign_x * _unsigned(section, 56, 4) * 1e-3 * np.arange(nx)
    y = y0 + sign_y * _unsigned(section, 60, 4) * 1e-3 * np.arange(ny)
    return Grid(kind="projected", y=np.round(y, 3), x=np.round(x, 3), mapping=mapping)  # mm, as in the message


def _latlon(section: bytes, nx: int, ny: int) -> Grid:
    """Template 3.0: latitude and longitude of the first and last point, and their steps Di and Dj."""
    sign_x, sign_y = _directions(section[71])
    basic, parts = _unsigned(section, 39, 4), _unsigned(section, 43, 4)
    unit = 1e-6 if basic in (0, 0xFFFFFFFF) or parts in (0, 0xFFFFFFFF) else basic / parts  # degrees
    lat0, lon0, lat1, lon1 = (_signed(section, octet, 4) * unit for octet in (47, 51, 56, 60))
    if (lon1 - lon0) * sign_x < 0:  # across the meridian where the count starts again
        lon1 += 360.0 * sign_x
    x = _axis(lon0, lon1, nx, sign_x * _unsigned(section, 64, 4) * unit)
    y = _axis(lat0, lat1, ny, sign_y * _unsigned(section, 68, 4) * unit)
    mapping = {"grid_mapping_name": "latitude_longitude", **_earth(section)}
    return Grid(kind="latlon", y=y, x=x, mapping=mapping)


def _axis(first: float, last: float, count: int, step: float) -> Array:
    """Degrees from `first` in `step`s, or in equal parts to `last` where the step was rounded (1/3 degree)."""
    ends_there = abs(first + (count - 1) * step - last) < 1e-5
    return np.round(first + step * np.arange(count) if ends_there else np.linspace(first, last, count), 6)


_GRIDS: dict[int, Callable[[bytes, int, int], Grid]] = {0: _latlon, 30: _lambert}


def _directions(scanning_mode: int) -> tuple[int, int]:
    """The signs of x and y from one point, and from one row, to the next (flag table 3.4)."""
    if scanning_mode & 0x3F:
        raise GribError(f"scanning mode {scanning_mode}: rows that are not one after another, all in one direction")
    return (-1 if scanning_mode & 0x80 else 1), (1 if scanning_mode & 0x40 else -1)


def _earth(section: bytes) -> dict[str, float]:
    """The figure of the Earth in CF terms, metres (code table 3.2)."""
    code = section[14]
    radius, major, minor = (_unsigned(section, octet + 1, 4) * 10.0 ** -section[octet - 1] for octet in (16, 21, 26))
    spheres = {0: 6367470.0, 1: radius, 6: 6371229.0, 8: 6371200.0}
    ellipsoids = {
        2: (6378160.0, 6356775.0),
        3: (1000 * major, 1000 * minor),
        4: (6378137.0, 6356752.314),
        5: (6378137.0, 6356752.314245),
        7: (major, minor),
    }
    if code in spheres:
        return {"earth_radius": spheres[code]}
    if code in ellipsoids:
        return dict(zip(("semi_major_axis", "semi_minor_axis"), ellipsoids[code], strict=True))
    raise GribError(f"shape of the Earth {code}; codes 0 to 8 are read")


def _east(longitude: float) -> float:
    """A longitude in [-180, 180)."""
    return round((longitude + 180.0) % 360.0 - 180.0, 6)


def _unsigned(section: bytes, octet: int, size: int = 1) -> int:
    return int.from_bytes(section[octet - 1 : octet - 1 + size], "big")


def _signed(section: bytes, octet: int, size: int) -> int:
    """GRIB's signed integers: the first bit is the sign, the others the magnitude."""
    value, sign = _unsigned(section, octet, size), 1 << (8 * size - 1)
    return sign - value if value & sign else value


def _read(stream: BinaryIO, offset: int, size: int) -> bytes:
    stream.seek(offset)
    return stream.read(size)
