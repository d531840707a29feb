"""Maps as pictures for a page: small PNGs with north up, and lines over them as one SVG path."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from weatherml.grid import Grid
from weatherml.verify.colors import Scale
from weatherml.verify.report.lines import Line

Array = npt.NDArray[Any]
PIXELS = 480  # the longest side of a picture: a page of maps stays a few megabytes
LEVELS = 64  # colours of a smooth scale: as many as the eye tells apart, in half the bytes of 256
PALETTE = 256  # colours of a PNG with a palette


@dataclass(frozen=True)
class MapFrame:
    """How fields of a grid lie on the page.

    Attributes:
        width: columns of the grid.
        height: of the map, in units of a column's width.
        flip_rows: row 0 is south.
        flip_columns: column 0 is east.
        path: the lines' SVG path.
    """

    width: int
    height: float
    flip_rows: bool
    flip_columns: bool
    path: str

    def png(self, values: Array, scale: Scale, *, pixels: int = PIXELS) -> str:
        """A field (H, W) as a data URI, its longest side at most so many pixels."""
        return self.picture(scale.coarser(LEVELS).rgba(values), pixels=pixels)

    def picture(self, colors: Array, *, pixels: int = PIXELS) -> str:
        """Colours (H, W, 4) uint8 as a data URI."""
        upright = colors[:: -1 if self.flip_rows else 1, :: -1 if self.flip_columns else 1]
        stride = -(-max(upright.shape) // pixels)
        buffer = io.BytesIO()
        _image(np.ascontiguousarray(upright[::stride, ::stride])).save(buffer, format="png", optimize=True)
        return f"data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode()}"


def _image(colors: Array) -> Image.Image:
    """Colours (H, W, 4) uint8 as a picture; of few colours with a palette, in a third of the bytes."""
    palette, indices = np.unique(colors.view(np.uint32)[..., 0], return_inverse=True)
    if len(palette) > PALETTE:
        return Image.fromarray(colors)
    channels = palette.view(np.uint8).reshape(-1, 4)
    image = Image.fromarray(indices.reshape(colors.shape[:2]).astype(np.uint8))
    image.putpalette(channels[:, :3].tobytes())
    image.info["transparency"] = channels[:, 3].tobytes()
    return image


def map_frame(grid: Grid, lines: Sequence[Line]) -> MapFrame:
    """The frame of a grid's maps, with lines over them."""
    H, W = grid.shape
    cell = cell_height(grid)
    flip_rows, flip_columns = _rising(grid.y), not _rising(grid.x)

    def place(line: Line) -> Array:
        column, row = line.T
        x = (W - 1 - column if flip_columns else column) + 0.5
        y = ((H - 1 - row if flip_rows else row) + 0.5) * cell
        return np.stack([x, y], axis=1)

    path = "".join(_path(place(line)) for line in lines)
    return MapFrame(W, H * cell, flip_rows, flip_columns, path)


def _path(points: Array) -> str:
    """`M` and `L` commands; a new stretch after each NaN."""
    commands, pen = [], "M"
    for x, y in points:
        if np.isnan(x) or np.isnan(y):
            pen = "M"
        else:
            commands.append(f"{pen}{x:.2f} {y:.2f}")
            pen = "L"
    return "".join(commands)


def _rising(axis: Array) -> bool:
    return len(axis) > 1 and bool(axis[-1] > axis[0])


def cell_height(grid: Grid) -> float:
    """A cell's height over its width."""
    dy, dx = (float(np.abs(np.diff(axis)).mean()) if len(axis) > 1 else 1.0 for axis in (grid.y, grid.x))
    squeeze = float(np.cos(np.deg2rad(grid.y.mean()))) if grid.kind == "latlon" else 1.0
    return dy / (dx * max(squeeze, 0.1))
