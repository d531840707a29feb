"""Brier score of neighbourhood maximum ensemble probabilities (Schwartz and Sobash 2017)."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor

from weatherml.fields import Fields
from weatherml.metrics.base import METRICS, Statistics
from weatherml.metrics.neighbourhood import NeighbourhoodMetric, anywhere
from weatherml.metrics.reduce import area, area_dot, ratio


@METRICS.register("nmep_brier")
class NMEPBrier(NeighbourhoodMetric):
    """Brier score of the share of members with an event anywhere in the neighbourhood (NMEP), against the truth's own.

    doi:10.1175/MWR-D-16-0400.1.
    """

    needs_members: ClassVar[bool] = True

    def statistics(self, forecast: Fields, truth: Fields, mask: Tensor, rows: Tensor) -> Statistics:
        """Squared differences."""
        event = (self.threshold, self.side, self.width)
        difference = (anywhere(forecast, mask, *event) - anywhere(truth, mask, *event)).double()
        return {"squared_difference": area_dot(difference, difference, mask, rows), "weight": area(mask, rows)}

    def value(self, sums: Statistics) -> Tensor:
        """Their mean."""
        return ratio(sums["squared_difference"], sums["weight"])
