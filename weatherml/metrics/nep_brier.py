"""Brier score of neighbourhood ensemble probabilities (Schwartz and Sobash 2017, doi:10.1175/MWR-D-16-0400.1)."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from weatherml.fields import Fields
from weatherml.metrics.base import METRICS, Statistics
from weatherml.metrics.events import event_count
from weatherml.metrics.neighbourhood import NeighbourhoodMetric, counts, known_fractions, strips
from weatherml.metrics.reduce import area, ratio

Array = npt.NDArray[Any]


@METRICS.register("nep_brier")
class NEPBrier(NeighbourhoodMetric):
    """Brier score of the share of members and neighbouring cells with an event (NEP), against it at the cell itself.

    Only known cells of the grid count as neighbours. The same probability against the truth's share of the
    neighbourhood is what `fss` scores.
    """

    needs_members: ClassVar[bool] = True

    def statistics(self, forecast: Fields, truth: Fields, mask: Tensor, rows: Tensor) -> Statistics:
        """Squared differences."""
        found = [self._row_squares(forecast, truth, mask, strip) for strip in strips(*truth.shape[-2:])]
        squares = torch.from_numpy(np.concatenate(found, -1)) @ rows.double()
        return {"squared_difference": squares, "weight": area(mask, rows)}

    def _row_squares(self, forecast: Fields, truth: Fields, mask: Tensor, strip: slice) -> Array:
        """Sums along the rows of a strip, (L, rows) float64."""
        cells = known_fractions(mask, self.width).numpy()[:, strip] * (forecast.shape[1] * self.width**2)
        found = counts(forecast, mask, self.threshold, self.side, self.width, rows=strip)
        difference = found / np.maximum(cells, 1)  # at an unknown centre there may be none
        difference -= event_count(truth, mask, self.threshold, self.side)[:, strip]
        difference *= mask.numpy()[:, strip]
        return np.asarray(np.vecdot(difference, difference))

    def value(self, sums: Statistics) -> Tensor:
        """Their mean."""
        return ratio(sums["squared_difference"], sums["weight"])
