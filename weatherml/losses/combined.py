"""Focal and dice together: every point told well, and the event as a whole."""

from __future__ import annotations

from typing import ClassVar

import torch
from pydantic import Field, NonNegativeFloat, PositiveFloat
from torch import Tensor

from weatherml.fields import Fields
from weatherml.losses.base import LOSSES, LossConfig, LossModule, Weights, precise
from weatherml.losses.rare import dice_loss, focal_loss


class CombinedLoss(LossModule):
    """focal * focal loss + dice * dice loss; the prediction is logits, the target 0 or 1."""

    def __init__(self, weights: Weights, config: Combined) -> None:
        super().__init__(weights)
        self.config = config

    def parts(self, prediction: Fields, target: Fields, mask: Tensor) -> Tensor:
        """(C,) shares in the loss over unmasked points, weighted by area and variable."""
        config = self.config
        logits, truth = (torch.where(mask, precise(field), 0.0) for field in (prediction, target))
        focal = self.mean(focal_loss(logits, truth, alpha=config.alpha, gamma=config.gamma), mask)
        dice = dice_loss(logits.sigmoid(), truth, mask * self.rows, variable=self.variable, smooth=config.smooth)
        return config.focal * focal + config.dice * dice


@LOSSES.register("combined")
class Combined(LossConfig):
    """The weighted sum of focal and dice loss on logits.

    Attributes:
        focal: weight of the focal loss.
        dice: weight of the dice loss.
        alpha: weight of events in the focal loss, 1 - alpha of all else; None weighs both 1.
        gamma: how much what is well told already counts less.
        smooth: points added to both sides of the dice ratio.
    """

    logits: ClassVar[bool] = True

    focal: NonNegativeFloat = 0.7
    dice: NonNegativeFloat = 0.3
    alpha: float | None = Field(0.25, ge=0, le=1)
    gamma: NonNegativeFloat = 2.0
    smooth: PositiveFloat = 1.0

    def build(self, weights: Weights) -> LossModule:
        """The loss with these weights."""
        return CombinedLoss(weights, self)
