"""Mean absolute error of horizontal gradients, so that fronts and storm edges stay sharp."""

from __future__ import annotations

from torch import Tensor

from weatherml.fields import Fields
from weatherml.losses.base import LOSSES, LossConfig, LossModule, Weights, ratio


class GradientLoss(LossModule):
    """Mean of |error(i) - error(j)| over neighbours i, j along y and x (Mathieu et al. 2016, arXiv 1511.05440)."""

    def forward(self, prediction: Fields, target: Fields, mask: Tensor) -> Tensor:
        """The mean over pairs with both points unmasked; nothing wraps around."""
        error, weight = self.error(prediction, target, mask), self.weight(mask)
        total, weights = error.new_zeros(()), error.new_zeros(())
        for dim in (-2, -1):
            pair = _first(weight, dim).minimum(_last(weight, dim))  # 0 where either point is masked
            total = total + (pair * error.diff(dim=dim).abs()).sum()
            weights = weights + pair.sum()
        return ratio(total, weights)


def _first(x: Tensor, dim: int) -> Tensor:
    return x.narrow(dim, 0, x.shape[dim] - 1)


def _last(x: Tensor, dim: int) -> Tensor:
    return x.narrow(dim, 1, x.shape[dim] - 1)


@LOSSES.register("gradient")
class Gradient(LossConfig):
    """Mean absolute error of the differences between neighbours."""

    def build(self, weights: Weights) -> LossModule:
        """The loss with these weights."""
        return GradientLoss(weights)
