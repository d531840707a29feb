"""Lines on maps: the coast from the land mask, borders from a GeoJSON file, in the map's own units."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import contourpy
import numpy as np
import numpy.typing as npt

from weatherml.errors import BadDataError, MissingInputError
from weatherml.files import read_json
from weatherml.grid import Grid

Array = npt.NDArray[Any]
Line = Array
"""(N, 2) columns and rows, in cells from the first one's centre; NaN where the line leaves the grid."""
DEPTHS = {"LineString": 0, "MultiLineString": 1, "Polygon": 1, "MultiPolygon": 2}


def coast_lines(land: Array | None) -> list[Line]:
    """Where a land mask (H, W) passes one half."""
    if land is None or min(land.shape) < 2:
        return []
    lines = contourpy.contour_generator(z=np.nan_to_num(land), name="serial").lines(0.5)
    return [np.asarray(line) for line in lines]


def read_lines(path: Path, grid: Grid) -> list[Line]:
    """The lines of a GeoJSON file on a grid.

    Raises:
        MissingInputError: no such file.
        BadDataError: not GeoJSON, or the grid does not know its longitudes.
    """
    if not path.exists():
        raise MissingInputError(f"{path}: no such file; give a GeoJSON file of lines")
    if grid.latlon is None:
        raise BadDataError(f"{path}: the truth's grid has no longitudes to draw it on; leave the lines out")
    try:
        degrees = [np.asarray(line, float)[:, :2] for line in _coordinates(read_json(path))]
    except (KeyError, TypeError, ValueError, IndexError, AttributeError):
        raise BadDataError(f"{path}: not GeoJSON lines or polygons; give another file") from None
    return [_on_grid(line, grid) for line in degrees]


def _coordinates(node: dict[str, Any]) -> Iterator[Any]:
    """The lists of positions anywhere in a GeoJSON object."""
    for feature in node.get("features", node.get("geometries", ())):
        yield from _coordinates(feature)
    if node.get("geometry"):
        yield from _coordinates(node["geometry"])
    if node.get("type") in DEPTHS:
        yield from _flatten(node["coordinates"], DEPTHS[node["type"]])


def _flatten(nested: Any, depth: int) -> list[Any]:
    lines = [nested]
    for _ in range(depth):
        lines = [line for group in lines for line in group]
    return lines


def _on_grid(degrees: Array, grid: Grid) -> Line:
    x, y = degrees.T
    if grid.kind == "projected":
        import pyproj  # noqa: PLC0415 - slow to import, and only projected grids need it

        x, y = pyproj.Transformer.from_crs(grid.crs.geodetic_crs, grid.crs, always_xy=True).transform(x, y)
    else:
        x = (x - grid.x.min()) % 360 + grid.x.min()  # files write longitudes to the west both ways
    return np.stack([_index(grid.x, x), _index(grid.y, y)], axis=1)


def _index(axis: Array, values: Array) -> Array:
    cells = np.arange(float(len(axis)))
    order = np.argsort(axis)
    return np.asarray(np.interp(values, axis[order], cells[order], left=np.nan, right=np.nan))
