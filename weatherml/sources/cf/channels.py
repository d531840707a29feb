"""Which variables of a file are channels, in which units, and which are static fields."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from weatherml.config import parse
from weatherml.errors import BadDataError
from weatherml.sources.cf.dimensions import STANDARD_NAMES, Roles, further, roles_of
from weatherml.sources.cf.units import canonical, conversion
from weatherml.variables import TABLE, Variable

if TYPE_CHECKING:
    import xarray as xr

Array = npt.NDArray[Any]
Chosen = Mapping[str, Mapping[str, Any]]
"""The `variables` of a configuration."""

NUMBERS = "iuf"
STATIC_NAMES = {
    **dict.fromkeys(("surface_altitude", "orog", "orography", "elevation", "terrain", "hgt"), "orography"),
    **dict.fromkeys(("land_binary_mask", "lsm", "land", "landmask", "land_mask"), "land_binary_mask"),
}


@dataclass(frozen=True, kw_only=True)
class Channel:
    """A variable in one file: its name there, and what turns its units into the variable's."""

    source_name: str
    variable: Variable
    scale: float
    offset: float

    def convert(self, values: Array) -> Array:
        """Values of the file, in the variable's units, float32."""
        if (self.scale, self.offset) != (1.0, 0.0):
            values = values.astype(np.float64) * self.scale + self.offset
        return np.asarray(values, np.float32)


def find_channels(
    path: Path, dataset: xr.Dataset, roles: Roles, chosen: Chosen | None
) -> tuple[dict[str, Channel], list[str]]:
    """The channels of a file by name, and why other variables over time and grid are none.

    Raises:
        BadDataError: a chosen variable that cannot be one, or no units.
    """
    by_name = {str(name).lower(): str(name) for name in dataset.data_vars}
    wanted: Chosen = {name: {} for name in by_name if "time" in roles_of(dataset[by_name[name]], roles)}
    channels, notes = {}, []
    for name, settings in (wanted if chosen is None else chosen).items():
        source_name = settings.get("source_name") or by_name.get(name)
        if source_name not in dataset.data_vars:
            continue
        problem = _problem(dataset[source_name], roles)
        if problem and chosen is not None:
            raise BadDataError(f"{path}: {source_name} {problem}; choose another variable or reduce it")
        if problem:
            notes.append(f"{source_name}: {problem}, left out")
        else:
            channels[name] = _channel(path, name, dataset[source_name], settings)
    return channels, notes


def _problem(field: xr.DataArray, roles: Roles) -> str:
    """Why a field is no channel; empty where it is."""
    if "time" not in roles_of(field, roles):
        return f"has the dimensions {', '.join(map(str, field.dims))}, not time, y and x"
    if field.dtype.kind not in NUMBERS:
        return f"holds {field.dtype}, not numbers"
    extra = further(field, roles)
    return f"has a further dimension, {', '.join(extra)}" if extra else ""


def _channel(path: Path, name: str, field: xr.DataArray, settings: Mapping[str, Any]) -> Channel:
    given = {key: value for key, value in settings.items() if key != "source_name"}
    table = TABLE.get(name)
    if table is not None and given.get("units", table.units) != table.units:
        table = None  # its ranges are in other units
    source = canonical(field.attrs.get("units")) or given.get("units")
    if not source:
        raise BadDataError(f"{path}: {field.name}: has no units; write them, or set variables.{name}.units")
    target = given.get("units") or (table.units if table else source)
    scale_offset = conversion(source, target)
    if scale_offset is None:
        raise BadDataError(
            f"{path}: {field.name} is in {source!r}, not {target!r}; convert it, or set variables.{name}.units={source}"
        )
    base = table.settings() if table else _from_attributes(field, *scale_offset)
    variable = parse(Variable, {**base, **given, "name": name, "units": target}, at=f"variables.{name}")
    return Channel(source_name=str(field.name), variable=variable, scale=scale_offset[0], offset=scale_offset[1])


def _from_attributes(field: xr.DataArray, scale: float, offset: float) -> dict[str, Any]:
    """Settings of `Variable` from CF attributes; valid ranges of packed fields are in packed values."""
    attributes = field.attrs
    low, high = attributes.get("valid_range", (attributes.get("valid_min"), attributes.get("valid_max")))
    packed = [float(field.encoding.get(key, default)) for key, default in (("scale_factor", 1), ("add_offset", 0))]

    def physical(limit: Any) -> float | None:
        return None if limit is None else (float(limit) * packed[0] + packed[1]) * scale + offset

    texts = {key: str(attributes[key]) for key in ("long_name", "standard_name") if key in attributes}
    return {**texts, "valid_min": physical(low), "valid_max": physical(high)}


def find_statics(dataset: xr.Dataset, roles: Roles) -> dict[str, str]:
    """Fields over the grid alone: the names of a dataset, and theirs in the file; coordinates are none."""
    names = {}
    for name, field in dataset.data_vars.items():
        standard_name, own = str(field.attrs.get("standard_name", "")), str(name).lower()
        over_grid = roles_of(field, roles) == {"y", "x"} and not further(field, roles)
        if over_grid and field.dtype.kind in NUMBERS and standard_name not in STANDARD_NAMES:
            names[STATIC_NAMES.get(standard_name) or STATIC_NAMES.get(own, own)] = str(name)
    return names
