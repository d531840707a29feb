"""Fields carried along by a flow."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional

from weatherml.nn.padding import Mode, Padding, extend

POLE = math.sqrt(3) - 2
"""By this factor a point counts less for a spline's coefficient with each cell that it is away."""
STRIDES = (1, 2, 4, 8)
"""Cells of which, twice as far each time, a coefficient is summed up: beyond 15 a point counts nothing in float32."""
REACH = 2
"""Cells to each side of a place whose coefficients make its value."""


def carry(fields: Tensor, flow: Tensor, padding: Padding) -> Tensor:
    """Semi-Lagrangian advection: at each point what stood `flow` cells upstream, by the cubic spline of the field.

    Linear interpolation damps short waves at every step, cubic hardly does (Staniforth & Côté 1991, Mon. Wea. Rev.
    119), and of the cubic ones the spline does least (Thévenaz, Blu & Unser 2000, IEEE Trans. Med. Imaging 19). Fields
    go round circular axes; beyond other edges stands what stands at the edge. In float32 also under autocast.

    Args:
        fields: (N, H, W).
        flow: (N, 2, H, W), cells a step towards higher y and x.
        padding: the modes of the axes.

    Returns:
        (N, H, W).
    """
    with torch.autocast(fields.device.type, enabled=False):
        spline = fields.unsqueeze(1).float()
        for axis in padding.axes:
            spline = _coefficients(spline, *axis)
        axes = zip(padding.axes, flow.float().unbind(1), strict=True)
        (rows, row_weights), (columns, column_weights) = (
            _places(fields.shape[dim], dim, shift, circular=mode == "circular") for (dim, mode), shift in axes
        )
        corners = [(y, x) for y in (0, 1) for x in (0, 1)]  # a cubic kernel's 16 cells are 4 bilinear means (Sigg 2005)
        grid = torch.stack([torch.stack([columns[x], rows[y]], dim=-1) for y, x in corners], dim=1)
        weights = torch.stack([row_weights[y] * column_weights[x] for y, x in corners], dim=1)
        means = functional.grid_sample(spline, grid.flatten(1, 2), mode="bilinear", align_corners=False)
        return (weights * means.view_as(weights)).sum(1)


def _coefficients(fields: Tensor, dim: int, mode: Mode) -> Tensor:
    """Of the cubic B-spline along an axis that meets every point, `REACH` more at both ends."""
    wide = sum(STRIDES) + REACH
    spline = -6 * POLE * extend(fields, wide, wide, dim=dim, mode="circular" if mode == "circular" else "reflect")
    for stride in STRIDES:  # 1 / (1 - zS) is the product of 1 + (zS)^stride; so is 1 / (1 - z/S), the other way
        left = spline.shape[dim] - stride
        spline = spline.narrow(dim, stride, left) + POLE**stride * spline.narrow(dim, 0, left)
    for stride in STRIDES:
        left = spline.shape[dim] - stride
        spline = spline.narrow(dim, 0, left) + POLE**stride * spline.narrow(dim, stride, left)
    return spline


def _places(size: int, dim: int, shift: Tensor, *, circular: bool) -> tuple[list[Tensor], list[Tensor]]:
    """Along an axis two places, as `grid_sample` counts, between whose pairs of coefficients each value is a mean."""
    points = torch.arange(size, device=shift.device, dtype=shift.dtype)
    upstream = (points.unsqueeze(1) if dim == -2 else points) - shift
    upstream = upstream.remainder(size) if circular else upstream.clamp(0, size - 1)
    cell = upstream.detach().floor()
    t = upstream - cell
    far, near = (1 - t) ** 3 / 6, 2 / 3 - t**2 + t**3 / 2
    first = far + near
    last = 1 - first
    places = [cell - 1 + near / first, cell + 1 + t**3 / 6 / last]
    extended = size + 2 * REACH
    return [(2 * (place + REACH) + 1) / extended - 1 for place in places], [first, last]
