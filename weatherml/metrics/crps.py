"""Continuous ranked probability score, fair (Ferro 2014, doi:10.1002/qj.2270)."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from weatherml.fields import Fields
from weatherml.metrics.base import METRICS, Metric, Statistics
from weatherml.metrics.reduce import area, area_sum, ratio


@METRICS.register("crps")
class CRPS(Metric):
    """Fair CRPS, in the variable's units: mean|x_i - y| - sum_{i<j}|x_i - x_j| / (M (M - 1)).

    A deterministic forecast (M = 1) has its mean absolute error here, which is what the CRPS of one
    member is, so that ensembles and baselines stand on one curve.
    """

    units: ClassVar[str | None] = None

    def statistics(self, forecast: Fields, truth: Fields, mask: Tensor, rows: Tensor) -> Statistics:
        """The score summed over points."""
        return {"crps": area_sum(fair_crps(forecast, truth), mask, rows), "weight": area(mask, rows)}

    def value(self, sums: Statistics) -> Tensor:
        """Its mean."""
        return ratio(sums["crps"], sums["weight"])


def fair_crps(forecast: Fields, truth: Fields) -> Fields:
    """Fair CRPS at each point; forecast (L, M, H, W), truth (L, H, W), result (L, H, W) float64."""
    members = forecast.shape[1]
    error = (forecast - truth.unsqueeze(1)).abs().mean(1, dtype=torch.float64)
    return error if members == 1 else error - pair_distances(forecast) / (members * (members - 1))


def pair_distances(forecast: Fields) -> Fields:
    """Sum of |x_i - x_j| over pairs i < j of members: (L, M, H, W) to (L, H, W) float64.

    In ascending order x_(k), k = 1 .. M, is the upper one of k - 1 pairs and the lower one of M - k.
    """
    members = forecast.shape[1]
    # numpy sorts short rows with vector instructions, several times as fast as torch
    ascending = np.ascontiguousarray(np.moveaxis(forecast.numpy(), 1, -1))
    ascending.sort(axis=-1)
    weights = 2.0 * np.arange(1, members + 1) - members - 1
    return torch.from_numpy(ascending.astype(np.float64) @ weights)
