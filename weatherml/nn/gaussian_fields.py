"""Gaussian fields from white noise, by linear filters."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from weatherml.fields import Shape
from weatherml.nn.blocks import Conv
from weatherml.nn.padding import Padding, extend

BINOMIAL = (0.25, 0.5, 0.25)
GAIN = 5.0
"""What a weight counts: a step of the optimizer is that much more of a field."""


class GaussianFields(nn.Module):
    """Sums of white noise's details, from the finest to what is left of it after the last smoothing; nothing at first.

    The smoothing is an à-trous cascade of binomial filters (Shensa 1992, IEEE Trans. Signal Process. 40), at full
    resolution, so that no grid of coarse points shows in a field; a detail is what one of them takes away. A network
    with activations must find linear filters in pairs of its channels, and late. So would the weights: of all that is
    smoothed, since a band would be a small difference of large weights, and without the gain.

    Args:
        maps: of white noise.
        shape: the data's; its variables with ties have none, since what adds to all points adds to dry ones too.
        levels: of smoothing; the widest has a standard deviation of about 2**levels / 2.4 points.
        padding: beyond the edges.
    """

    std: Tensor
    untied: Tensor

    def __init__(self, maps: int, shape: Shape, *, levels: int, padding: Padding) -> None:
        super().__init__()
        self.padding = padding
        self.mix = Conv((levels + 1) * maps, shape.lead * shape.channels, 1, padding=padding, zero=True, bias=False)
        self.register_buffer("untied", shape.untied, persistent=False)
        self.register_buffer("std", torch.tensor(standard_deviations(levels)), persistent=False)

    def forward(self, noise: Tensor) -> Tensor:
        """(B, L*C, H, W) from white noise of unit variance, (B, maps, H, W); in float32 also under autocast."""
        with torch.autocast(noise.device.type, enabled=False):
            field, kernels = noise.float(), (GAIN * self.mix.weight.float()).chunk(len(self.std), dim=1)
            drawn: Tensor | float = 0.0
            for level, kernel in enumerate(kernels[:-1]):
                smooth = binomial(field, 2**level, self.padding)
                drawn = drawn + functional.conv2d(field - smooth, kernel / self.std[level])
                field = smooth
            drawn = drawn + functional.conv2d(field, kernels[-1] / self.std[-1])
        return self.untied * drawn


def binomial(fields: Tensor, stride: int, padding: Padding) -> Tensor:
    """(B, channels, H, W) smoothed by the binomial filter of three points, `stride` apart, along either axis."""
    for dim, mode in padding.axes:
        size = fields.shape[dim]
        wide = extend(fields, stride, stride, dim=dim, mode="circular" if mode == "circular" else "reflect")
        parts = [weight * wide.narrow(dim, k * stride, size) for k, weight in enumerate(BINOMIAL)]
        fields = parts[0] + parts[1] + parts[2]
    return fields


def standard_deviations(levels: int) -> list[float]:
    """Of each level's detail of white noise of unit variance, and of what is left; far from edges."""
    kernels = [np.ones(1)]
    for level in range(levels):
        step = np.zeros(2 * 2**level + 1)
        step[:: 2**level] = BINOMIAL
        kernels.append(np.convolve(kernels[-1], step))
    details = [
        np.pad(np.outer(fine, fine), (len(wide) - len(fine)) // 2) - np.outer(wide, wide)
        for fine, wide in pairwise(kernels)
    ]
    left = np.outer(kernels[-1], kernels[-1])
    return [float(np.sqrt((each**2).sum())) for each in (*details, left)]
