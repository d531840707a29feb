"""Means over blocks."""

from __future__ import annotations

import pytest
import torch

from weatherml.nn.pooling import at_points, block_means


@pytest.mark.parametrize("size", [(8, 8), (7, 5), (3, 9), (1, 1)])
@pytest.mark.parametrize("side", [1, 2, 4, 16])
def test_every_point_finds_the_mean_of_its_block(size: tuple[int, int], side: int) -> None:
    fields = torch.randn(2, 3, *size, generator=torch.Generator().manual_seed(0))
    found = at_points(block_means(fields, side), side, fields.shape)
    for row in range(size[0]):
        for column in range(size[1]):
            top, left = row - row % side, column - column % side
            block = fields[..., top : top + side, left : left + side]
            torch.testing.assert_close(found[..., row, column], block.mean((-2, -1)))


def test_leading_dimensions_are_kept() -> None:
    assert block_means(torch.zeros(2, 3, 4, 6, 6), 4).shape == (2, 3, 4, 2, 2)
