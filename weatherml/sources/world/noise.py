"""Spatially correlated Gaussian noise, white in time."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
Blend = tuple[tuple[float, float], ...]
"""Pairs of (length in cells, standard deviation): independent parts that add up to one field."""


@lru_cache(maxsize=16)
def amplitudes(shape: tuple[int, int], blends: tuple[Blend, ...]) -> Array:
    """The square roots of N spectra on rfft2's half plane, (N, H, W // 2 + 1) float32.

    A part of length l has the spectrum exp(-k² l²), so its correlation at distance d is exp(-d² / 4l²).
    """
    ky = 2 * np.pi * np.fft.fftfreq(shape[0])[:, None]
    kx = 2 * np.pi * np.fft.fftfreq(shape[1])[None, :]
    spectra = np.zeros((len(blends), *shape))
    for index, blend in enumerate(blends):
        for length, deviation in blend:
            part = np.exp(-(ky**2 + kx**2) * length**2)
            spectra[index] += deviation**2 * part / part.mean()
    return np.asarray(np.sqrt(spectra)[..., : shape[1] // 2 + 1], dtype=np.float32)


def correlated(rng: np.random.Generator, shape: tuple[int, ...], blends: tuple[Blend, ...]) -> Array:
    """Draw (*lead, N, H, W) float32 for `shape` (*lead, H, W) and N blends; opposite edges are neighbours."""
    import scipy.fft  # noqa: PLC0415 - slow to import

    *lead, height, width = shape
    white = rng.standard_normal((*lead, len(blends), height, width), dtype=np.float32)
    spectrum = scipy.fft.rfft2(white) * amplitudes((height, width), blends)
    return np.asarray(scipy.fft.irfft2(spectrum, s=(height, width)))
