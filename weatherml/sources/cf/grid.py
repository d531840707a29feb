"""The horizontal grid: from axes in degrees or metres, from 2-D latitudes, or bare indices."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from weatherml.errors import BadDataError
from weatherml.grid import Grid
from weatherml.sources.cf.dimensions import UNITS, Roles

if TYPE_CHECKING:
    import pyproj
    import xarray as xr

Array = npt.NDArray[Any]
NOWHERE = "no usable latitude and longitude or projection: features of the sun and of latitude are left out"
DEGREE_NAMES = ("lat", "latitude", "lon", "longitude")


def read_grid(path: Path, dataset: xr.Dataset, roles: Roles) -> tuple[Grid, list[str]]:
    """The horizontal grid, and a note where its place on the Earth is unknown.

    Raises:
        BadDataError: a grid mapping that is no projection, or axes that are not monotonic.
    """
    mapping = read_mapping(path, dataset)
    name = mapping.get("grid_mapping_name", "latitude_longitude")
    try:
        if name == "latitude_longitude":
            grid = _from_degrees(dataset, roles, mapping)
        elif name == "rotated_latitude_longitude":  # neither degrees on the Earth nor metres
            grid = None
        else:
            grid = _from_metres(dataset, roles, mapping) or _from_latlon(dataset, roles, mapping)
    except BadDataError as error:
        raise BadDataError(f"{path}: {error}") from None
    if grid is not None:
        return grid, []
    rows, columns = (np.arange(float(dataset.sizes[roles[role]])) for role in "yx")
    return Grid(kind="index", y=rows, x=columns), [NOWHERE]


def _axes(dataset: xr.Dataset, roles: Roles) -> tuple[xr.Variable, xr.Variable] | None:
    y, x = (dataset.variables.get(roles[role]) for role in "yx")
    return None if y is None or x is None else (y, x)


def _from_degrees(dataset: xr.Dataset, roles: Roles, mapping: dict[str, Any]) -> Grid | None:
    """A latitude-longitude grid; None where the axes are not in degrees."""
    axes = _axes(dataset, roles)
    if axes is None or not all(_is_degrees(roles[role], axis.attrs) for role, axis in zip("yx", axes, strict=True)):
        return None
    y, x = (np.asarray(axis.values, np.float64) for axis in axes)
    return Grid(kind="latlon", y=y, x=x, mapping=mapping)


def _from_metres(dataset: xr.Dataset, roles: Roles, mapping: dict[str, Any]) -> Grid | None:
    """A projected grid from its axes; None where the file has none."""
    axes = _axes(dataset, roles)
    if axes is None:
        return None
    y, x = (np.asarray(axis.values, np.float64) * _metres(axis.attrs) for axis in axes)
    return Grid(kind="projected", y=y, x=x, mapping=mapping)


def _metres(attributes: Mapping[Any, Any]) -> float:
    return 1000.0 if str(attributes.get("units")) in ("km", "kilometers") else 1.0


def _is_degrees(name: str, attributes: Mapping[Any, Any]) -> bool:
    if "standard_name" in attributes:
        return attributes["standard_name"] in ("latitude", "longitude")
    return attributes.get("units") in UNITS or name.lower() in DEGREE_NAMES


def read_mapping(path: Path, dataset: xr.Dataset) -> dict[str, Any]:
    """CF grid-mapping attributes as plain values; empty where the file names none.

    Raises:
        BadDataError: a grid mapping that is no projection.
    """
    import pyproj  # noqa: PLC0415 - slow to import

    fields = dataset.data_vars.values()
    names = [field.attrs.get("grid_mapping") or field.encoding.get("grid_mapping") for field in fields]
    name = next((str(name).split(":")[0].split()[0] for name in names if name), None)
    if name not in dataset.variables:
        return {}
    attributes = {str(k): v.tolist() if hasattr(v, "tolist") else v for k, v in dataset[name].attrs.items()}
    try:
        crs = _projection(json.dumps(attributes, sort_keys=True, default=str))
    except (pyproj.exceptions.CRSError, KeyError) as error:
        raise BadDataError(f"{path}: grid mapping {name}: {error}; mend or remove it") from None
    return attributes if "grid_mapping_name" in attributes else dict(crs.to_cf())


@lru_cache(maxsize=16)
def _projection(attributes: str) -> pyproj.CRS:
    """Of grid-mapping attributes as JSON. PROJ looks a datum up for tenths of a second, and many files share one."""
    import pyproj  # noqa: PLC0415

    return pyproj.CRS.from_cf(json.loads(attributes))


def _from_latlon(dataset: xr.Dataset, roles: Roles, mapping: dict[str, Any]) -> Grid | None:
    """A projected grid from 2-D latitude and longitude; None where they are absent or no such grid."""
    import pyproj  # noqa: PLC0415

    found = _planes(dataset, (roles["y"], roles["x"]))
    if len(found) < 2:
        return None
    crs = pyproj.CRS.from_cf(mapping)
    project = pyproj.Transformer.from_crs(crs.geodetic_crs, crs, always_xy=True)
    x, y = project.transform(found["longitude"], found["latitude"])
    off = max(np.abs(x - x.mean(0)).max(), np.abs(y - y.mean(1, keepdims=True)).max())
    if off > 0.05 * abs(x[0, 1] - x[0, 0]):  # float32 latitudes stray by some metres
        return None
    return Grid(kind="projected", y=y.mean(1), x=x.mean(0), mapping=mapping)


def _planes(dataset: xr.Dataset, order: tuple[str, str]) -> dict[str, Array]:
    """2-D `latitude` and `longitude`, (H, W), under their standard or usual names (`lat`, `XLAT`, ...)."""
    return {
        what: plane.transpose(*order).values
        for what in ("latitude", "longitude")
        for name, plane in dataset.variables.items()
        if set(plane.dims) == set(order)
        and plane.attrs.get("standard_name", str(name).lower()) in (what, what[:3], f"x{what[:3]}", f"x{what[:4]}")
    }
