"""Heidke skill score."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor

from weatherml.metrics.base import METRICS, Statistics
from weatherml.metrics.events import ContingencyMetric
from weatherml.metrics.reduce import ratio


@METRICS.register("hss")
class HSS(ContingencyMetric):
    """The share of right answers, events and none, above chance: 0 for a random forecast, 1 for a perfect one.

    2 (a d - b c) / ((a + c)(c + d) + (a + b)(b + d)) with hits a, false alarms b, misses c, correct negatives d.
    """

    perfect: ClassVar[float] = 1.0

    def value(self, sums: Statistics) -> Tensor:
        """The ratio; NaN where its denominator counts nothing."""
        a, b, c = (sums[name] for name in ("hits", "false_alarms", "misses"))
        d = sums["weight"] - a - b - c
        return ratio(2 * (a * d - b * c), (a + c) * (c + d) + (a + b) * (b + d))
