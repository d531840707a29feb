"""The almost fair CRPS of a few members, in space and in the spectrum."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import torch
from pydantic import Field, NonNegativeFloat
from torch import Tensor

from weatherml.fields import Fields
from weatherml.losses.base import LOSSES, LossConfig, LossModule, Weights, precise, ratio
from weatherml.losses.spectral import multiplicity


class CRPSLoss(LossModule):
    """CRPS of M members: M rows of the prediction, side by side, belong to each row of the target.

    The spectral term is the same score of the real and imaginary parts of the orthonormal FFT, which sees how
    errors hang together in space.
    """

    def __init__(self, weights: Weights, *, members: int, fair: float, spectral: float) -> None:
        super().__init__(weights)
        self.members, self.fair, self.spectral = members, fair, spectral

    def forward(self, prediction: Fields, target: Fields, mask: Tensor) -> Tensor:
        """The score of (B * M, L, C, H, W) against (B, L, C, H, W)."""
        members = precise(prediction).view(len(target), -1, *target.shape[1:]).unbind(1)
        fields = [torch.where(mask, member, 0.0) / self.scale for member in (*members, precise(target))]
        total = self.mean(almost_fair_crps(fields[:-1], fields[-1], self.fair), mask)
        if not self.spectral:
            return total
        with torch.autocast(target.device.type, enabled=False):
            waves = [torch.view_as_real(torch.fft.rfft2(field * self.rows.sqrt(), norm="ortho")) for field in fields]
        columns = multiplicity(mask.shape[-1]).to(total).view(-1, 1)
        score = almost_fair_crps(waves[:-1], waves[-1], self.fair)
        field = (score * columns).mean(dim=(-3, -2, -1)) / columns.mean()
        share = self.weight(mask).mean(dim=(-2, -1))
        return total + self.spectral * ratio((field * share).sum(), share.sum())


def almost_fair_crps(members: Sequence[Tensor], truth: Tensor, fair: float) -> Tensor:
    """The almost fair CRPS of M members at each point, of the shape of `truth`.

    After Lang et al. 2024 (arXiv 2412.15832), `fair` = alpha times the fair score and 1 - alpha times the usual one:
    mean|x_i - y| - (1 - (1 - alpha) / M) * mean of |x_i - x_j| / 2 over the pairs i != j. The purely fair one does
    not see members that agree by chance on a value that is wrong. With M = 1 it is the absolute error.
    """
    M, zero = len(members), torch.zeros_like(truth)
    error = sum(((member - truth).abs() for member in members), zero) / M
    if M == 1:
        return error
    between = sum(((a - b).abs() for i, a in enumerate(members) for b in members[:i]), zero)
    return error - (1 - (1 - fair) / M) * between / (M * (M - 1))


@LOSSES.register("crps")
class CRPS(LossConfig):
    """The almost fair CRPS.

    Attributes:
        members: drawn for each case in training.
        fair: alpha, the weight of the fair score against the usual one.
        spectral: weight of the spectral term.
    """

    compares_members: ClassVar[bool] = True

    members: int = Field(2, ge=1, le=16)
    fair: float = Field(0.99, ge=0, le=1)
    spectral: NonNegativeFloat = 0.3

    def build(self, weights: Weights) -> LossModule:
        """The loss with these weights."""
        return CRPSLoss(weights, members=self.members, fair=self.fair, spectral=self.spectral)
