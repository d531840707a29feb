"""Gaussian fields from white noise, by linear filters."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from weatherml.fields import Shape
from weatherml.nn.blocks import Conv
from weatherml.nn.padding import Padding, extend

BINOMIAL = (0.25, 0.5, 0.25)


class GaussianFields(nn.Module):
    """Sums of white noise and of what is left of it after smoothing over ever more points; nothing at first.

    The smoothing is an à-trous cascade of binomial filters (Shensa 1992, IEEE Trans. Signal Process. 40), at full
    resolution, so that no grid of coarse points shows in a field. A network with activations must find linear
    filters in pairs of its channels, and late.

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
            field, kernels = noise.float(), self.mix.weight.float().chunk(len(self.std), dim=1)
            drawn = functional.conv2d(field, kernels[0])
            for level, kernel in enumerate(kernels[1:]):
                field = binomial(field, 2**level, self.padding)
                drawn = drawn + functional.conv2d(field, kernel / self.std[level + 1])
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
    """Of white noise of unit variance after none, one, two, ... levels of smoothing, far from edges."""
    kernel, found = np.ones(1), [1.0]
    for level in range(levels):
        step = np.zeros(2 * 2**level + 1)
        step[:: 2**level] = BINOMIAL
        kernel = np.convolve(kernel, step)
        found.append(float((kernel**2).sum()))  # of either axis the root
    return found
