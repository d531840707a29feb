"""Correlation of spread and convective activity: is the ensemble unsure where the storms are?"""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor

from weatherml.fields import Fields
from weatherml.metrics.base import METRICS, Metric, Statistics
from weatherml.metrics.correlation import correlation, correlation_sums
from weatherml.metrics.events import Side
from weatherml.metrics.reduce import ensemble_spread
from weatherml.variables import Variable


@METRICS.register("spread_activity_correlation")
class SpreadActivityCorrelation(Metric):
    """Pearson's correlation of the members' standard deviation and the truth's activity, over points and cases.

    Activity is the truth's own value towards its events: more reflectivity, more CAPE, more negative CIN.
    The truth's and not the ensemble mean's, whose spread grows with it in any skewed distribution.

    Attributes:
        side: `below` where low values are the event.
    """

    perfect: ClassVar[float] = 1.0
    needs_members: ClassVar[bool] = True
    side: Side = "above"

    @classmethod
    def score_card(cls, variable: Variable, spacing_km: float | None) -> list[Metric]:  # noqa: ARG003
        """One for a variable that has events."""
        return [cls(side=variable.event)] if variable.thresholds else []

    def statistics(self, forecast: Fields, truth: Fields, mask: Tensor, rows: Tensor) -> Statistics:
        """Moments of spread and activity."""
        activity = truth.double() if self.side == "above" else -truth.double()
        return correlation_sums(ensemble_spread(forecast), activity, mask, rows)

    def value(self, sums: Statistics) -> Tensor:
        """The correlation."""
        return correlation(sums)
