"""Brier score of neighbourhood ensemble probabilities (Schwartz and Sobash 2017, doi:10.1175/MWR-D-16-0400.1)."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor

from weatherml.fields import Fields
from weatherml.metrics.base import METRICS, Statistics
from weatherml.metrics.events import event_share
from weatherml.metrics.neighbourhood import NeighbourhoodMetric, fractions, known_fractions
from weatherml.metrics.reduce import area, area_sum, ratio


@METRICS.register("nep_brier")
class NEPBrier(NeighbourhoodMetric):
    """Brier score of the share of members and neighbouring cells with an event (NEP), against it at the cell itself.

    Only known cells of the grid count as neighbours. The same probability against the truth's share of the
    neighbourhood is what `fss` scores.
    """

    needs_members: ClassVar[bool] = True

    def statistics(self, forecast: Fields, truth: Fields, mask: Tensor, rows: Tensor) -> Statistics:
        """Squared differences."""
        inside = known_fractions(mask, self.width).clamp_min(self.width**-2)  # at an unknown centre it may be 0
        probability = fractions(forecast, mask, self.threshold, self.side, self.width) / inside
        difference = probability - event_share(truth, mask, self.threshold, self.side)
        return {"squared_difference": area_sum(difference.square(), mask, rows), "weight": area(mask, rows)}

    def value(self, sums: Statistics) -> Tensor:
        """Their mean."""
        return ratio(sums["squared_difference"], sums["weight"])
