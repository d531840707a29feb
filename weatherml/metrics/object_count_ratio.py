"""Ratio of the numbers of objects."""

from __future__ import annotations

from torch import Tensor

from weatherml.metrics.base import METRICS, Statistics
from weatherml.metrics.objects import ObjectMetric
from weatherml.metrics.reduce import ratio


@METRICS.register("object_count_ratio")
class ObjectCountRatio(ObjectMetric):
    """Objects of the forecast over those of the truth: above 1 it has too many storms, below 1 too few."""

    def value(self, sums: Statistics) -> Tensor:
        """The ratio; NaN where the truth has none."""
        return ratio(sums["forecast_objects"].sum(-1), sums["truth_objects"].sum(-1))
