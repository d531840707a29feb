"""Means over blocks of points, and back."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor
from torch.nn import functional


def block_means(fields: Tensor, side: int) -> Tensor:
    """Means over `side` x `side` points of (..., H, W); what is left at the ends makes smaller blocks."""
    height, width = fields.shape[-2:]
    size = min(side, height), min(side, width)
    means = functional.avg_pool2d(fields.flatten(0, -4), size, ceil_mode=True, count_include_pad=False)
    return means.view(*fields.shape[:-2], *means.shape[-2:])


def at_points(means: Tensor, side: int, size: Sequence[int]) -> Tensor:
    """Each mean of `block_means` at all points of its block, (..., H, W) of `size`."""
    return means.repeat_interleave(side, -2).repeat_interleave(side, -1)[..., : size[-2], : size[-1]]
