"""Fractions skill score (Roberts and Lean 2008, doi:10.1175/2007MWR2123.1)."""

from __future__ import annotations

from typing import ClassVar

import torch
from pydantic import PositiveFloat, PositiveInt
from torch import Tensor

from weatherml.fields import Fields
from weatherml.metrics.base import METRICS, Metric, Statistics
from weatherml.metrics.events import EventMetric, Side, event_share, events, number_name
from weatherml.metrics.once import once
from weatherml.metrics.reduce import area_sum, ratio
from weatherml.variables import Variable

WIDTHS = (1, 3, 9, 27)


@METRICS.register("fss")
class FSS(EventMetric):
    """1 - sum (P_f - P_o)^2 / (sum P_f^2 + sum P_o^2), the sums pooled over cases.

    P is the share of the neighbourhood where the event occurs; of an ensemble, the mean share of its
    members. Neighbourhoods reach over the edge into zeros and reaching the threshold is the event, both
    as in pysteps (`scores` uses inner windows and `>`). Unknown points count as no event in both fields
    and are no centres.

    Attributes:
        width: the neighbourhood's side in cells, odd.
        spacing_km: of the grid, for the name; None names the width in cells.
    """

    perfect: ClassVar[float] = 1.0
    width: PositiveInt
    spacing_km: PositiveFloat | None = None

    @property
    def name(self) -> str:
        """`fss_30dbz_27km`, or `fss_30dbz_9cells`."""
        return f"fss_{self.event}_{scale_name(self.width, self.spacing_km)}"

    @classmethod
    def score_card(cls, variable: Variable, spacing_km: float | None) -> list[Metric]:
        """One for each threshold and width."""
        return [
            cls.model_validate({**event, "width": width, "spacing_km": spacing_km})
            for event in events(variable)
            for width in WIDTHS
        ]

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


def scale_name(width: int, spacing_km: float | None) -> str:
    """A neighbourhood's width as part of a name: to the km, under 10 km to a tenth."""
    if spacing_km is None:
        return f"{width}cells"
    km = width * spacing_km
    return f"{number_name(round(km, 1 if km < 10 else 0))}km"


@once
def fractions(values: Fields, mask: Tensor, threshold: float, side: Side, width: int) -> Tensor:
    """Share of each point's neighbourhood with the event, (L, H, W) float64; of (L, M, H, W) the members' mean."""
    sums = integral(values, mask, threshold, side)
    return window_sum(window_sum(sums, -2, width), -1, width) / width**2


@once
def total_square(values: Fields, mask: Tensor, rows: Tensor, event: tuple[float, Side, int]) -> Tensor:
    """Sum of the squared fractions, (L,)."""
    return area_sum(fractions(values, mask, *event).square(), mask, rows)


@once
def integral(values: Fields, mask: Tensor, threshold: float, side: Side) -> Tensor:
    """The event's sums over all rows and columns before each: (L, H + 1, W + 1) float64."""
    share = event_share(values, mask, threshold, side).double()
    return torch.nn.functional.pad(share.cumsum(-1).cumsum(-2), (1, 0, 1, 0))


def window_sum(sums: Tensor, axis: int, width: int) -> Tensor:
    """Sums over windows of odd `width` from cumulative sums with a leading 0 (N + 1 to N); zeros past the edge."""
    size = sums.shape[axis] - 1
    reach = min(width // 2, size)
    inside = sums.narrow(axis, reach + 1, size - reach)
    last = sums.narrow(axis, size, 1)
    windows = torch.cat([inside, *[last] * reach], axis)
    windows.narrow(axis, reach, size - reach).sub_(sums.narrow(axis, 0, size - reach))
    return windows
