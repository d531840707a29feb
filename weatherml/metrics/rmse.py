"""Root mean square error."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor

from weatherml.fields import Fields
from weatherml.metrics.base import METRICS, Metric, Statistics
from weatherml.metrics.reduce import area, area_dot, ensemble_error, ratio


@METRICS.register("rmse")
class RMSE(Metric):
    """Root mean square error, in the variable's units; of the ensemble mean where there are members."""

    units: ClassVar[str | None] = None

    def statistics(self, forecast: Fields, truth: Fields, mask: Tensor, rows: Tensor) -> Statistics:
        """Squared errors of the ensemble mean."""
        error = ensemble_error(forecast, truth)
        return {"squared_error": area_dot(error, error, mask, rows), "weight": area(mask, rows)}

    def value(self, sums: Statistics) -> Tensor:
        """The root of their mean."""
        return ratio(sums["squared_error"], sums["weight"]).sqrt()
