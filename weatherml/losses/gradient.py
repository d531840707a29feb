"""Mean absolute error of horizontal gradients, so that fronts and storm edges stay sharp."""

from __future__ import annotations

import torch
from torch import Tensor

from weatherml.fields import Fields
from weatherml.losses.base import LOSSES, FieldLoss, LossConfig, LossModule, Weights, weighted


class GradientLoss(FieldLoss):
    """Mean of |error(i) - error(j)| over neighbours i, j along y and x (Mathieu et al. 2016, arXiv 1511.05440)."""

    def sums(self, prediction: Fields, target: Fields, mask: Tensor) -> Tensor:
        """Over pairs with both points unmasked; nothing wraps around."""
        error, weight = self.error(prediction, target, mask), self.weight(mask)
        along = []
        for dim in (-2, -1):
            pair = _first(weight, dim).minimum(_last(weight, dim))  # 0 where either point is masked
            along.append(weighted(error.diff(dim=dim).abs(), pair))
        return torch.stack(along).sum(0, keepdim=True)


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
