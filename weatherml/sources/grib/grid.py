"""Where a field lies: section 3 becomes a `Grid`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from weatherml.errors import BadDataError
from weatherml.grid import MOST_POINTS, Grid
from weatherml.sources.grib.octets import GribError, signed, unsigned

Array = npt.NDArray[Any]

LATLON, LAMBERT = 0, 30  # grid definition templates
SHORTEST = 72  # bytes of section 3 in template 3.0


@lru_cache(maxsize=64)
def grid_of(section: bytes) -> Grid:
    """The grid that section 3 defines; row 0 is the first row scanned.

    Raises:
        GribError: a grid template other than 3.0 (latitude-longitude) and 3.30 (Lambert conformal).
    """
    template = unsigned(section, 13, 2)
    if template not in _GRIDS or len(section) < SHORTEST:
        raise GribError(f"grid template 3.{template}; latitude-longitude (3.0) and Lambert conformal (3.30) are read")
    nx, ny = unsigned(section, 31, 4), unsigned(section, 35, 4)
    if nx * ny != unsigned(section, 7, 4) or not 0 < nx * ny <= MOST_POINTS:
        raise GribError(f"a grid of {nx} x {ny} points that says it has {unsigned(section, 7, 4)}")
    try:
        return _GRIDS[template](section, nx, ny)
    except (IndexError, RuntimeError, BadDataError) as error:  # RuntimeError: pyproj's
        raise GribError(f"a grid that cannot be ({error})") from None


def common_grid(files: Mapping[bytes, Path]) -> Grid:
    """The grid that all sections 3 define; each comes with a file that has it.

    Raises:
        BadDataError: naming a file on another grid than the first, and the difference.
    """
    grids: list[Grid] = []
    for section, path in files.items():
        try:
            grids.append(grid_of(section))
        except GribError as error:
            raise BadDataError(f"{path}: {error}; leave this file out") from None
        if difference := grids[0].difference(grids[-1]):
            raise BadDataError(f"{path}: {difference}; give only files on one grid")
    return grids[0]


def relative_to_grid(section: bytes) -> bool:
    """Whether vector components are along the grid's x and y (`uvRelativeToGrid`), not east and north."""
    octet = {LATLON: 55, LAMBERT: 47}[unsigned(section, 13, 2)]
    return bool(unsigned(section, octet) & 0x08)


def _lambert(section: bytes, nx: int, ny: int) -> Grid:
    """Template 3.30: the first point is projected, the others stand at multiples of Dx and Dy from it."""
    mapping = {
        "grid_mapping_name": "lambert_conformal_conic",
        "standard_parallel": [signed(section, octet, 4) * 1e-6 for octet in (66, 70)],
        "longitude_of_central_meridian": _east(unsigned(section, 52, 4) * 1e-6),
        "latitude_of_projection_origin": signed(section, 48, 4) * 1e-6,
        "false_easting": 0.0,
        "false_northing": 0.0,
        **_earth(section),
    }
    x0, y0 = _project(mapping, _east(unsigned(section, 43, 4) * 1e-6), signed(section, 39, 4) * 1e-6)
    sign_x, sign_y = _directions(section[64])
    x = x0 + sign_x * unsigned(section, 56, 4) * 1e-3 * np.arange(nx)
    y = y0 + sign_y * unsigned(section, 60, 4) * 1e-3 * np.arange(ny)
    return Grid(kind="projected", y=np.round(y, 3), x=np.round(x, 3), mapping=mapping)  # mm, as in the message


def _project(mapping: dict[str, Any], longitude: float, latitude: float) -> tuple[float, float]:
    """A point in degrees as x and y in metres."""
    import pyproj  # noqa: PLC0415 - slow to import

    crs = pyproj.CRS.from_cf(mapping)
    x, y = pyproj.Transformer.from_crs(crs.geodetic_crs, crs, always_xy=True).transform(longitude, latitude)
    if not np.isfinite([x, y]).all():
        raise GribError("its first point is off the projection")
    return x, y


def _latlon(section: bytes, nx: int, ny: int) -> Grid:
    """Template 3.0: latitude and longitude of the first and last point, and their steps Di and Dj."""
    sign_x, sign_y = _directions(section[71])
    basic, parts = unsigned(section, 39, 4), unsigned(section, 43, 4)
    unit = 1e-6 if basic in (0, 0xFFFFFFFF) or parts in (0, 0xFFFFFFFF) else basic / parts  # degrees
    lat0, lon0, lat1, lon1 = (signed(section, octet, 4) * unit for octet in (47, 51, 56, 60))
    if (lon1 - lon0) * sign_x < 0:  # across the meridian where the count starts again
        lon1 += 360.0 * sign_x
    x = _axis(lon0, lon1, nx, sign_x * unsigned(section, 64, 4) * unit)
    y = _axis(lat0, lat1, ny, sign_y * unsigned(section, 68, 4) * unit)
    mapping = {"grid_mapping_name": "latitude_longitude", **_earth(section)}
    return Grid(kind="latlon", y=y, x=x, mapping=mapping)


_GRIDS: dict[int, Callable[[bytes, int, int], Grid]] = {LATLON: _latlon, LAMBERT: _lambert}


def _axis(first: float, last: float, count: int, step: float) -> Array:
    """Degrees from `first` in `step`s, or in equal parts to `last` where the step was rounded (1/3 degree)."""
    ends_there = abs(first + (count - 1) * step - last) < 1e-5
    return np.round(first + step * np.arange(count) if ends_there else np.linspace(first, last, count), 6)


def _directions(scanning_mode: int) -> tuple[int, int]:
    """The signs of x and y from one point, and from one row, to the next (flag table 3.4)."""
    if scanning_mode & 0x3F:
        raise GribError(f"scanning mode {scanning_mode}: rows that are not one after another, all in one direction")
    return (-1 if scanning_mode & 0x80 else 1), (1 if scanning_mode & 0x40 else -1)


def _earth(section: bytes) -> dict[str, float]:
    """The figure of the Earth in CF terms, metres (code table 3.2)."""
    code = section[14]
    radius, major, minor = (unsigned(section, octet + 1, 4) * 10.0 ** -section[octet - 1] for octet in (16, 21, 26))
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
