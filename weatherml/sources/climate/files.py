"""One variable's course through time, from NetCDF files and zarr stores."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from weatherml.errors import BadDataError
from weatherml.grid import Grid
from weatherml.registry import suggest
from weatherml.sources.cf import opened
from weatherml.sources.cf.dimensions import NAMES
from weatherml.sources.climate.calendar import read_months, require_order

Array = npt.NDArray[Any]


@dataclass(frozen=True, kw_only=True)
class Course:
    """A variable through time.

    Attributes:
        months: (T,) datetime64[M], see `read_months`.
        values: (T,) of the world, or (T, H, W).
        units: as the file says; empty where it does not.
        grid: of maps.
    """

    months: Array
    values: Array
    units: str = ""
    grid: Grid | None = None


def variables_in(path: Path) -> tuple[str, ...]:
    """The names of a file's variables, in lower case."""
    with opened(path) as dataset:
        return tuple(str(name).lower() for name in dataset.data_vars)


def read_course(path: Path, name: str) -> Course:
    """A variable of a file over time (and latitude and longitude); of several members the mean.

    Raises:
        BadDataError: a file that does not read, no such variable, dates that are not in order, or a single axis.
    """
    with opened(path) as dataset:
        names = {str(each).lower(): str(each) for each in dataset.data_vars}
        if name.lower() not in names:
            raise BadDataError(f"{path}: no variable {name}; {suggest(name.lower(), names)}")
        field = dataset[names[name.lower()]]
        roles = {NAMES.get(str(dim).lower(), str(dim)): str(dim) for dim in field.dims}
        order = [roles[role] for role in ("time", "y", "x") if role in roles]
        if "time" not in roles or len(order) == 2:
            raise BadDataError(f"{path}: {name} is over {', '.join(roles.values())}; it must be over time, or a map")
        members = [dim for dim in roles.values() if dim not in order]
        return Course(
            months=read_months(path, dataset, roles["time"]),
            values=np.asarray(field.mean(members).transpose(*order).values, np.float64),
            units=str(field.attrs.get("units", "")),
            grid=globe(dataset[roles["y"]].values, dataset[roles["x"]].values) if len(order) == 3 else None,
        )


def globe(latitude: Array, longitude: Array) -> Grid:
    """The grid of latitudes and longitudes in degrees."""
    return Grid(kind="latlon", y=latitude.astype(np.float64), x=longitude.astype(np.float64))


def joined(parts: Mapping[Path, Course]) -> Course:
    """Files that follow each other in time as one course.

    Raises:
        BadDataError: two grids, or a date that stands in two files.
    """
    ordered = sorted(parts.items(), key=lambda item: item[1].months[0])
    first = ordered[0][1]
    for other, course in ordered[1:]:
        if first.grid and course.grid and (difference := first.grid.difference(course.grid)):
            raise BadDataError(f"{other}: {difference}; give only files on one grid")
    months = np.concatenate([course.months for _, course in ordered])
    require_order(months, ", ".join(str(path) for path, _ in ordered))
    values = np.concatenate([course.values for _, course in ordered])
    return Course(months=months, values=values, units=first.units, grid=first.grid)


def matching(paths: Sequence[Path], pattern: str) -> list[Path]:
    """The paths whose name a glob pattern matches."""
    return [path for path in paths if Path(path.name).match(pattern)]
