"""Fractions skill score (Roberts and Lean 2008, doi:10.1175/2007MWR2123.1)."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from weatherml.fields import Fields
from weatherml.metrics.base import METRICS, Statistics
from weatherml.metrics.neighbourhood import NeighbourhoodMetric, counts, strips
from weatherml.metrics.reduce import complete, ratio

Array = npt.NDArray[Any]
EXACT_SQUARES = 1 << 12
"""Whole numbers up to here have squares that are exact in float32, and a row of them sums to seven digits."""


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
        found = [self._row_products(forecast, truth, mask, strip) for strip in strips(*truth.shape[-2:])]
        both, expected, observed = torch.from_numpy(np.concatenate(found, -1)) @ rows.double() / self.width**4
        size = forecast.shape[1]
        return {"overlap": 2 * both / size, "whole": expected / size**2 + observed}

    def _row_products(self, forecast: Fields, truth: Fields, mask: Tensor, strip: slice) -> Array:
        """Of each row of a strip the sums of f o, f f and o o, counts in the neighbourhoods: (3, L, rows) float64."""
        event = (self.threshold, self.side, self.width)
        dtype = np.float32 if forecast.shape[1] * self.width**2 <= EXACT_SQUARES else np.float64
        f, o = (counts(each, mask, *event, rows=strip).astype(dtype, copy=False) for each in (forecast, truth))
        if not complete(mask):
            f, o = (each * mask.numpy()[:, strip] for each in (f, o))
        return np.stack([np.vecdot(f, o), np.vecdot(f, f), np.vecdot(o, o)]).astype(np.float64)

    def value(self, sums: Statistics) -> Tensor:
        """The score, written without a difference; NaN where the event occurs in neither."""
        return ratio(sums["overlap"], sums["whole"])
