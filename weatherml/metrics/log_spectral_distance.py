"""Log spectral distance between the power spectra of forecast and truth, in dB."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor

from weatherml.fields import Fields
from weatherml.metrics.base import METRICS, Metric, Statistics
from weatherml.metrics.once import once
from weatherml.metrics.reduce import known

LIMIT_DB = 60.0


@METRICS.register("log_spectral_distance")
class LogSpectralDistance(Metric):
    """10 sqrt(mean over wavenumbers of log10(P_forecast / P_truth)^2), in dB.

    Spectra are summed over cases and members first (an ensemble mean would look blurred). A bin without
    power in both fields is left out; without power in one, its ratio counts as 60 dB, the most that
    any bin can count. A case with more than half of its points unknown is left out.
    """

    units: ClassVar[str | None] = "dB"

    def statistics(self, forecast: Fields, truth: Fields, mask: Tensor, rows: Tensor) -> Statistics:  # noqa: ARG002
        """The power of both at each radial wavenumber, (L, bins)."""
        enough = (mask.double().mean((-2, -1)) >= 0.5).unsqueeze(-1)
        power = {"forecast_power": power_spectrum(forecast, mask), "truth_power": power_spectrum(truth, mask)}
        return {name: torch.where(enough, spectrum, 0.0) for name, spectrum in power.items()}

    def value(self, sums: Statistics) -> Tensor:
        """The distance; NaN where no bin holds power."""
        forecast, truth = sums["forecast_power"], sums["truth_power"]
        decibel = (10 * (forecast / truth).log10()).clamp(-LIMIT_DB, LIMIT_DB)  # 0/0 is NaN and left out
        return decibel.square().nanmean(-1).sqrt()


@once
def power_spectrum(values: Fields, mask: Tensor) -> Tensor:
    """Power at radial wavenumbers 1 .. N/2 cycles per N = min(H, W) cells: (L, N // 2) float64.

    The field's plane is removed and the rest goes through a Hann window, since an archive's cut-out is not
    periodic. Unknown points take the mean of the known ones. Of members, the mean power.
    """
    mask = mask if values.ndim == mask.ndim else mask.unsqueeze(1)
    flat = detrend(anomaly(values, mask))
    window = torch.outer(*(torch.hann_window(size + 2, periodic=False)[1:-1] for size in flat.shape[-2:]))
    waves = torch.view_as_real(torch.fft.rfft2(flat * window))
    spectrum = radial_sum(waves.square().sum(-1), flat.shape[-1])
    return spectrum if values.ndim == 3 else spectrum.mean(1)


def anomaly(values: Fields, mask: Tensor) -> Fields:
    """Difference from the mean of the known points, 0 at unknown ones; a constant field is 0 everywhere."""
    valid = known(values, mask)
    count = mask.sum((-2, -1), keepdim=True).clamp_min(1)
    mean = (valid.sum((-2, -1), keepdim=True, dtype=torch.float64) / count).to(values.dtype)
    rest = known(valid - mean, mask)
    rounding = 1e-6 * mean.abs()
    return torch.where(rest.abs().amax((-2, -1), keepdim=True) > rounding, rest, 0)


def detrend(values: Fields) -> Fields:
    """The field less its least-squares plane; the axes of a full grid are orthogonal, so one after the other."""
    for axis in (-2, -1):
        ramp = torch.linspace(-1, 1, values.shape[axis], dtype=values.dtype)
        profile = values.mean(-3 - axis)  # along this axis: the mean over the other one
        slope = (profile * ramp).mean(-1, keepdim=True) / ramp.square().mean().clamp_min(1e-12)
        plane = slope * ramp
        values = values - (plane.unsqueeze(-1) if axis == -2 else plane.unsqueeze(-2))
    return values - values.mean((-2, -1), keepdim=True)


def radial_sum(power: Tensor, width: int) -> Tensor:
    """Sum (..., H, W // 2 + 1) of one half-plane over rings of wavenumber: (..., min(H, W) // 2) float64."""
    height = power.shape[-2]
    size = min(height, width)
    k_y = torch.fft.fftfreq(height).unsqueeze(-1) * size
    k_x = torch.fft.rfftfreq(width) * size
    ring = (k_y.square() + k_x.square()).sqrt().round().long().flatten()
    # columns between the first and the Nyquist one stand for their mirror images too
    twice = torch.where((k_x > 0) & (k_x < size / 2), 2.0, 1.0)
    flat = (power * twice).flatten(-2).flatten(0, -2).T.double().contiguous()
    sums = torch.zeros(int(ring.max()) + 1, flat.shape[1], dtype=torch.float64).index_add_(0, ring, flat)
    return sums[1 : size // 2 + 1].T.reshape(*power.shape[:-2], size // 2)
