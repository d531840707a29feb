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


@once
def point_weights(mask: Tensor, rows: Tensor) -> Tensor:
    """The weight of each point of `mask` (L, H, W), float64; 0 where it is False."""
    return mask * rows.double().unsqueeze(-1)


def histogram(bins: Tensor, weights: Tensor, size: int) -> Tensor:
    """Sum of `weights` (L, H, W) over the points of each of `size` bins; `bins` (L, H, W) int64: (L, size) float64."""
    leads = bins.shape[0]
    places = bins + size * torch.arange(leads).view(-1, 1, 1)
    return torch.bincount(places.flatten(), weights.flatten(), minlength=leads * size).view(leads, size)


@once
def ensemble_mean(forecast: Fields) -> Fields:
    """(L, M, H, W) to (L, H, W) float64."""
    return forecast.mean(1, dtype=torch.float64)


@once
def ensemble_variance(forecast: Fields) -> Fields:
    """Variance over members, ddof 1: (L, M, H, W) to (L, H, W) float64."""
    # not torch.var, which is ten times slower along an inner dimension
    anomalies = forecast - ensemble_mean(forecast).to(forecast.dtype).unsqueeze(1)
    return anomalies.square().sum(1, dtype=torch.float64) / (forecast.shape[1] - 1)


def ratio(numerator: Tensor, denominator: Tensor) -> Tensor:
    """The quotient; NaN where nothing stands below the line."""
    return torch.where(denominator > 0, numerator / denominator, torch.nan)
