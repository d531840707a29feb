"""Frequency bias."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor

from weatherml.metrics.base import METRICS, Statistics
from weatherml.metrics.events import ContingencyMetric
from weatherml.metrics.reduce import ratio


@METRICS.register("frequency_bias")
class FrequencyBias(ContingencyMetric):
    """(hits + false alarms) / (hits + misses): forecast events for each observed one."""

    perfect: ClassVar[float] = 1.0

    def value(self, sums: Statistics) -> Tensor:
        """The ratio; NaN where its denominator counts nothing."""
        return ratio(sums["hits"] + sums["false_alarms"], sums["hits"] + sums["misses"])
