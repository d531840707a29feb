"""Error of Fourier amplitudes, so that a forecast keeps the fine scales that a mean error blurs away."""

from __future__ import annotations

import torch
from torch import Tensor

from weatherml.fields import Fields
from weatherml.losses.base import LOSSES, FieldLoss, LossConfig, LossModule, Weights, precise, weighted


class SpectralLoss(FieldLoss):
    """Mean over wavenumbers of | |F(prediction)| - |F(target)| |, F the orthonormal two-dimensional FFT.

    The amplitudes are those of the states, in units of one step's change. By Parseval's theorem an error
    that is white noise weighs here as it does in the mean absolute error. Masked points are 0, the training
    mean, in both; area weights enter as their root, so that the power is weighted by area.
    """

    def sums(self, prediction: Fields, target: Fields, mask: Tensor) -> Tensor:
        """The mean over wavenumbers, of fields weighted by their variable and share of known points."""
        difference = (self._amplitude(prediction, mask) - self._amplitude(target, mask)).abs()
        columns = multiplicity(mask.shape[-1]).to(difference)
        field = (difference * columns).mean(dim=(-2, -1)) / columns.mean()
        known = self.weight(mask).mean(dim=(-2, -1))
        return weighted(field, known)[None]

    def _amplitude(self, state: Fields, mask: Tensor) -> Tensor:
        with torch.autocast(state.device.type, enabled=False):
            known = torch.where(mask, precise(state), 0.0) * self.rows.sqrt() / self.scale
            transformed: Tensor = torch.fft.rfft2(known, norm="ortho")
        return transformed.abs()  # of complex numbers: the gradient at 0 is 0, not NaN


def multiplicity(width: int) -> Tensor:
    """How often each column of a half-plane stands in the full plane: twice, save wavenumber 0 and Nyquist."""
    count = torch.full((width // 2 + 1,), 2.0)
    count[0] = 1.0
    if width % 2 == 0:
        count[-1] = 1.0
    return count


@LOSSES.register("spectral")
class Spectral(LossConfig):
    """Mean absolute difference of Fourier amplitudes; blind to where things are."""

    def build(self, weights: Weights) -> LossModule:
        """The loss with these weights."""
        return SpectralLoss(weights)
