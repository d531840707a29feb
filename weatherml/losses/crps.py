"""The almost fair CRPS of a few members: of points, of scales, of the spectrum and in physical units."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import ClassVar

import torch
from pydantic import Field, NonNegativeFloat
from torch import Tensor

from weatherml.fields import Fields
from weatherml.losses.base import LOSSES, LossConfig, LossModule, Weights, precise, shares
from weatherml.losses.spectral import multiplicity
from weatherml.nn.pooling import at_points, block_means


class CRPSLoss(LossModule):
    """CRPS of M members: M rows of the prediction, side by side, belong to each row of the target.

    The score of points does not see over what distances members differ: one number for the whole grid could give every
    point its spread. The spectral term is the same score of the real and imaginary parts of the orthonormal FFT, where
    the few large waves hardly weigh; that of scales has a score for each octave. Nor does a score of each variable see
    how they hang together, so the octaves are of mixtures of two, another pair and another angle at every call: the
    CRPS of all directions is the energy score (Székely & Rizzo 2013). Of a logarithm the few highest values hardly
    weigh, by which the variable is judged in its units: the physical term is the score there.
    """

    def __init__(
        self, weights: Weights, *, members: int, fair: float, spectral: float, scales: float, physical: float
    ) -> None:
        super().__init__(weights)
        self.members, self.fair, self.spectral, self.scales = members, fair, spectral, scales
        self.physical = physical
        self.units = weights.physical() if physical and weights.physical else None

    def parts(self, prediction: Fields, target: Fields, mask: Tensor) -> Tensor:
        """(C,) shares in the score of (B * M, L, C, H, W) against (B, L, C, H, W)."""
        members = precise(prediction).view(len(target), -1, *target.shape[1:]).unbind(1)
        normalised = [torch.where(mask, member, 0.0) for member in (*members, precise(target))]
        fields = [each / self.scale for each in normalised]
        weight = self.weight(mask)
        total = self._score(fields, weight)
        if self.units is not None:
            total = total + self.physical * self._score([self.units(each) for each in normalised], weight)
        if self.scales:
            total = total + self.scales * self._of_scales(_mixed(fields), weight)
        return total + self.spectral * self._of_waves(fields, mask) if self.spectral else total

    def _score(self, fields: list[Tensor], weight: Tensor) -> Tensor:
        return shares(almost_fair_crps(fields[:-1], fields[-1], self.fair), weight)

    def _of_scales(self, fields: list[Tensor], weight: Tensor) -> Tensor:
        """The sum of the scores of each octave, means over blocks less those over blocks twice as wide.

        Each counts half of the one before: of a quarter as many blocks the mean score is twice as uncertain, and
        gradients of the largest waves' would be all that the network hears.
        """
        total, part = torch.zeros_like(self.scale.flatten()), 1.0
        while max(weight.shape[-2:]) > 1:
            share = block_means(weight, 2)
            means = [block_means(field * weight, 2) / share.clamp_min(1e-12) for field in fields]
            details = [field - at_points(mean, 2, field.shape) for field, mean in zip(fields, means, strict=True)]
            total = total + part * self._score(details, weight)
            fields, weight, part = means, share, part / 2
        return total + part * self._score(fields, weight)

    def _of_waves(self, fields: list[Tensor], mask: Tensor) -> Tensor:
        """The score of the real and imaginary parts of the spectrum."""
        with torch.autocast(mask.device.type, enabled=False):
            waves = [torch.view_as_real(torch.fft.rfft2(field * self.rows.sqrt(), norm="ortho")) for field in fields]
        columns = multiplicity(mask.shape[-1]).to(self.rows).view(-1, 1)
        score = almost_fair_crps(waves[:-1], waves[-1], self.fair)
        field = (score * columns).mean(dim=(-3, -2, -1)) / columns.mean()
        share = self.weight(mask).mean(dim=(-2, -1))
        return shares(field, share)


def _mixed(fields: list[Tensor]) -> list[Tensor]:
    """Each variable of (B, L, C, H, W) fields turned by chance towards another; one that is not known adds nothing."""
    C = fields[0].shape[2]
    if C == 1:
        return fields
    angle, other = math.pi * torch.rand(()), torch.randperm(C).to(fields[0].device)
    return [angle.cos() * field + angle.sin() * field.index_select(2, other) for field in fields]


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
        scales: weight of the sum of the scores of each octave, means over blocks of 1, 2, 4, ... points less those
            over blocks twice as wide, of mixtures of two variables; each counts half of the one before.
        physical: weight of the score in physical units, of the variables that are learnt as logarithms or roots.
    """

    compares_members: ClassVar[bool] = True

    members: int = Field(2, ge=1, le=16)
    fair: float = Field(0.99, ge=0, le=1)
    spectral: NonNegativeFloat = 0.3
    scales: NonNegativeFloat = 0.0
    physical: NonNegativeFloat = 0.0

    def build(self, weights: Weights) -> LossModule:
        """The loss with these weights."""
        terms = {"spectral": self.spectral, "scales": self.scales, "physical": self.physical}
        return CRPSLoss(weights, members=self.members, fair=self.fair, **terms)
