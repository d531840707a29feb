"""Equitable threat score."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor

from weatherml.metrics.base import METRICS, Statistics
from weatherml.metrics.events import ContingencyMetric
from weatherml.metrics.reduce import ratio


@METRICS.register("ets")
class ETS(ContingencyMetric):
    """(hits - chance) / (hits + misses + false alarms - chance), chance = forecast events x observed ones / points.

    Also the Gilbert skill score: CSI without the hits that a random forecast with as many events would have.
    """

    perfect: ClassVar[float] = 1.0

    def value(self, sums: Statistics) -> Tensor:
        """The ratio; NaN where its denominator counts nothing."""
        hits, union = sums["hits"], sums["hits"] + sums["misses"] + sums["false_alarms"]
        chance = ratio((hits + sums["misses"]) * (hits + sums["false_alarms"]), sums["weight"])
        return ratio(hits - chance, union - chance)
