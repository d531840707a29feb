"""Probabilities of an event from an ensemble: how often each was forecast, and how often the event then came."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor

from weatherml.fields import Fields
from weatherml.metrics.base import Statistics
from weatherml.metrics.events import EventMetric, probability_table


class ProbabilityMetric(EventMetric):
    """A score of the probabilities k / M, k = 0 .. M members with the event.

    Every score of them, its decomposition and its diagrams come from two histograms that are exact for
    any M: no probability shares its bin with another one.
    """

    needs_members: ClassVar[bool] = True

    def statistics(self, forecast: Fields, truth: Fields, mask: Tensor, rows: Tensor) -> Statistics:
        """Area by the number of members with the event: of all points, and of those where it came."""
        return probability_table(forecast, truth, mask, rows, threshold=self.threshold, side=self.side)


def probabilities(sums: Statistics) -> Tensor:
    """(M + 1,) the probability of each bin, 0 .. 1."""
    return torch.linspace(0, 1, sums["forecasts"].shape[-1], dtype=torch.float64)
