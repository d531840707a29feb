"""A gain for each band of wavenumbers."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from weatherml.nn.padding import Padding

FINEST = 0.5
"""Cycles a point of the finest waves along an axis."""
A_BAND = 2
"""Bands of an octave."""


class Equalizer(nn.Module):
    """Multiplies the waves of each field by a gain for their wavenumber; calibration fits it, and all are 1 before.

    Gains stand half an octave apart, from the whole domain to two points, and are linear in the logarithm between.
    Where edges do not meet, fields go on beyond them as in a mirror, as in a cosine transform. It is no convolution of
    a few points: it is for the whole domain, not for a tile.

    Args:
        untied: (fields, 1, 1), 0 for those with ties, whose gains stay 1: what is dry would not stay dry.
        size: of the domain in points, along the longer side.
        padding: tells which edges meet.

    Attributes:
        gains: (bands, fields), from the widest waves to the finest.
    """

    gains: Tensor
    untied: Tensor

    def __init__(self, untied: Tensor, *, size: int, padding: Padding) -> None:
        super().__init__()
        bands = 1 + max(1, math.ceil(A_BAND * math.log2(max(size, 2) * FINEST)))
        self.mirrored = [dim for dim, mode in padding.axes if mode != "circular"]
        self.register_buffer("gains", torch.ones(bands, len(untied)), persistent=False)
        self.register_buffer("untied", untied.flatten(), persistent=False)

    def forward(self, fields: Tensor) -> Tensor:
        """(B, fields, H, W); in float32 also under autocast, and exactly what came where all gains of a field are 1."""
        height, width = fields.shape[-2:]
        with torch.autocast(fields.device.type, enabled=False):
            endless = self._endless(fields.float())
            waves = torch.fft.rfft2(endless)
            band, part = self._bands(endless, torch.fft.rfftfreq(endless.shape[-1]))
            more = self.gains.T - 1
            change = waves * torch.lerp(more[:, band], more[:, band + 1], part)
            changed: Tensor = torch.fft.irfft2(change, s=endless.shape[-2:])
            return fields + changed[..., :height, :width]

    def power(self, fields: Tensor) -> Tensor:
        """(B, bands, fields), the sum over points of the squares of each band of (B, fields, H, W)."""
        endless = self._endless(fields.float())
        power = torch.fft.fft2(endless).abs().square() / endless[0, 0].numel() / 2 ** len(self.mirrored)
        band, part = self._bands(endless, torch.fft.fftfreq(endless.shape[-1]))
        sums: Tensor = power.new_zeros(len(self.gains), *power.shape[:2])
        sums.index_add_(0, band.flatten(), ((1 - part) * power).flatten(-2).movedim(-1, 0))
        sums.index_add_(0, band.flatten() + 1, (part * power).flatten(-2).movedim(-1, 0))
        return sums.movedim(0, 1)

    def _endless(self, fields: Tensor) -> Tensor:
        """The fields with their mirror images, where opposite edges do not meet."""
        for dim in self.mirrored:
            fields = torch.cat([fields, fields.flip(dim)], dim)
        return fields

    def _bands(self, fields: Tensor, along_x: Tensor) -> tuple[Tensor, Tensor]:
        """Of each wave, the band below it and how far it is from there to the next: 0 to 1."""
        along_y = torch.fft.fftfreq(fields.shape[-2])
        cycles = torch.hypot(along_y[:, None], along_x).to(fields.device).clamp_min(1e-9)
        last = len(self.gains) - 1
        place = (last + A_BAND * (cycles / FINEST).log2()).clamp(0, last)
        band = place.floor().clamp_max(last - 1)
        return band.long(), place - band
