"""Probability of detection."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor

from weatherml.metrics.base import METRICS, Statistics
from weatherml.metrics.events import ContingencyMetric
from weatherml.metrics.reduce import ratio


@METRICS.register("pod")
class POD(ContingencyMetric):
    """hits / (hits + misses)."""

    perfect: ClassVar[float] = 1.0

    def value(self, sums: Statistics) -> Tensor:
        """The ratio; NaN where its denominator counts nothing."""
        return ratio(sums["hits"], sums["hits"] + sums["misses"])
