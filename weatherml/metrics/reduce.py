"""Sums over the grid, in float64, and what the metrics make of them."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from weatherml.fields import Fields
from weatherml.metrics.blocks import by_points
from weatherml.metrics.once import once

Array = npt.NDArray[Any]


def area_sum(values: Fields, mask: Tensor, rows: Tensor) -> Tensor:
    """Sum of `values` (L, H, W) over the points of `mask`, weighted by area: (L,) float64."""
    # float64: sums over 10^6 points lose three digits in float32
    return known(values, mask).sum(-1, dtype=torch.float64) @ rows.double()


def area_dot(a: Fields, b: Fields, mask: Tensor, rows: Tensor) -> Tensor:
    """Sum of `a` times `b`, each (L, H, W) float64, over the points of `mask`, weighted by area: (L,) float64."""
    products = np.vecdot(known(a, mask).numpy(), known(b, mask).numpy())
    return torch.from_numpy(products) @ rows.double()


def known(values: Fields, mask: Tensor) -> Fields:
    """`values` with 0 where `mask`, which broadcasts, is False."""
    return values if complete(mask) else torch.where(mask, values, 0)


def members(values: Fields) -> Fields:
    """(L, M, H, W) values as they are, a field (L, H, W) as one member."""
    return values.unsqueeze(1) if values.ndim == 3 else values


@once
def complete(mask: Tensor) -> bool:
    """Whether every point is known, as nearly always: then a pass over each field is saved."""
    return bool(mask.all())


@once
def area(mask: Tensor, rows: Tensor) -> Tensor:
    """The weight of the points of `mask` (L, H, W): (L,) float64; their number where rows weigh 1."""
    return mask.sum(-1, dtype=torch.float64) @ rows.double()


def histogram(bins: Array, mask: Tensor, rows: Tensor, size: int) -> Tensor:
    """Area of the points of `mask` (L, H, W) in each of `size` bins; `bins` (L, H, W) whole: (L, size) float64."""
    # a row's points weigh the same, so that whole numbers are counted; the unknown in a bin that is dropped
    places = bins if complete(mask) else np.where(mask.numpy(), bins, np.array(size, bins.dtype))
    counts = [[np.bincount(row, minlength=size)[:size] for row in lead] for lead in places]
    return rows.double() @ torch.from_numpy(np.array(counts, np.float64))


@once
def ensemble_mean(forecast: Fields) -> Fields:
    """(L, M, H, W) to (L, H, W) float64."""
    return torch.from_numpy(by_points(_mean, forecast, dtype=np.float64))


def _mean(members: Array) -> Array:
    return np.asarray(members.mean(0, dtype=np.float64))


@once
def ensemble_error(forecast: Fields, truth: Fields) -> Fields:
    """The ensemble mean less the truth, (L, H, W) float64."""
    return ensemble_mean(forecast) - truth


@once
def ensemble_variance(forecast: Fields) -> Fields:
    """Variance over members, ddof 1: (L, M, H, W) to (L, H, W) float64."""
    return torch.from_numpy(by_points(_variance, forecast, dtype=np.float64))


def _variance(members: Array) -> Array:
    anomalies = members - _mean(members).astype(members.dtype)
    return np.asarray(np.square(anomalies, out=anomalies).sum(0, dtype=np.float64) / (len(members) - 1))


@once
def ensemble_spread(forecast: Fields) -> Fields:
    """Standard deviation over members, ddof 1: (L, M, H, W) to (L, H, W) float64."""
    return ensemble_variance(forecast).sqrt()


def ratio(numerator: Tensor, denominator: Tensor) -> Tensor:
    """The quotient; NaN where nothing stands below the line."""
    return torch.where(denominator > 0, numerator / denominator, torch.nan)
