"""Brier skill score over the cases' own base rate."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor

from weatherml.metrics.base import METRICS, Statistics
from weatherml.metrics.brier import brier_score, decomposition
from weatherml.metrics.probability import ProbabilityMetric
from weatherml.metrics.reduce import ratio


@METRICS.register("brier_skill")
class BrierSkill(ProbabilityMetric):
    """1 - Brier score / uncertainty: 0 for who always forecasts how often the event came in these cases."""

    perfect: ClassVar[float] = 1.0

    def value(self, sums: Statistics) -> Tensor:
        """The skill; NaN where the event came nowhere or everywhere."""
        return 1 - ratio(brier_score(sums), decomposition(sums).uncertainty)
