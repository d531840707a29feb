"""Fields of one grid at the points of another: their places are found once, the device interpolates, bilinear."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional

from weatherml.data.chunks import WHOLE, Box
from weatherml.errors import BadDataError
from weatherml.fields import Fields
from weatherml.grid import Grid

Array = npt.NDArray[Any]
SLACK = 1e-3
"""Of a cell, by which a point may lie outside, or beside one that is missing: coordinates are often float32."""


@dataclass(frozen=True)
class Points:
    """Where the (H, W) points of a grid lie among the (h, w) points of another.

    Attributes:
        rows: (H, W) float64 fractional row of the other grid.
        columns: (H, W) float64 fractional column; up to w, past the last one, where columns go round the globe.
        shape: (h, w).
    """

    rows: Array
    columns: Array
    shape: tuple[int, int]

    @cached_property
    def box(self) -> Box:
        """The rows and columns of the other grid that are needed."""
        height, width = self.shape
        return _reach(self.rows, height), _reach(self.columns, width)

    @property
    def wraps(self) -> bool:
        """Whether points lie between the last column and the first."""
        return bool(self.columns.max() > self.shape[1] - 1)


def _reach(index: Array, size: int) -> slice:
    last = int(np.ceil(index.max()))
    return slice(int(index.min()), last + 1) if last < size else slice(0, size)


def locate(source: Grid, target: Grid, path: Path) -> Points:
    """Where the points of `target` lie in `source`, the grid of what lies at `path`.

    Raises:
        BadDataError: they do not all lie within it, or one of the two does not know where on the globe it is.
    """
    y, x = coordinates(source, target, path)
    axis = source.x
    if source.kind == "latlon":
        x = turned(x, axis)
        axis = np.append(axis, axis[0] + np.copysign(360.0, axis[1] - axis[0])) if source.periodic_x else axis
    found = [
        fractional(along, values, f"{path}: {dim}")
        for along, values, dim in zip((source.y, axis), (y, x), source.dims, strict=True)
    ]
    return Points(rows=found[0], columns=found[1], shape=source.shape)


def coordinates(source: Grid, target: Grid, path: Path) -> tuple[Array, Array]:
    """The points of `target` in the coordinates of `source`, each (H, W) float64.

    Raises:
        BadDataError: a grid that does not know latitude and longitude.
    """
    if source.kind == target.kind and source.mapping == target.mapping and source.latlon is not None:
        rows, columns = np.meshgrid(target.y, target.x, indexing="ij")
        return rows, columns
    for grid, name in ((source, str(path)), (target, "the model's dataset")):
        if grid.latlon is None:
            raise BadDataError(
                f"{name}: its grid has no latitude and longitude, so it cannot serve as forcing or take any; "
                "prepare it from files with coordinates and a grid mapping"
            )
    assert target.latlon is not None
    latitude, longitude = target.latlon
    if source.kind == "latlon":
        return latitude, longitude
    import pyproj  # noqa: PLC0415 - slow to import, and only projected grids need it

    to_metres = pyproj.Transformer.from_crs(source.crs.geodetic_crs, source.crs, always_xy=True)
    x, y = to_metres.transform(longitude, latitude)
    return y, x


def turned(longitude: Array, axis: Array) -> Array:
    """Longitudes in degrees, brought to the turn of the globe that begins with the westernmost of an axis."""
    west = axis.min()
    slack = SLACK * np.abs(np.diff(axis)).max(initial=0.0)
    return np.asarray((longitude - west + slack) % 360 - slack + west)


def fractional(axis: Array, values: Array, what: str) -> Array:
    """Fractional indices of values on a monotonic axis, which `what` names.

    Raises:
        BadDataError: values beyond its ends.
    """
    low, high = sorted((float(axis[0]), float(axis[-1])))
    slack = SLACK * np.abs(np.diff(axis)).max(initial=0.0)
    if not (low - slack <= values.min() and values.max() <= high + slack):
        raise BadDataError(
            f"{what} runs from {low:.6g} to {high:.6g}, the model's grid from {values.min():.6g} to "
            f"{values.max():.6g}; take a forcing that covers it, or prepare a smaller region"
        )
    sign = 1.0 if axis[-1] >= axis[0] else -1.0
    index = np.interp(sign * values, sign * axis, np.arange(len(axis)))
    return np.asarray(index)


class Bilinear:
    """Interpolates fields, cut to `points.box`, to the points of the target, on a device."""

    def __init__(self, points: Points, device: torch.device | str = "cpu") -> None:
        self.wraps = points.wraps
        x, y = (
            2 * (index - span.start) / max(1, span.stop - span.start - 1 + more) - 1  # from -1 to 1, as torch counts
            for index, span, more in zip(
                (points.columns, points.rows), reversed(points.box), (self.wraps, False), strict=True
            )
        )
        self.places = torch.as_tensor(np.stack([x, y], axis=-1), dtype=torch.float32, device=device)

    def __call__(self, fields: Fields, box: Box = WHOLE) -> Fields:
        """(..., h, w) to (..., H, W), or to the rows and columns of `box`; NaN where a value it takes is missing."""
        places, missing = self.places[box], torch.isnan(fields)
        if not missing.any():
            return self._sampled(fields, places)
        share = self._sampled(missing.to(fields.dtype), places)
        known = self._sampled(fields.nan_to_num(), places) / (1 - share)
        return torch.where(share > SLACK, torch.nan, known)

    def _sampled(self, fields: Fields, places: Tensor) -> Fields:
        whole = torch.cat([fields, fields[..., :1]], dim=-1) if self.wraps else fields
        one = whole.reshape(1, -1, *whole.shape[-2:])  # as channels of one image: the weights are found once
        found = functional.grid_sample(one, places[None], mode="bilinear", padding_mode="border", align_corners=True)
        return found.view(*fields.shape[:-2], *places.shape[:2])
