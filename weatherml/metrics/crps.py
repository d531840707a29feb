"""Continuous ranked probability score, fair (Ferro 2014, doi:10.1002/qj.2270)."""

from __future__ import annotations

from itertools import pairwise
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from weatherml.fields import Fields
from weatherml.metrics.base import METRICS, Metric, Statistics
from weatherml.metrics.blocks import by_points
from weatherml.metrics.once import once
from weatherml.metrics.reduce import area, area_sum, ratio
from weatherml.metrics.sorting import sort_rows

Array = npt.NDArray[Any]


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


@once
def fair_crps(forecast: Fields, truth: Fields) -> Fields:
    """Fair CRPS at each point; forecast (L, M, H, W), truth (L, H, W), result (L, H, W) float64."""
    return torch.from_numpy(by_points(_block, forecast, truth, dtype=np.float64))


def _block(states: Array, truth: Array) -> Array:
    """Fair CRPS of some points (N,) from their members (M, N).

    In ascending order x_(k), k = 1 .. M, the k-th gap is within k (M - k) of the pairs.
    """
    members, count, term = list(states.copy()), len(states), np.empty_like(truth)
    total = np.zeros_like(truth)
    for member in members:
        total += np.abs(np.subtract(member, truth, out=term), out=term)
    if count == 1:
        return total
    members = sort_rows(members)
    for k, (below, above) in enumerate(pairwise(members), 1):
        total -= np.multiply(np.subtract(above, below, out=term), k * (count - k) / (count - 1), out=term)
    return total / count
