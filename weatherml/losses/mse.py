"""Mean square error."""

from __future__ import annotations

from torch import Tensor

from weatherml.fields import Fields
from weatherml.losses.base import LOSSES, FieldLoss, LossConfig, LossModule, Weights, weighted


class MSELoss(FieldLoss):
    """Mean of error²."""

    def sums(self, prediction: Fields, target: Fields, mask: Tensor) -> Tensor:
        """The square error in units of one step's change, squared."""
        return weighted(self.error(prediction, target, mask).square(), self.weight(mask))[None]


@LOSSES.register("mse")
class MSE(LossConfig):
    """Mean square error: its optimum is the mean."""

    def build(self, weights: Weights) -> LossModule:
        """The loss with these weights."""
        return MSELoss(weights)
