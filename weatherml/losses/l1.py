"""Mean absolute error."""

from __future__ import annotations

from torch import Tensor

from weatherml.fields import Fields
from weatherml.losses.base import LOSSES, FieldLoss, LossConfig, LossModule, Weights, weighted


class L1Loss(FieldLoss):
    """Mean of |error|."""

    def sums(self, prediction: Fields, target: Fields, mask: Tensor) -> Tensor:
        """The absolute error in units of one step's change."""
        return weighted(self.error(prediction, target, mask).abs(), self.weight(mask))[None]


@LOSSES.register("l1")
class L1(LossConfig):
    """Mean absolute error: its optimum is the median."""

    def build(self, weights: Weights) -> LossModule:
        """The loss with these weights."""
        return L1Loss(weights)
