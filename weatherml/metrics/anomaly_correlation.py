"""Anomaly correlation (WeatherBench 2, Rasp et al. 2024, doi:10.1029/2023MS004019)."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor

from weatherml.fields import Fields
from weatherml.metrics.base import METRICS, Metric, Statistics
from weatherml.metrics.correlation import uncentred_sums
from weatherml.metrics.reduce import ensemble_mean, ratio


@METRICS.register("anomaly_correlation")
class AnomalyCorrelation(Metric):
    """Correlation of the departures from climatology of the ensemble mean and the truth, about 0 and not their means.

    sum(f o) / sqrt(sum(f^2) sum(o^2)), each sum weighted by area and pooled over cases, so that a lively day
    counts for more than a quiet one; WeatherBench 2 averages the correlations of the cases instead.
    """

    perfect: ClassVar[float] = 1.0
    of_anomalies: ClassVar[bool] = True

    def statistics(self, forecast: Fields, truth: Fields, mask: Tensor, rows: Tensor) -> Statistics:
        """Products of the departures, which is what `forecast` and `truth` hold."""
        return uncentred_sums(ensemble_mean(forecast), truth.double(), mask, rows)

    def value(self, sums: Statistics) -> Tensor:
        """The correlation; NaN where one of the two never departs."""
        return ratio(sums["ab"], (sums["aa"] * sums["bb"]).sqrt())
