"""What a denoising network is told of the noisy field: itself, its finest detail, and its means over blocks."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from weatherml.fields import Shape
from weatherml.nn.blocks import Conv
from weatherml.nn.inputs import smooth
from weatherml.nn.padding import Padding
from weatherml.nn.pooling import at_points, block_means

WIDE_VARIANCE = 0.25
"""What the mean of a clean y over a block varies, about."""
FINE_VARIANCE = 0.01
"""What a clean y varies about the mean of 3 x 3 points, where it is smooth."""
FINEST = 10.0
"""The largest detail: a rough y's is many times that of a smooth one."""
FILTERS, SIDE = 4, 5
"""Linear filters for each field, of so many points to a side."""


class NoisyViews(nn.Module):
    """Views of noisy y, each (B, L*C, H, W) and of about unit variance at every level.

    Where ties are, next to the first shower, a field is not smooth: of variables with ties the detail is 0, and no
    filter takes from them.

    Args:
        shape: the data's.
        wide: sides of blocks, in points, over which means are taken.
        fine: with the finest detail, and linear filters of it beside the network.
        vector: width of the noise level's.
        padding: beyond the edges.

    Attributes:
        channels: of all views.
    """

    untied: Tensor

    def __init__(self, shape: Shape, *, wide: Sequence[int], fine: bool, vector: int, padding: Padding) -> None:
        super().__init__()
        fields = shape.lead * shape.channels
        self.wide, self.padding = tuple(wide), padding
        self.channels = (1 + fine + len(self.wide)) * fields
        self.register_buffer("untied", shape.untied, persistent=False)
        self.filters = LevelFilters(fields, vector=vector, padding=padding) if fine else None

    def forward(self, noisy: Tensor, sigma: Tensor) -> list[Tensor]:
        """The views of y, (B, L*C, H, W), at levels (B, 1, 1, 1)."""
        whole = noisy * (1 + sigma.square()).rsqrt()
        fine = [] if self.filters is None else [self.untied * fine_detail(noisy, sigma, self.padding)]
        return [whole, *fine, *wide_means(noisy, sigma, self.wide)]

    def filtered(self, views: Sequence[Tensor], level: Tensor) -> Tensor | float:
        """What the filters add to a network's output, (B, L*C, H, W) in float32."""
        return (
            0.0 if self.filters is None else self.untied * self.filters(torch.cat([*views[:2]], dim=1), level).float()
        )


class LevelFilters(nn.Module):
    """Linear filters, each weighed by the noise level: the Wiener filter is one; nothing at first.

    Smooth fields have next to no power in the shortest waves, so all that is there is noise. A network learns to take
    it away point by point and late, from the few cases that it sees at low levels; what it leaves is grain in each
    sample. A linear filter needs few cases.

    Args:
        fields: L*C.
        vector: width of the noise level's.
        padding: beyond the edges.
    """

    def __init__(self, fields: int, *, vector: int, padding: Padding) -> None:
        super().__init__()
        self.bank = Conv(2 * fields, FILTERS * fields, SIDE, padding=padding, bias=False)
        self.gain = Conv(vector, FILTERS * fields, 1, padding=Padding(), zero=True)
        self.mix = Conv(FILTERS * fields, fields, 1, padding=padding, zero=True, bias=False)

    def forward(self, views: Tensor, level: Tensor) -> Tensor:
        """(B, L*C, H, W), from y and its detail, (B, 2*L*C, H, W), and the level's vector (B, vector, 1, 1)."""
        filtered: Tensor = self.mix(self.bank(views) * (1 + self.gain(level)))
        return filtered


def fine_detail(noisy: Tensor, sigma: Tensor, padding: Padding) -> Tensor:
    """The difference of each point of noisy y, (B, L*C, H, W), from the mean of 3 x 3, over what noise makes of it.

    At low levels noise is small beside y, and in bfloat16 next to nothing is left of it.
    """
    kept = 8 / 9  # of the variance of white noise
    detail = (noisy - smooth(noisy, padding)) / (FINE_VARIANCE + kept * sigma.square()).sqrt()
    return detail.clamp(-FINEST, FINEST)


def wide_means(noisy: Tensor, sigma: Tensor, sides: Sequence[int]) -> list[Tensor]:
    """Means over blocks of the noisy y, each of about unit variance at every level, as (B, L*C, H, W).

    At the levels that decide the large waves these are a hundredth of the noise of a point, and a network of few
    convolutions tells badly apart what is near in wavenumber: of the domain's mean half the variance was drawn, of the
    waves after it too much. In the mean over a block they are as large as its noise.

    Args:
        noisy: y, (B, L*C, H, W).
        sigma: (B, 1, 1, 1).
        sides: of the blocks, in points.
    """
    stds = ((WIDE_VARIANCE + (sigma / side).square()).sqrt() for side in sides)
    return [at_points(block_means(noisy, side) / std, side, noisy.shape) for side, std in zip(sides, stds, strict=True)]
