"""Fractions skill score (Roberts and Lean 2008, doi:10.1175/2007MWR2123.1)."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from weatherml.fields import Fields
from weatherml.metrics.base import METRICS, Statistics
from weatherml.metrics.neighbourhood import NeighbourhoodMetric, counts, members
from weatherml.metrics.reduce import complete, ratio

Array = npt.NDArray[Any]
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
        """Products of the fractions, and what they would be of two equal fields with as much of the event."""
        event = (self.threshold, self.side, self.width)
        known = None if complete(mask) else mask.numpy()
        strips = []
        for strip in (slice(start, start + STRIP) for start in range(0, len(rows), STRIP)):
            pair = [counts(values, mask, *event, rows=strip) for values in (forecast, truth)]
            if known is not None:
                pair = [fractions * known[:, strip] for fractions in pair]
            strips.append(products(*pair))
        both, expected, observed = torch.from_numpy(np.concatenate(strips, -1)) @ rows.double() / self.width**4
        size = members(forecast, mask)
        return {"overlap": 2 * both / size, "whole": expected / size**2 + observed}

    def value(self, sums: Statistics) -> Tensor:
        """The score, written without a difference; NaN where the event occurs in neither."""
        return ratio(sums["overlap"], sums["whole"])


def products(a: Array, b: Array) -> Array:
    """Of each row of two (L, H, W) fields the sums of a b, a a and b b: (3, L, H) float64.

    A float32 sum along a row errs by less than 1e-7 of it.
    """
    return np.stack([np.vecdot(a, b), np.vecdot(a, a), np.vecdot(b, b)]).astype(np.float64)
