"""Semi-Lagrangian advection on a limited area: each point takes the value from where its air was an hour ago."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]


def advect(fields: Array, shift_y: Array, shift_x: Array) -> tuple[Array, Array]:
    """Carry fields along, with bilinear interpolation; the world outside is the mirror image of the inside.

    Args:
        fields: (..., N, H, W).
        shift_y: (..., H, W), rows that the air has gone in the step.
        shift_x: (..., H, W), columns.

    Returns:
        The fields one step later, and (..., H, W) how many cells outside the area the air came from.
    """
    *lead, _, height, width = fields.shape
    y, beyond_y = _mirrored(np.arange(height, dtype=np.float32)[:, None] - shift_y, height)
    x, beyond_x = _mirrored(np.arange(width, dtype=np.float32) - shift_x, width)
    row, column = np.minimum(y.astype(np.intp), height - 2), np.minimum(x.astype(np.intp), width - 2)
    plane = np.arange(fields[..., 0, 0].size).reshape(*lead, -1, 1, 1) * (height * width)
    corner = plane + (row * width + column)[..., None, :, :]
    part_y, part_x = (y - row)[..., None, :, :], (x - column)[..., None, :, :]
    below = _along_row(fields, corner, part_x)
    above = _along_row(fields, corner + width, part_x)
    return below + part_y * (above - below), beyond_y + beyond_x


def _along_row(fields: Array, index: Array, part: Array) -> Array:
    """Linear interpolation between the flat positions `index` and the next column."""
    flat = fields.ravel()
    near = flat.take(index)
    return np.asarray(near + part * (flat.take(index + 1) - near))


def _mirrored(position: Array, size: int) -> tuple[Array, Array]:
    """Positions reflected into [0, size - 1], and how far outside they were; for less than a size outside."""
    inside = (size - 1) - np.abs(size - 1 - np.abs(position))
    return inside, np.abs(position - inside) / 2
