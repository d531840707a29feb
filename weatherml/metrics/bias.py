"""Mean error."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor

from weatherml.fields import Fields
from weatherml.metrics.base import METRICS, Metric, Statistics
from weatherml.metrics.reduce import area, area_sum, ensemble_error, ratio


@METRICS.register("bias")
class Bias(Metric):
    """Mean of forecast minus truth, in the variable's units."""

    units: ClassVar[str | None] = None

    def statistics(self, forecast: Fields, truth: Fields, mask: Tensor, rows: Tensor) -> Statistics:
        """Errors of the ensemble mean."""
        error = ensemble_error(forecast, truth)
        return {"error": area_sum(error, mask, rows), "weight": area(mask, rows)}

    def value(self, sums: Statistics) -> Tensor:
        """Their mean."""
        return ratio(sums["error"], sums["weight"])
