"""The contract of a metric: statistics of each case, averaged over any cases, finished once.

Statistics are means over the grid of one case and lead, together with the weight that stands behind
them (the number of valid points), so that sums of cases merge in any order and the score of a year is
not the mean of the scores of its days.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from weatherml.config import Config
from weatherml.fields import Fields
from weatherml.registry import Registry
from weatherml.variables import Variable

METRICS: Registry[Metric] = Registry("metrics")
Statistics = dict[str, Tensor]
"""Weighted sums by name, each (L,) or (L, bins) float64; they add over cases."""


@dataclass(frozen=True, kw_only=True)
class Diagram:
    """What one number a lead cannot say: a histogram, a reliability diagram, a curve.

    Attributes:
        dim: the name of the bins' dimension.
        bins: (bins,) its coordinate.
        arrays: by name, (L, bins), or (L,) for a number that belongs to the diagram.
    """

    dim: str
    bins: Tensor
    arrays: dict[str, Tensor]


class Metric(Config, ABC):
    """A score of one variable as a function of lead time.

    Attributes:
        perfect: the value of a perfect forecast.
        needs_members: True for scores of ensembles alone.
        of_anomalies: True for scores of departures from climatology: `statistics` is given those of the members' mean.
        by_condition: False for scores that mean nothing, or cost too much, on a part of the points or cases.
        units: the score's units; None for those of its variable.
    """

    perfect: ClassVar[float] = 0.0
    needs_members: ClassVar[bool] = False
    of_anomalies: ClassVar[bool] = False
    by_condition: ClassVar[bool] = True
    units: ClassVar[str | None] = "1"

    @property
    def name(self) -> str:
        """The name in scores.json: `rmse`, `csi_30dbz`, `fss_30dbz_24km`, ..."""
        return self.kind

    @classmethod
    def score_card(cls, variable: Variable, spacing_km: float | None) -> list[Metric]:  # noqa: ARG003
        """The members of this metric worth having for a variable: one, or one a threshold and scale, say."""
        return [cls()]

    @abstractmethod
    def statistics(self, forecast: Fields, truth: Fields, mask: Tensor, rows: Tensor) -> Statistics:
        """Weighted sums of one case, for each lead.

        Args:
            forecast: (L, M, H, W) in physical units; M = 1 for a deterministic forecast.
            truth: (L, H, W).
            mask: (L, H, W) bool, True where both are known.
            rows: (H,) area weights.
        """

    @abstractmethod
    def value(self, sums: Statistics) -> Tensor:
        """The score from summed statistics: (L,); NaN where no case stands behind it.

        Leading dimensions (bootstrap resamples) pass through: sums (..., L) or (..., L, bins).
        """

    def diagram(self, sums: Statistics) -> Diagram | None:  # noqa: ARG002 - most metrics are one number
        """What else the summed statistics show, for metrics that are more than a number."""
        return None
