"""Brier score and its decomposition (Murphy 1973, doi:10.1175/1520-0450(1973)012<0595:ANVPOT>2.0.CO;2)."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from weatherml.metrics.base import METRICS, Diagram, Statistics
from weatherml.metrics.probability import ProbabilityMetric, probabilities
from weatherml.metrics.reduce import ratio


@METRICS.register("brier")
class Brier(ProbabilityMetric):
    """Mean squared difference of the share of members with an event and whether it came.

    It is reliability - resolution + uncertainty, exactly: the three stand in the diagram, beside the shares
    of each probability and the frequency of the event after it.
    """

    def value(self, sums: Statistics) -> Tensor:
        """The score."""
        return brier_score(sums)

    def diagram(self, sums: Statistics) -> Diagram:
        """The reliability diagram and the decomposition."""
        frequency = ratio(sums["events"], sums["forecasts"])
        share = ratio(sums["forecasts"], sums["forecasts"].sum(-1, keepdim=True))
        arrays = {"observed_frequency": frequency, "share": share, **decomposition(sums)._asdict()}
        return Diagram(dim="probability", bins=probabilities(sums), arrays=arrays)


class Decomposition(NamedTuple):
    """The parts of a Brier score, (L,): reliability - resolution + uncertainty."""

    reliability: Tensor
    resolution: Tensor
    uncertainty: Tensor


def brier_score(sums: Statistics) -> Tensor:
    """Mean of (p - o)^2 from the histograms of `probability_table`, (L,)."""
    p = probabilities(sums)
    misfit = sums["events"] * (1 - p).square() + (sums["forecasts"] - sums["events"]) * p.square()
    return ratio(misfit.sum(-1), sums["forecasts"].sum(-1))


def decomposition(sums: Statistics) -> Decomposition:
    """Murphy's three parts."""
    total = sums["forecasts"].sum(-1)
    base_rate = ratio(sums["events"].sum(-1), total)
    frequency = torch.nan_to_num(sums["events"] / sums["forecasts"])  # of an unused probability, whose weight is 0

    def mean_square(difference: Tensor) -> Tensor:
        return ratio((sums["forecasts"] * difference.square()).sum(-1), total)

    return Decomposition(
        reliability=mean_square(frequency - probabilities(sums)),
        resolution=mean_square(frequency - base_rate.unsqueeze(-1)),
        uncertainty=base_rate * (1 - base_rate),
    )
