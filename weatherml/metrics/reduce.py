"""Sums over the grid, in float64, and what the metrics make of them."""

from __future__ import annotations

import torch
from torch import Tensor

from weatherml.fields import Fields
from weatherml.metrics.once import once


def area_sum(values: Fields, mask: Tensor, rows: Tensor) -> Tensor:
    """Sum of `values` (L, H, W) over the points of `mask`, weighted by area: (L,) float64."""
    # float64: sums over 10^6 points lose three digits in float32
    return known(values, mask).sum(-1, dtype=torch.float64) @ rows.double()


def known(values: Fields, mask: Tensor) -> Fields:
    """`values` with 0 where `mask`, which broadcasts, is False."""
    return values if complete(mask) else torch.where(mask, values, 0)


@once
def complete(mask: Tensor) -> bool:
    """Whether every point is known, as nearly always: then a pass over each field is saved."""
    return bool(mask.all())


@once
def area(mask: Tensor, rows: Tensor) -> Tensor:
    """The weight of the points of `mask` (L, H, W): (L,) float64; their number where rows weigh 1."""
    return mask.sum(-1, dtype=torch.float64) @ rows.double()


def ensemble_mean(forecast: Fields) -> Fields:
    """(L, M, H, W) to (L, H, W) float64."""
    return forecast.mean(1, dtype=torch.float64)


def ratio(numerator: Tensor, denominator: Tensor) -> Tensor:
    """The quotient; NaN where nothing stands below the line."""
    return torch.where(denominator > 0, numerator / denominator, torch.nan)
