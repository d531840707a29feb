"""Correlation of spread and error: does the ensemble know where it does not know?"""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor

from weatherml.fields import Fields
from weatherml.metrics.base import METRICS, Metric, Statistics
from weatherml.metrics.correlation import correlation, correlation_sums
from weatherml.metrics.reduce import ensemble_error, ensemble_spread


@METRICS.register("spread_error_correlation")
class SpreadErrorCorrelation(Metric):
    """Pearson's correlation of the members' standard deviation and the mean's absolute error, over points and cases.

    An error is one draw, so even a perfect ensemble stays well below 1 (Whitaker and Loughe 1998,
    doi:10.1175/1520-0493(1998)126<3292:TRBESA>2.0.CO;2): read it beside the oracle's.
    """

    perfect: ClassVar[float] = 1.0
    needs_members: ClassVar[bool] = True

    def statistics(self, forecast: Fields, truth: Fields, mask: Tensor, rows: Tensor) -> Statistics:
        """Moments of spread and error."""
        return correlation_sums(ensemble_spread(forecast), ensemble_error(forecast, truth).abs(), mask, rows)

    def value(self, sums: Statistics) -> Tensor:
        """The correlation."""
        return correlation(sums)
