"""Spread-skill ratio (Fortin et al. 2014, doi:10.1175/JHM-D-14-0008.1)."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor

from weatherml.fields import Fields
from weatherml.metrics.base import METRICS, Metric, Statistics
from weatherml.metrics.reduce import area_dot, area_sum, ensemble_error, ensemble_variance, ratio


@METRICS.register("spread_skill_ratio")
class SpreadSkillRatio(Metric):
    """sqrt((M + 1) / M) sqrt(mean variance) / RMSE of the ensemble mean; 1 where the spread is right.

    Variances have ddof 1, and are averaged before the root.
    """

    perfect: ClassVar[float] = 1.0
    needs_members: ClassVar[bool] = True

    def statistics(self, forecast: Fields, truth: Fields, mask: Tensor, rows: Tensor) -> Statistics:
        """Variances, already times (M + 1) / M, and squared errors of the ensemble mean."""
        members = forecast.shape[1]
        variance = area_sum(ensemble_variance(forecast), mask, rows) * ((members + 1) / members)
        error = ensemble_error(forecast, truth)
        return {"variance": variance, "squared_error": area_dot(error, error, mask, rows)}

    def value(self, sums: Statistics) -> Tensor:
        """The root of the ratio of the means."""
        return ratio(sums["variance"], sums["squared_error"]).sqrt()
