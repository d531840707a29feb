"""False alarm ratio."""

from __future__ import annotations

from torch import Tensor

from weatherml.metrics.base import METRICS, Statistics
from weatherml.metrics.events import ContingencyMetric
from weatherml.metrics.reduce import ratio


@METRICS.register("far")
class FAR(ContingencyMetric):
    """false alarms / (hits + false alarms)."""

    def value(self, sums: Statistics) -> Tensor:
        """The ratio; NaN where its denominator counts nothing."""
        return ratio(sums["false_alarms"], sums["hits"] + sums["false_alarms"])
