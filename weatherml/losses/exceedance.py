"""Focal and dice loss on the exceedance of thresholds, from a regression's own output."""

from __future__ import annotations

import torch
from pydantic import Field, NonNegativeFloat, PositiveFloat
from torch import Tensor

from weatherml.fields import Fields
from weatherml.losses.base import LOSSES, FieldLoss, LossConfig, LossModule, Weights, precise, weighted
from weatherml.losses.rare import dice_loss, soft_focal_loss


class ExceedanceLoss(FieldLoss):
    """Mean over thresholds of focal + dice loss on `state > threshold`, softened on both sides alike.

    An event is sigmoid((state - threshold) / width) of the prediction and of the truth, so that a perfect
    forecast costs nothing and one that is off by less than about a width little.
    """

    def __init__(self, weights: Weights, config: Exceedance) -> None:
        super().__init__(weights)
        self.config = config

    def sums(self, prediction: Fields, target: Fields, mask: Tensor) -> Tensor:
        """Two means for each threshold."""
        state, truth = (torch.where(mask, precise(field), 0.0) for field in (prediction, target))
        return torch.cat([self._at(threshold, state, truth, mask) for threshold in self.config.thresholds])

    def _at(self, threshold: float, prediction: Fields, target: Fields, mask: Tensor) -> Tensor:
        config, share, weight = self.config, 1 / len(self.config.thresholds), self.weight(mask)
        logits, truth = ((state - threshold) / (config.width * self.scale) for state in (prediction, target))
        focal = soft_focal_loss(logits, truth, alpha=config.alpha, gamma=config.gamma)
        variable = self.variable.flatten()
        dice = dice_loss(
            logits.sigmoid(), truth.sigmoid(), mask * self.rows, variable=self.variable, smooth=config.smooth
        )
        of_variables = torch.stack([share * config.dice * dice * variable.sum(), variable])
        return torch.stack([weighted(share * config.focal * focal, weight), of_variables])


@LOSSES.register("exceedance")
class Exceedance(LossConfig):
    """Focal and dice loss on `state > threshold`; a term of `weather` beside those of regression.

    Attributes:
        thresholds: of every variable, in its standard deviations above the training mean, after its transform; a
            variable of weight 0 has no events.
        width: of the softened threshold, in standard deviations of one step's change: about as far as a forecast
            errs, so that there is a gradient where it matters.
        focal: weight of the focal loss.
        dice: weight of the dice loss.
        alpha: weight of events in the focal loss, 1 - alpha of all else; None weighs both 1.
        gamma: how much what is well told already counts less.
        smooth: points added to both sides of the dice ratio.
    """

    thresholds: tuple[float, ...] = Field((1.0, 2.0), min_length=1)
    width: PositiveFloat = 1.0
    focal: NonNegativeFloat = 0.7
    dice: NonNegativeFloat = 0.3
    alpha: float | None = Field(0.75, ge=0, le=1)
    gamma: float = Field(2.0, ge=1)
    smooth: PositiveFloat = 1.0

    def build(self, weights: Weights) -> LossModule:
        """The loss with these weights."""
        return ExceedanceLoss(weights, self)
