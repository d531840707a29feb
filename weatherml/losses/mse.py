"""Mean square error."""

from __future__ import annotations

from torch import Tensor

from weatherml.fields import Fields
from weatherml.losses.base import LOSSES, LossConfig, LossModule, Weights


class MSELoss(LossModule):
    """Mean of error²."""

    def forward(self, prediction: Fields, target: Fields, mask: Tensor) -> Tensor:
        """The mean square error in units of one step's change, squared."""
        return self.mean(self.error(prediction, target, mask).square(), mask)


@LOSSES.register("mse")
class MSE(LossConfig):
    """Mean square error: its optimum is the mean."""

    def build(self, weights: Weights) -> LossModule:
        """The loss with these weights."""
        return MSELoss(weights)
