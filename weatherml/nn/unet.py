"""A U-Net (Ronneberger et al. 2015, arXiv 1505.04597) of residual blocks, for any grid size."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from itertools import pairwise

from torch import Tensor, nn

from weatherml.nn.attention import SelfAttention
from weatherml.nn.blocks import Conv, Down, Norm, ResidualBlock, Up
from weatherml.nn.padding import Padding, pad_to_multiple


class UNet(nn.Module):
    """From (B, inputs, H, W) to (B, outputs, H, W).

    Each level has an encoder stage on the way down and a decoder stage on the way up; the skip
    connection is added, not concatenated: the widest tensors are those of full resolution, and a
    concatenation would double them.

    Args:
        inputs: channels in.
        outputs: channels out.
        widths: channels of each level, full resolution first.
        blocks: residual blocks of a stage.
        padding: what lies beyond the edges, of the grid and of every level.
        dropout: share of activations dropped in each block.
        attention: the levels, 0 at full resolution, whose stages end with self-attention.
        zero: begin with an output of zero.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        *,
        widths: Sequence[int],
        blocks: int,
        padding: Padding,
        dropout: float = 0.0,
        attention: Collection[int] = (),
        zero: bool = False,
    ) -> None:
        super().__init__()

        def stage(level: int) -> nn.Sequential:
            residual = [ResidualBlock(widths[level], padding=padding, dropout=dropout) for _ in range(blocks)]
            return nn.Sequential(*residual, *([SelfAttention(widths[level])] if level in attention else []))

        levels = range(len(widths))
        self.padding = padding
        self.stem = Conv(inputs, widths[0], padding=padding)
        self.encoder = nn.ModuleList(stage(level) for level in levels)
        self.downs = nn.ModuleList(Down(fine, coarse, padding=padding) for fine, coarse in pairwise(widths))
        self.decoder = nn.ModuleList(stage(level) for level in levels)
        self.ups = nn.ModuleList(Up(coarse, fine, padding=padding) for fine, coarse in pairwise(widths))
        self.head = nn.Sequential(Norm(widths[0]), nn.SiLU(), Conv(widths[0], outputs, padding=padding, zero=zero))

    def forward(self, x: Tensor) -> Tensor:
        """Pad to whole coarse points, go down and up, crop to the grid again."""
        height, width = x.shape[-2:]
        x = self.encoder[0](self.stem(pad_to_multiple(x, 2 ** len(self.downs), self.padding)))
        skips = []
        for down, stage in zip(self.downs, self.encoder[1:], strict=True):
            skips.append(x)
            x = stage(down(x))
        x = self.decoder[-1](x)
        for up, stage in zip(reversed(self.ups), reversed(self.decoder[:-1]), strict=True):
            x = stage(up(x) + skips.pop())
        out: Tensor = self.head(x)
        return out[..., :height, :width]
