"""Fractions skill score (Roberts and Lean 2008, doi:10.1175/2007MWR2123.1)."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor

from weatherml.fields import Fields
from weatherml.metrics.base import METRICS, Statistics
from weatherml.metrics.neighbourhood import NeighbourhoodMetric, counts, members
from weatherml.metrics.reduce import complete, ratio

STRIP = 128
"""Rows at once: they stay in a core's cache from the sums to the squares."""


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
        size, holes = members(forecast, mask), None if complete(mask) else ~mask
        squares = []
        for strip in (slice(start, start + STRIP) for start in range(0, len(rows), STRIP)):
            expected = counts(forecast, mask, *event, rows=strip)
            observed = counts(truth, mask, *event, rows=strip).mul_(size)
            if holes is not None:
                expected, observed = (each.masked_fill_(holes[:, strip], 0) for each in (expected, observed))
            sums = [square_sum(each) for each in (expected - observed, expected, observed)]
            squares.append(torch.stack(sums))
        difference, *both = (torch.cat(squares, -1) / (size * self.width**2) ** 2) @ rows.double()
        return {"squared_difference": difference, "no_overlap": sum(both)}

    def value(self, sums: Statistics) -> Tensor:
        """The score; NaN where the event occurs in neither."""
        return 1 - ratio(sums["squared_difference"], sums["no_overlap"])


def square_sum(values: Tensor) -> Tensor:
    """Sum of the squares of each row of (L, H, W) integers: (L, H) float64.

    float32 holds the integers, and their sums along a row to 1e-7.
    """
    numbers = values.float()
    sums: Tensor = torch.linalg.vecdot(numbers, numbers)
    return sums.double()
