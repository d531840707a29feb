"""The focal loss: what is well told already counts little, so that rare events are not drowned."""

from __future__ import annotations

from typing import ClassVar, Literal

import torch
from pydantic import Field, NonNegativeFloat
from torch import Tensor

from weatherml.fields import Fields
from weatherml.losses.base import LOSSES, LossConfig, LossModule, Weights, precise
from weatherml.losses.rare import focal_loss


class FocalLoss(LossModule):
    """Mean or sum over points of -alpha_t (1 - p_t)^gamma log p_t; the prediction is logits, the target 0 or 1."""

    def __init__(self, weights: Weights, *, alpha: float | None, gamma: float, reduction: str) -> None:
        super().__init__(weights)
        self.alpha, self.gamma, self.reduction = alpha, gamma, reduction

    def parts(self, prediction: Fields, target: Fields, mask: Tensor) -> Tensor:
        """(C,) shares in the loss over unmasked points, weighted by area and variable."""
        logits, truth = (torch.where(mask, precise(field), 0.0) for field in (prediction, target))
        loss = focal_loss(logits, truth, alpha=self.alpha, gamma=self.gamma)
        return self.mean(loss, mask) if self.reduction == "mean" else (loss * self.weight(mask)).sum((0, 1, 3, 4))


@LOSSES.register("focal")
class Focal(LossConfig):
    """The focal loss on logits; with gamma 0 and no alpha it is cross-entropy.

    Attributes:
        alpha: weight of events, 1 - alpha of all else; None weighs both 1.
        gamma: how much what is well told already counts less.
        reduction: `mean` over the points, or their `sum`.
    """

    logits: ClassVar[bool] = True

    alpha: float | None = Field(0.25, ge=0, le=1)
    gamma: NonNegativeFloat = 2.0
    reduction: Literal["mean", "sum"] = "mean"

    def build(self, weights: Weights) -> LossModule:
        """The loss with these weights."""
        return FocalLoss(weights, alpha=self.alpha, gamma=self.gamma, reduction=self.reduction)
