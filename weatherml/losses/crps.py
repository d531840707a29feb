"""The almost fair CRPS of a few members, in space and in the spectrum."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import torch
from pydantic import Field, NonNegativeFloat, PositiveInt
from torch import Tensor
from torch.nn import functional

from weatherml.fields import Fields
from weatherml.losses.base import LOSSES, LossConfig, LossModule, Weights, precise, shares
from weatherml.losses.spectral import multiplicity


class CRPSLoss(LossModule):
    """CRPS of M members: M rows of the prediction, side by side, belong to each row of the target.

    The spectral term is the same score of the real and imaginary parts of the orthonormal FFT, which sees how
    errors hang together in space.
    """

    def __init__(
        self, weights: Weights, *, members: int, fair: float, spectral: float, blocks: tuple[int, ...]
    ) -> None:
        super().__init__(weights)
        self.members, self.fair, self.spectral, self.blocks = members, fair, spectral, blocks

    def parts(self, prediction: Fields, target: Fields, mask: Tensor) -> Tensor:
        """(C,) shares in the score of (B * M, L, C, H, W) against (B, L, C, H, W)."""
        members = precise(prediction).view(len(target), -1, *target.shape[1:]).unbind(1)
        fields = [torch.where(mask, member, 0.0) / self.scale for member in (*members, precise(target))]
        total = self.mean(almost_fair_crps(fields[:-1], fields[-1], self.fair), mask)
        for size in self.blocks:
            if size <= min(mask.shape[-2:]):
                total = total + self._of_blocks(fields, mask, size) / size
        return total + self.spectral * self._of_waves(fields, mask) if self.spectral else total

    def _of_blocks(self, fields: list[Tensor], mask: Tensor, size: int) -> Tensor:
        """The score of the means over blocks of `size` x `size` points."""
        weight = self.weight(mask)
        share = _block_means(weight, size)
        means = [_block_means(field * weight, size) / share.clamp_min(1e-12) for field in fields]
        return shares(almost_fair_crps(means[:-1], means[-1], self.fair), share)

    def _of_waves(self, fields: list[Tensor], mask: Tensor) -> Tensor:
        """The score of the real and imaginary parts of the spectrum."""
        with torch.autocast(mask.device.type, enabled=False):
            waves = [torch.view_as_real(torch.fft.rfft2(field * self.rows.sqrt(), norm="ortho")) for field in fields]
        columns = multiplicity(mask.shape[-1]).to(self.rows).view(-1, 1)
        score = almost_fair_crps(waves[:-1], waves[-1], self.fair)
        field = (score * columns).mean(dim=(-3, -2, -1)) / columns.mean()
        share = self.weight(mask).mean(dim=(-2, -1))
        return shares(field, share)


def _block_means(fields: Tensor, size: int) -> Tensor:
    """Means over blocks of size x size points of (..., H, W); what is left at the ends makes smaller blocks."""
    means = functional.avg_pool2d(fields.flatten(0, -4), size, ceil_mode=True, count_include_pad=False)
    return means.view(*fields.shape[:-2], *means.shape[-2:])


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
        blocks: widths of blocks whose means are scored too, each divided by its width, about the error with which
            a batch shows it. The score of points alone hardly sees over what distances members differ.
    """

    compares_members: ClassVar[bool] = True

    members: int = Field(2, ge=1, le=16)
    fair: float = Field(0.99, ge=0, le=1)
    spectral: NonNegativeFloat = 0.3
    blocks: tuple[PositiveInt, ...] = ()

    def build(self, weights: Weights) -> LossModule:
        """The loss with these weights."""
        return CRPSLoss(weights, members=self.members, fair=self.fair, spectral=self.spectral, blocks=self.blocks)
