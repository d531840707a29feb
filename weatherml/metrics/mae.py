"""Mean absolute error."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor

from weatherml.fields import Fields
from weatherml.metrics.base import METRICS, Metric, Statistics
from weatherml.metrics.reduce import area, area_sum, ensemble_error, ratio


@METRICS.register("mae")
class MAE(Metric):
    """Mean absolute error, in the variable's units; of the ensemble mean where there are members."""

    units: ClassVar[str | None] = None

    def statistics(self, forecast: Fields, truth: Fields, mask: Tensor, rows: Tensor) -> Statistics:
        """Absolute errors of the ensemble mean."""
        absolute_error = ensemble_error(forecast, truth).abs()
        return {"absolute_error": area_sum(absolute_error, mask, rows), "weight": area(mask, rows)}

    def value(self, sums: Statistics) -> Tensor:
        """Their mean."""
        return ratio(sums["absolute_error"], sums["weight"])
