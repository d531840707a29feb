"""Losses of rare events at each point: focal and dice, from logits."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from weatherml.fields import Fields
from weatherml.losses.base import ratio


def focal_loss(logits: Fields, target: Fields, *, alpha: float | None, gamma: float) -> Fields:
    """The focal loss of each point, -alpha_t (1 - p_t)^gamma log p_t (Lin et al. 2017, arXiv 1708.02002, eq. 5).

    All of it is taken from log p_t and log(1 - p_t), which stay exact where p_t is 0 or 1 in its precision.

    Args:
        logits: of the event, any shape.
        target: 0 or 1, of the same shape.
        alpha: weight of events, 1 - alpha of all else; None weighs both 1.
        gamma: how much what is well told already counts less; 0 is cross-entropy.
    """
    logit_t = torch.where(target > 0.5, logits, -logits)
    loss = -functional.logsigmoid(logit_t) * (gamma * functional.logsigmoid(-logit_t)).exp()
    return loss if alpha is None else loss * class_weight(target, alpha)


def soft_focal_loss(logits: Fields, target: Fields, *, alpha: float | None, gamma: float) -> Fields:
    """The focal loss of each point against a probability q, |q - p|^gamma KL(q || p), 0 where p = q.

    After the quality focal loss (Li et al. 2020, arXiv 2006.04388, eq. 6), which has the cross-entropy instead of the
    divergence and so is the same for q of 0 or 1: a soft event would cost something even where it is told perfectly.

    Args:
        logits: of the event, any shape.
        target: the logit of q, of the same shape.
        alpha: weight of events, 1 - alpha of all else; None weighs both 1.
        gamma: at least 1, so that there is a gradient everywhere.
    """
    q = target.sigmoid()
    certain = functional.logsigmoid(target) - functional.logsigmoid(logits)
    otherwise = functional.logsigmoid(-target) - functional.logsigmoid(-logits)
    loss = (q * certain + (1 - q) * otherwise) * (q - logits.sigmoid()).abs() ** gamma
    return loss if alpha is None else loss * class_weight(q, alpha)


def class_weight(target: Fields, alpha: float) -> Fields:
    """The weight alpha of events, 1 - alpha of all else."""
    return alpha * target + (1 - alpha) * (1 - target)


def dice_loss(probability: Fields, target: Fields, weight: Tensor, *, variable: Tensor, smooth: float) -> Tensor:
    """1 - (2 sum pq + smooth) / (sum p² + sum q² + smooth) (Milletari et al. 2016, arXiv 1606.04797).

    (V,), what each variable adds to the mean over variables.

    The overlap of the event as told and as it was, over the whole batch: where a case is one point, a case alone has
    none. Points where no event is told or was count nothing, however many they are.

    Args:
        probability: (B, L, V, H, W).
        target: (B, L, V, H, W), 0 to 1.
        weight: (B, L, V, H, W), of each point; 0 where masked.
        variable: (V, 1, 1), of each variable.
        smooth: added to both sides, so that a batch without an event is 0 where none is told.
    """
    points = (0, 1, 3, 4)
    overlap = (weight * probability * target).sum(points)
    total = (weight * (probability.square() + target.square())).sum(points)
    loss = 1 - (2 * overlap + smooth) / (total + smooth)
    return ratio(loss * variable.flatten(), variable.sum())
