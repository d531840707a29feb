"""Area under the relative operating characteristic (Mason 1982)."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor

from weatherml.metrics.base import METRICS, Diagram, Statistics
from weatherml.metrics.probability import ProbabilityMetric, probabilities
from weatherml.metrics.reduce import ratio


@METRICS.register("roc_auc")
class ROCAUC(ProbabilityMetric):
    """Area under the curve of hit rate against false alarm rate, by trapezoids; 0.5 tells nothing.

    One point of the curve says yes where at least k of M members have the event, for k = 0 .. M.
    """

    perfect: ClassVar[float] = 1.0

    def value(self, sums: Statistics) -> Tensor:
        """The area; NaN where the event came nowhere or everywhere."""
        hits, false_alarms = rates(sums)
        # the last point says yes where more than M members have it: nowhere
        end = torch.zeros_like(hits[..., :1])
        return torch.trapezoid(torch.cat([hits, end], -1).flip(-1), torch.cat([false_alarms, end], -1).flip(-1), dim=-1)

    def diagram(self, sums: Statistics) -> Diagram:
        """The curve."""
        hits, false_alarms = rates(sums)
        arrays = {"hit_rate": hits, "false_alarm_rate": false_alarms}
        return Diagram(dim="probability", bins=probabilities(sums), arrays=arrays)


def rates(sums: Statistics) -> tuple[Tensor, Tensor]:
    """Hit rate and false alarm rate, each (L, M + 1), of saying yes from each probability on."""
    return _share_from(sums["events"]), _share_from(sums["forecasts"] - sums["events"])


def _share_from(area: Tensor) -> Tensor:
    return ratio(area.flip(-1).cumsum(-1).flip(-1), area.sum(-1, keepdim=True))
