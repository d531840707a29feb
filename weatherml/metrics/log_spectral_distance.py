"""Log spectral distance between the power spectra of forecast and truth, in dB."""

from __future__ import annotations

from functools import lru_cache
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import scipy.fft
import torch
from torch import Tensor

from weatherml.fields import Fields
from weatherml.metrics.base import METRICS, Metric, Statistics
from weatherml.metrics.once import once
from weatherml.metrics.reduce import members

Array = npt.NDArray[Any]
LIMIT_DB = 60.0
PLANE = (-2, -1)
TOGETHER = 1 << 17
"""Points of several leads at once: on small grids a call costs more than its work."""


@METRICS.register("log_spectral_distance")
class LogSpectralDistance(Metric):
    """10 sqrt(mean over wavenumbers of log10(P_forecast / P_truth)^2), in dB.

    Spectra are summed over cases and members first (an ensemble mean would look blurred). A bin without
    power in both fields is left out; without power in one, its ratio counts as 60 dB, the most that
    any bin can count. A case with more than half of its points unknown is left out.
    """

    units: ClassVar[str | None] = "dB"
    by_condition: ClassVar[bool] = False

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
    fields, known = members(values).numpy(), mask.numpy()
    size = max(1, TOGETHER // known[0].size)
    starts = range(0, len(fields), size)
    return torch.from_numpy(np.concatenate([mean_power(fields[i : i + size], known[i : i + size]) for i in starts]))


def mean_power(fields: Array, known: Array) -> Array:
    """The mean spectra (L, N // 2) of fields (L, M, H, W) known at (L, H, W), one member at a time."""
    shape = known.shape[-2:]
    lengths = fast_lengths(*shape)
    window = np.outer(*(np.hanning(size + 2)[1:-1] for size in shape)).astype(fields.dtype)
    power = np.zeros((len(fields), lengths[0], lengths[1] // 2 + 1), fields.dtype)
    for field in fields.swapaxes(0, 1):
        waves = scipy.fft.rfft2(detrend(anomaly(field, known)) * window, lengths)
        power += np.square(waves.real)
        power += np.square(waves.imag)
    padding = np.prod(lengths) / np.prod(shape)  # as much finer are the wavenumbers
    sums = np.stack([radial_sum(each, lengths[1], min(shape)) for each in power])
    return np.asarray(sums / (fields.shape[1] * padding))


def fast_lengths(*shape: int) -> tuple[int, ...]:
    """Sizes at or just above `shape` without large prime factors: padded to them, a transform is five times faster."""
    return tuple(scipy.fft.next_fast_len(size, real=True) for size in shape)


def anomaly(field: Array, known: Array) -> Array:
    """Difference of (L, H, W) from the mean of the known points, 0 at unknown ones; constant fields are 0."""
    valid = field if known.all() else np.where(known, field, 0)
    mean = valid.sum(PLANE, dtype=np.float64, keepdims=True) / np.maximum(known.sum(PLANE, keepdims=True), 1)
    rest: Array = valid - mean.astype(field.dtype)
    if valid is not field:
        rest *= known
    most = np.maximum(rest.max(PLANE, keepdims=True), -rest.min(PLANE, keepdims=True))
    rest *= most > 1e-6 * np.abs(mean)  # the rest is rounding
    return rest


def detrend(field: Array) -> Array:
    """(L, H, W) less the least-squares planes; the axes of a full grid are orthogonal, so one after the other."""
    down, along = _slope(field.mean(-1))[..., None], _slope(field.mean(-2))[..., None, :]
    mean = field.mean(PLANE, dtype=np.float64, keepdims=True).astype(field.dtype)
    return np.asarray(field - (down + mean) - along)


def _slope(profile: Array) -> Array:
    """The least-squares line, without its mean, through each of the means along an axis (L, N)."""
    ramp = np.linspace(-1, 1, profile.shape[-1], dtype=profile.dtype)
    return np.asarray((profile * ramp).mean(-1, keepdims=True) / max(np.square(ramp).mean(), 1e-12) * ramp)


def radial_sum(power: Array, width: int, size: int) -> Array:
    """Sum (H, W // 2 + 1) of one half-plane over rings of 1 .. size // 2 cycles per `size` cells: (size // 2,) float64.

    Args:
        power: of the transform along rows of `width` cells.
        width: W.
        size: the cells that wavenumbers count in.
    """
    # columns between the first and the Nyquist one stand for their mirror images too
    k_x = np.fft.rfftfreq(width)
    twice = np.where((k_x > 0) & (k_x < 0.5), 2.0, 1.0)
    sums = np.bincount(rings(len(power), width, size), (power * twice).ravel(), minlength=size // 2 + 1)
    return sums[1 : size // 2 + 1]


@lru_cache(maxsize=1)
def rings(height: int, width: int, size: int) -> Array:
    """The ring of each wave of a half-plane, (H (W // 2 + 1),) int64: cycles per `size` cells, rounded."""
    k_y, k_x = np.fft.fftfreq(height) * size, np.fft.rfftfreq(width) * size
    return np.asarray(np.hypot(k_y[:, None], k_x).round().astype(np.int64).ravel())
