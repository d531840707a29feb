"""Which dimensions are time, y and x: by their coordinates' attributes, then by usual names."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from weatherml.errors import BadDataError

if TYPE_CHECKING:
    import xarray as xr

Roles = Mapping[str, str]
"""The dimensions of a file by their role: `time`, `y`, `x`."""

AXES = {"T": "time", "Y": "y", "X": "x"}
STANDARD_NAMES = {
    "time": "time",
    "latitude": "y",
    "projection_y_coordinate": "y",
    "grid_latitude": "y",
    "longitude": "x",
    "projection_x_coordinate": "x",
    "grid_longitude": "x",
}
UNITS = {"degrees_north": "y", "degree_north": "y", "degrees_east": "x", "degree_east": "x"}
NAMES = {
    **dict.fromkeys(("time", "valid_time", "t", "date", "day", "month", "year"), "time"),
    **dict.fromkeys(("y", "yc", "j", "nj", "lat", "latitude", "rlat", "nlat", "south_north", "northing", "row"), "y"),
    **dict.fromkeys(("x", "xc", "i", "ni", "lon", "longitude", "rlon", "nlon", "west_east", "easting", "column"), "x"),
}


def find_roles(path: Path, dataset: xr.Dataset) -> dict[str, str]:
    """The dimensions that are time, y and x; time may be absent.

    Raises:
        BadDataError: no y or no x.
    """
    roles: dict[str, str] = {}
    for dim in map(str, dataset.sizes):
        if role := _role(dim, dataset[dim].attrs if dim in dataset.variables else {}):
            roles.setdefault(role, dim)
    for role in ("y", "x"):
        if role not in roles:
            raise BadDataError(
                f"{path}: no {role} among the dimensions {', '.join(map(str, dataset.sizes))}; "
                f"give its coordinate the attribute axis = {role.upper()!r}"
            )
    return roles


def _role(name: str, attributes: Mapping[Hashable, Any]) -> str | None:
    axis, standard_name, units = (str(attributes.get(key, "")) for key in ("axis", "standard_name", "units"))
    since = "time" if " since " in units else None
    return AXES.get(axis) or STANDARD_NAMES.get(standard_name) or UNITS.get(units) or since or NAMES.get(name.lower())


def roles_of(field: xr.DataArray, roles: Roles) -> set[str]:
    """The roles that a field's dimensions play; empty for bounds, profiles and series."""
    played = {role for role, dim in roles.items() if dim in field.dims}
    return played if {"y", "x"} <= played else set()


def further(field: xr.DataArray, roles: Roles) -> list[str]:
    """Dimensions of more than one value besides time, y and x, with their sizes."""
    return [f"{dim} ({size})" for dim, size in field.sizes.items() if dim not in roles.values() and size > 1]
