"""Fractions skill score (Roberts and Lean 2008, doi:10.1175/2007MWR2123.1)."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor

from weatherml.fields import Fields
from weatherml.metrics.base import METRICS, Statistics
from weatherml.metrics.events import Side
from weatherml.metrics.neighbourhood import NeighbourhoodMetric, fractions
from weatherml.metrics.once import once
from weatherml.metrics.reduce import area_sum, ratio


@METRICS.register("fss")
class FSS(NeighbourhoodMetric):
    """1 - sum (P_f - P_o)^2 / (sum P_f^2 + sum P_o^2), the sums pooled over cases.

    P is the share of the neighbourhood where the event occurs; of an ensemble, the mean share of its
    members. Neighbourhoods reach over the edge into zeros and reaching the threshold is the event, both
    as in pysteps (`scores` uses inner windows and `>`). Unknown points count as no event in both fields
    and are no centres.
    """

    perfect: ClassVar[float] = 1.0
    widths: ClassVar[tuple[int, ...]] = (1, 3, 9, 27)

    def statistics(self, forecast: Fields, truth: Fields, mask: Tensor, rows: Tensor) -> Statistics:
        """Squared differences of the fractions, and what they would be without any overlap."""
        event = (self.threshold, self.side, self.width)
        difference = fractions(forecast, mask, *event) - fractions(truth, mask, *event)
        return {
            "squared_difference": area_sum(difference.square(), mask, rows),
            "no_overlap": total_square(forecast, mask, rows, event) + total_square(truth, mask, rows, event),
        }

    def value(self, sums: Statistics) -> Tensor:
        """The score; NaN where the event occurs in neither."""
        return 1 - ratio(sums["squared_difference"], sums["no_overlap"])


@once
def total_square(values: Fields, mask: Tensor, rows: Tensor, event: tuple[float, Side, int]) -> Tensor:
    """Sum of the squared fractions, (L,)."""
    return area_sum(fractions(values, mask, *event).square(), mask, rows)
