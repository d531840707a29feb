"""A U-Net (Ronneberger et al. 2015, arXiv 1505.04597) of residual blocks, for any grid size."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Sequence
from functools import partial
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from weatherml.errors import ConfigError
from weatherml.nn.attention import SelfAttention
from weatherml.nn.blocks import NORMS, Activated, Conv, Down, NormKind, ResidualBlock, Stage, Up
from weatherml.nn.padding import Padding, pad_to_multiple
from weatherml.nn.recompute import Checkpointing, Recomputing, set_checkpointing
from weatherml.nn.tiled import Part
from weatherml.nn.tiles import Tiling

TILE_NUMBERS = 5 * 2**19
"""Of one tensor of a tile without its halo, where a network goes tile by tile: 256 x 256 points of 40 channels."""


class UNet(Recomputing):
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
        norm: of every block, see `ResidualBlock`.
        condition: of every residual block, see `ResidualBlock`; None takes none.
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
        norm: NormKind = "group",
        condition: Callable[[int], nn.Module] | None = None,
    ) -> None:
        super().__init__()

        def stage(level: int) -> Stage:
            settings: Any = {"padding": padding, "dropout": dropout, "norm": norm, "condition": condition}
            residual = [ResidualBlock(widths[level], **settings) for _ in range(blocks)]
            return Stage(*residual, *([SelfAttention(widths[level], norm=norm)] if level in attention else []))

        levels = range(len(widths))
        self.padding, self.blocks, self.widths = padding, blocks, tuple(widths)
        self.pools = norm == "group" or bool(attention)
        self.cuttable = norm != "group" and set(attention) <= {levels[-1]}
        self.tiling: Tiling | None = None
        self.stem = Conv(inputs, widths[0], padding=padding)
        self.encoder = nn.ModuleList(stage(level) for level in levels)
        self.downs = nn.ModuleList(Down(fine, coarse, padding=padding) for fine, coarse in pairwise(widths))
        self.decoder = nn.ModuleList(stage(level) for level in levels)
        self.ups = nn.ModuleList(Up(coarse, fine, padding=padding) for fine, coarse in pairwise(widths))
        last = Conv(widths[0], outputs, padding=padding, zero=zero)
        self.head = Activated(NORMS[norm](widths[0]), nn.SiLU(), last)

    def forward(self, x: Tensor, condition: Tensor | None = None) -> Tensor:
        """Pad to whole coarse points, go down and up, crop to the grid again.

        Args:
            x: (B, inputs, H, W).
            condition: (B, E, 1, 1), one vector for all points, or (B, E, H, W), a map of white noise that every
                level sees at its own resolution.
        """
        height, width = x.shape[-2:]
        if torch.is_autocast_enabled(x.device.type):
            x = x.to(torch.get_autocast_dtype(x.device.type))  # as the stem would, but before the copy with its edges
        x = self._whole(x)
        if condition is not None and condition.shape[-2:] != (1, 1):
            condition = self._whole(condition)
        if self.tiling is None:
            out = self.compute(x, condition)
        else:
            out = self.tiling.aligned(2 ** len(self.downs)).run(self.compute, x, condition, self.padding)
        return out[..., :height, :width]

    @property
    def reach(self) -> int:
        """Points to each side that an output point can see, attention apart: the halo that tiles need."""
        levels = [4 * self.blocks + 2 << level for level in range(len(self.encoder))]
        return sum(levels) + (1 << len(self.downs))  # the last: what pooling and interpolation reach over

    def compute(self, x: Tensor, condition: Tensor | None = None) -> Tensor:
        """The output on the whole of `x` at once, whose size divides into coarse points."""
        if self.checkpointing == "tiles":
            return self._in_tiles(x, self._conditions(condition))
        fine, *coarser = self._conditions(condition)
        x = self.encoder[0](self.stem(x), fine)
        skips = []
        for down, stage, level in zip(self.downs, self.encoder[1:], coarser, strict=True):
            skips.append(x)
            x = stage(down(x), level)
        levels = [fine, *coarser]
        x = self.decoder[-1](x, levels.pop())
        for up, stage in zip(reversed(self.ups), reversed(self.decoder[:-1]), strict=True):
            x = stage(up(x) + skips.pop(), levels.pop())
        out: Tensor = self.head(x)
        return out

    def set_checkpointing(self, level: Checkpointing) -> None:
        """Choose what is kept for the backward pass.

        In tiles, the blocks of a tile keep their convolutions' outputs, and the coarsest level goes block by block.

        Raises:
            ConfigError: tiles of what pools over the whole domain.
        """
        if level == "tiles" and not self.cuttable:
            raise ConfigError(
                "train.checkpointing: tiles of a network that pools over the whole domain (model.norm=group, or "
                "attention above the coarsest level) would differ; take blocks, or model.norm=point"
            )
        super().set_checkpointing("activations" if level == "tiles" else level)
        self.checkpointing = level
        if level == "tiles":
            for stage in (self.encoder[-1], self.decoder[-1]):
                set_checkpointing(stage, "blocks")

    def _in_tiles(self, x: Tensor, conditions: list[Tensor | None]) -> Tensor:
        """The same as `compute`, each level from its input tile by tile, down and up.

        On the way up a tile computes its skip connection again: no tensor of a level's width exists whole, save what
        enters and leaves the level.
        """
        entered, bottom = [], len(self.downs)
        for level in range(bottom):
            entered.append(x)
            inward = [*self._inward(level), self.downs[level]]
            x = self._part(level, self._descend, inward).run(x, conditions[level])
        x = self._ascend(bottom, x, conditions[bottom])
        for level in reversed(range(bottom)):
            outward = [*self._inward(level), self.ups[level], self.decoder[level], *([] if level else [self.head])]
            x = self._part(level, self._ascend, outward).run(entered.pop(), conditions[level], x)
        return x

    def _descend(self, level: int, x: Tensor, condition: Tensor | None) -> Tensor:
        """What enters the next coarser level."""
        down: Tensor = self.downs[level](self._encoded(level, x, condition))
        return down

    def _ascend(self, level: int, x: Tensor, condition: Tensor | None, below: Tensor | None = None) -> Tensor:
        """What leaves the level, from what entered it and what left the coarser one."""
        x = self._encoded(level, x, condition)
        if below is not None:
            x = self.ups[level](below) + x
        x = self.decoder[level](x, condition)
        return self.head(x) if level == 0 else x

    def _encoded(self, level: int, x: Tensor, condition: Tensor | None) -> Tensor:
        x = self.stem(x) if level == 0 else x
        encoded: Tensor = self.encoder[level](x, condition)
        return encoded

    def _inward(self, level: int) -> list[nn.Module]:
        return [self.encoder[level], *([] if level else [self.stem])]

    def _part(self, level: int, compute: Callable[..., Tensor], modules: list[nn.Module]) -> Part:
        size = math.isqrt(TILE_NUMBERS // self.widths[level])
        tiling = Tiling(size=size, halo=4 * self.blocks + 2).aligned(2)
        return Part(compute=partial(compute, level), modules=modules, tiling=tiling, padding=self.padding)

    def _whole(self, x: Tensor) -> Tensor:
        return pad_to_multiple(x, 2 ** len(self.downs), self.padding)

    def _conditions(self, condition: Tensor | None) -> list[Tensor | None]:
        """The condition of each level, full resolution first."""
        if condition is None or condition.shape[-2:] == (1, 1):
            return [condition] * (len(self.downs) + 1)
        levels = [condition]
        for _ in self.downs:
            levels.append(2 * functional.avg_pool2d(levels[-1], 2))  # the mean of four, at variance one again
        return [*levels]


def set_tiling(model: nn.Module, size: int) -> None:
    """Let every U-Net of a model work through its domain in tiles of `size` points, with the halo that it needs.

    Raises:
        ConfigError: a network that pools over the whole domain, or is none of these.
    """
    networks = [module for module in model.modules() if isinstance(module, UNet)]
    if not networks or any(network.pools for network in networks):
        raise ConfigError(
            "tile: the network pools over the whole domain (model.norm=group or attention), so tiles would differ; "
            "leave it out, or train with model.norm=point and without attention"
        )
    for network in networks:
        network.tiling = Tiling(size=size, halo=network.reach)
