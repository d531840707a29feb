"""Which part of a grid is kept: a box of indices or of degrees, and every n-th point of it."""

from __future__ import annotations

from typing import Annotated, Any

import numpy as np
import numpy.typing as npt
from pydantic import Field, NonNegativeInt, model_validator

from weatherml.config import Config
from weatherml.errors import ConfigError
from weatherml.grid import Grid

Array = npt.NDArray[Any]
Ends = tuple[NonNegativeInt, NonNegativeInt]
Latitude = Annotated[float, Field(ge=-90, le=90)]
Longitude = Annotated[float, Field(ge=-360, le=360)]

SLACK = 1e-6
"""Degrees, a tenth of a metre: coordinates are given to about that, and a point on the edge is inside."""


class Region(Config):
    """A box: either of indices (`rows`, `columns` or both) or of degrees (all of the four others).

    Attributes:
        rows: the first row kept and the first one after, counted from 0 in the source's order: [0, 100] are the
            rows 0 to 99.
        columns: likewise.
        south: degrees north. The smallest index box that holds every grid point inside is kept.
        north: likewise.
        west: degrees east, modulo 360; the box runs from here eastwards, across the date line if need be.
        east: likewise.
    """

    rows: Ends | None = None
    columns: Ends | None = None
    south: Latitude | None = None
    north: Latitude | None = None
    west: Longitude | None = None
    east: Longitude | None = None

    @model_validator(mode="after")
    def _one_box(self) -> Region:
        degrees = [end is not None for end in (self.south, self.north, self.west, self.east)]
        indices = [end is not None for end in (self.rows, self.columns)]
        if any(degrees) == any(indices) or (any(degrees) and not all(degrees)):
            raise ValueError("give rows and columns, or all of south, north, west and east")
        for name, ends in {"rows": self.rows, "columns": self.columns}.items():
            if ends and ends[0] >= ends[1]:
                raise ValueError(f"{name} ends where it begins or before, the stop is not kept")
        if self.south is not None and self.north is not None and self.south > self.north:
            raise ValueError("south lies north of north")
        return self

    def box(self, grid: Grid) -> tuple[slice, slice]:
        """The rows and columns of `grid` that are kept.

        Raises:
            ConfigError: off the grid, or in degrees on a grid that does not know where it lies.
        """
        if self.south is None:
            rows, columns = self.rows or (0, grid.shape[0]), self.columns or (0, grid.shape[1])
            if rows[1] > grid.shape[0] or columns[1] > grid.shape[1]:
                raise ConfigError(
                    f"region: rows {_words(rows)}, columns {_words(columns)} exceed the grid of "
                    f"{grid.shape[0]} x {grid.shape[1]} points; set region"
                )
            return slice(*rows), slice(*columns)
        inside = self.inside(grid)
        y, x = (np.flatnonzero(inside.any(axis)) for axis in (1, 0))
        return slice(int(y[0]), int(y[-1]) + 1), slice(int(x[0]), int(x[-1]) + 1)

    def inside(self, grid: Grid, at: str = "region") -> Array:
        """Which points lie within the degrees, (H, W) bool; `at` is what errors call it.

        Raises:
            ConfigError: none, or the grid does not know where it lies.
        """
        if grid.latlon is None:
            raise ConfigError(f"{at}: the grid knows no latitude and longitude; give rows and columns")
        latitude, longitude = grid.latlon
        assert self.south is not None
        assert self.north is not None
        assert self.west is not None
        assert self.east is not None
        inside = (latitude >= self.south - SLACK) & (latitude <= self.north + SLACK)
        width = self.east - self.west if abs(self.east - self.west) >= 360 else (self.east - self.west) % 360
        inside &= (longitude - self.west + SLACK) % 360 <= width + 2 * SLACK
        if not inside.any():
            raise ConfigError(
                f"{at}: no grid point in {self.south:g} to {self.north:g} N, {self.west:g} to {self.east:g} E; the "
                f"grid has {latitude.min():.4g} to {latitude.max():.4g} N, "
                f"{longitude.min():.4g} to {longitude.max():.4g} E"
            )
        return np.asarray(inside)


def box(grid: Grid, region: Region | None, *, thin: int) -> tuple[slice, slice]:
    """The rows and columns of `region`, the whole grid where it is None, every `thin`-th of them.

    Raises:
        ConfigError: the region is off the grid.
    """
    whole = (slice(0, grid.shape[0]), slice(0, grid.shape[1]))
    rows, columns = region.box(grid) if region is not None else whole
    return slice(rows.start, rows.stop, thin), slice(columns.start, columns.stop, thin)


def _words(ends: tuple[int, int]) -> str:
    return f"{ends[0]} to {ends[1] - 1}"
