"""Fields carried along by a flow."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from weatherml.nn.padding import Padding, extend

REACH = 2
"""Cells to each side of a place from which its value is interpolated."""


def carry(fields: Tensor, flow: Tensor, padding: Padding) -> Tensor:
    """Semi-Lagrangian advection: at each point what stood `flow` cells upstream, bicubic between cells.

    Linear interpolation damps short waves at every step, cubic hardly does (Staniforth & Côté 1991, Mon. Wea. Rev.
    119). Fields go round circular axes; beyond other edges stands what stands at the edge.

    Args:
        fields: (N, H, W).
        flow: (N, 2, H, W), cells a step towards higher y and x.
        padding: the modes of the axes.

    Returns:
        (N, H, W).
    """
    axes = zip(padding.axes, flow.float().unbind(1), strict=True)
    places = [_normalised(fields.shape[dim], dim, shift, circular=mode == "circular") for (dim, mode), shift in axes]
    extended = fields.unsqueeze(1).float()
    for dim, mode in padding.axes:
        if mode == "circular":
            extended = extend(extended, REACH, REACH, dim=dim, mode=mode)
    grid = torch.stack(places[::-1], dim=-1)
    carried = functional.grid_sample(extended, grid, mode="bicubic", padding_mode="border", align_corners=False)
    return carried.squeeze(1)


def _normalised(size: int, dim: int, shift: Tensor, *, circular: bool) -> Tensor:
    """Where each point's value comes from along an axis, -1 and 1 at the ends, as `grid_sample` counts."""
    points = torch.arange(size, device=shift.device, dtype=shift.dtype)
    upstream = (points.unsqueeze(1) if dim == -2 else points) - shift
    if circular:
        upstream, size = upstream.remainder(size) + REACH, size + 2 * REACH
    return (2 * upstream + 1) / size - 1
