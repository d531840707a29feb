"""Mean absolute error."""

from __future__ import annotations

from torch import Tensor

from weatherml.fields import Fields
from weatherml.losses.base import LOSSES, LossConfig, LossModule, Weights


class L1Loss(LossModule):
    """Mean of |error|."""

    def forward(self, prediction: Fields, target: Fields, mask: Tensor) -> Tensor:
        """The mean absolute error in units of one step's change."""
        return self.mean(self.error(prediction, target, mask).abs(), mask)


@LOSSES.register("l1")
class L1(LossConfig):
    """Mean absolute error: its optimum is the median."""

    def build(self, weights: Weights) -> LossModule:
        """The loss with these weights."""
        return L1Loss(weights)
