"""Horizontal grids: projected (y, x), latitude-longitude, or bare indices, with their CF grid mapping."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field, fields
from functools import cached_property
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from weatherml.errors import BadDataError

Array = npt.NDArray[Any]
Kind = Literal["projected", "latlon", "index"]
MOST_POINTS = 1 << 28
"""Files of a few bytes may claim any number: refuse before memory is asked for."""

COORDINATES: dict[Kind, tuple[dict[str, str], dict[str, str]]] = {
    "projected": (
        {"standard_name": "projection_y_coordinate", "units": "m", "axis": "Y"},
        {"standard_name": "projection_x_coordinate", "units": "m", "axis": "X"},
    ),
    "latlon": (
        {"standard_name": "latitude", "units": "degrees_north", "axis": "Y"},
        {"standard_name": "longitude", "units": "degrees_east", "axis": "X"},
    ),
    "index": ({"units": "1", "axis": "Y"}, {"units": "1", "axis": "X"}),
}


@dataclass(frozen=True)
class Grid:
    """A horizontal grid of H rows and W columns.

    Attributes:
        kind: `projected` (y, x in metres with a CF `mapping`), `latlon` (degrees), or `index`.
        y: (H,) row coordinates, strictly monotonic; row 0 is wherever the source has it.
        x: (W,) column coordinates, strictly monotonic.
        mapping: CF grid-mapping attributes (`grid_mapping_name`, ...); empty where unknown.
    """

    kind: Kind
    y: Array
    x: Array
    mapping: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name, values in zip(self.dims, (self.y, self.x), strict=True):
            steps = np.diff(values)
            if values.ndim != 1 or not (np.all(steps > 0) or np.all(steps < 0)):
                raise BadDataError(f"{name}: not strictly monotonic; a grid needs one increasing or decreasing axis")

    def __getstate__(self) -> dict[str, Any]:
        """The fields alone: what is cached is large, and derived again where it is wanted."""
        return {each.name: getattr(self, each.name) for each in fields(self)}

    @property
    def dims(self) -> tuple[str, str]:
        """The names of the two dimensions, as they stand in a store."""
        return ("latitude", "longitude") if self.kind == "latlon" else ("y", "x")

    @property
    def shape(self) -> tuple[int, int]:
        """(H, W)."""
        return len(self.y), len(self.x)

    @cached_property
    def latlon(self) -> tuple[Array, Array] | None:
        """Latitude and longitude in degrees, each (H, W) float64; None where the grid does not know them."""
        if self.kind == "latlon":
            latitude, longitude = np.meshgrid(self.y, self.x, indexing="ij")
            return latitude, longitude
        if self.kind == "projected" and self.mapping:
            import pyproj  # noqa: PLC0415 - slow to import, and only projected grids need it

            to_degrees = pyproj.Transformer.from_crs(self.crs, self.crs.geodetic_crs, always_xy=True)
            longitude, latitude = to_degrees.transform(*np.meshgrid(self.x, self.y))
            return latitude, longitude
        return None

    @cached_property
    def crs(self) -> Any:
        """The pyproj coordinate reference system of `mapping`."""
        import pyproj  # noqa: PLC0415

        return pyproj.CRS.from_cf(self.mapping)

    @property
    def periodic_x(self) -> bool:
        """Whether the columns go round the globe."""
        if self.kind != "latlon" or len(self.x) < 2:
            return False
        return bool(np.isclose(abs(self.x[-1] - self.x[0]) + abs(self.x[1] - self.x[0]), 360.0, atol=1e-3))

    @property
    def spacing_km(self) -> float | None:
        """The grid spacing in km: mean of rows and columns, at the middle latitude; None where unknown."""
        dy, dx = (float(np.abs(np.diff(axis)).mean()) if len(axis) > 1 else 0.0 for axis in (self.y, self.x))
        if self.kind == "projected":
            return (dy + dx) / 2000.0
        if self.kind == "latlon":
            degree_km = 111.2
            return degree_km * (dy + dx * float(np.cos(np.deg2rad(self.y.mean())))) / 2
        return None

    @property
    def row_weights(self) -> Array:
        """(H,) area weights with mean 1: cos(latitude) on latitude-longitude grids, else 1."""
        weights = np.cos(np.deg2rad(self.y)).clip(0) if self.kind == "latlon" else np.ones(len(self.y))
        return np.asarray(weights / weights.mean())

    @cached_property
    def digest(self) -> str:
        """A hash that two grids share exactly when they are the same points in the same order."""
        rounded = [np.round(axis.astype(np.float64), 4).tolist() for axis in (self.y, self.x)]
        text = json.dumps([self.kind, *rounded, self.mapping], sort_keys=True, default=float)
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def difference(self, other: Grid) -> str:
        """In words, how `other` differs from this grid; empty where it does not."""
        if self.digest == other.digest:
            return ""
        if self.kind != other.kind:
            return f"{other.kind} grid instead of {self.kind}"
        if self.shape != other.shape:
            return f"{other.shape[0]} x {other.shape[1]} points instead of {self.shape[0]} x {self.shape[1]}"
        for name, mine, theirs in zip(self.dims, (self.y, self.x), (other.y, other.x), strict=True):
            if np.allclose(mine, theirs):
                continue
            if np.allclose(mine, theirs[::-1]):
                return f"{name} runs the other way"
            return f"{name} begins at {theirs[0]:.6g} instead of {mine[0]:.6g}, or its step differs"
        return "another projection"

    def crop(self, rows: slice, columns: slice) -> Grid:
        """The sub-grid of these rows and columns."""
        return Grid(kind=self.kind, y=self.y[rows], x=self.x[columns], mapping=self.mapping)
