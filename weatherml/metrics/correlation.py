"""Pearson's correlation of two fields over points and cases, from sums that merge."""

from __future__ import annotations

import torch
from torch import Tensor

from weatherml.fields import Fields
from weatherml.metrics.base import Statistics
from weatherml.metrics.reduce import area, area_dot, area_sum

ROUNDING = 1e-12
"""A variance below this share of the mean square is that of a constant."""


def correlation_sums(a: Fields, b: Fields, mask: Tensor, rows: Tensor) -> Statistics:
    """First and second moments of two fields (L, H, W) float64."""
    means = {name: area_sum(values, mask, rows) for name, values in {"a": a, "b": b}.items()}
    return means | uncentred_sums(a, b, mask, rows) | {"weight": area(mask, rows)}


def uncentred_sums(a: Fields, b: Fields, mask: Tensor, rows: Tensor) -> Statistics:
    """Second moments of two fields (L, H, W) float64."""
    pairs = {"aa": (a, a), "bb": (b, b), "ab": (a, b)}
    return {name: area_dot(*pair, mask, rows) for name, pair in pairs.items()}


def correlation(sums: Statistics) -> Tensor:
    """The correlation (L,); NaN where one of the two does not vary."""
    mean = {name: sums[name] / sums["weight"] for name in ("a", "b", "aa", "bb", "ab")}
    variances = [_variance(mean[name], mean[2 * name]) for name in ("a", "b")]
    return (mean["ab"] - mean["a"] * mean["b"]) / (variances[0] * variances[1]).sqrt()


def _variance(mean: Tensor, mean_square: Tensor) -> Tensor:
    variance = mean_square - mean.square()
    return torch.where(variance > ROUNDING * mean_square, variance, torch.nan)
