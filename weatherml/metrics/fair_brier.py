"""Fair Brier score (Ferro 2014, doi:10.1002/qj.2270)."""

from __future__ import annotations

from torch import Tensor

from weatherml.metrics.base import METRICS, Statistics
from weatherml.metrics.brier import brier_score
from weatherml.metrics.probability import ProbabilityMetric, probabilities
from weatherml.metrics.reduce import ratio


@METRICS.register("fair_brier")
class FairBrier(ProbabilityMetric):
    """Brier score less the mean of p (1 - p) / (M - 1): what infinitely many members of this law would score.

    Ensembles of different sizes compare by it; the fair CRPS is its integral over all thresholds.
    """

    def value(self, sums: Statistics) -> Tensor:
        """The score."""
        p = probabilities(sums)
        sampling = (sums["forecasts"] * p * (1 - p)).sum(-1) / (len(p) - 2)  # M + 1 bins
        return brier_score(sums) - ratio(sampling, sums["forecasts"].sum(-1))
