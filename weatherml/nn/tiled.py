"""A part of a network computed tile by tile, forward and backward: only one tile's activations exist at a time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from weatherml.nn.padding import Padding
from weatherml.nn.recompute import Surroundings
from weatherml.nn.tiles import Tile, Tiling, fused

Compute = Callable[..., Tensor]


@dataclass(frozen=True, kw_only=True)
class Part:
    """A part of a network whose output at a point depends on what lies within a halo.

    Attributes:
        compute: from the inputs to (B, C, h, w), at the resolution of the first input or at half of it.
        modules: those that it calls: the gradients of their parameters are returned, so that hooks on them fire once.
        tiling: how the first input is cut; sizes and halo are even.
        padding: what lies beyond the domain's edges.
    """

    compute: Compute
    modules: Sequence[nn.Module]
    tiling: Tiling
    padding: Padding

    def run(self, *inputs: Tensor | None) -> Tensor:
        """The output on the whole domain; gradients reach inputs and parameters.

        Inputs are (B, C, H, W) at the resolution of the first or a half of it, (B, C, 1, 1) which all tiles see whole,
        or None. They are all that is kept for the backward pass.
        """
        parameters = [p for module in self.modules for p in module.parameters() if p.requires_grad]
        out: Tensor = _Tiled.apply(self, len(inputs), *inputs, *parameters)  # type: ignore[no-untyped-call]
        return out

    def tiles(self, inputs: Sequence[Tensor | None]) -> list[Tile]:
        """Those of the first input."""
        assert inputs[0] is not None
        height, width = inputs[0].shape[-2:]
        return list(self.tiling.tiles(height, width, self.padding))


class _Tiled(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, part: Part, count: int, *tensors: Tensor | None) -> Tensor:
        inputs = tensors[:count]
        assert inputs[0] is not None
        ctx.part, ctx.count, ctx.surroundings = part, count, Surroundings.of(inputs[0])
        ctx.save_for_backward(*tensors)
        with ctx.surroundings.cast():
            return fused((tile, part.compute(*_cuts(tile, inputs))) for tile in part.tiles(inputs))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        part, count, wanted = ctx.part, ctx.count, ctx.needs_input_grad[2:]
        tensors: tuple[Tensor | None, ...] = ctx.saved_tensors
        totals = {index: torch.zeros_like(x) for index, x in enumerate(tensors) if x is not None and wanted[index]}
        with ctx.surroundings.restored():
            for tile in part.tiles(tensors[:count]):
                cuts = [
                    x if x is None else x.requires_grad_(asked)
                    for x, asked in zip(_cuts(tile, tensors[:count]), wanted, strict=False)
                ]
                for index, new in _gradients(part, tile, cuts, tensors[count:], gradient).items():
                    if index < count:
                        tile.add(totals[index], new)
                    else:
                        totals[index].add_(new)
        return None, None, *(totals.get(index) for index in range(len(tensors)))


def _cuts(tile: Tile, inputs: Sequence[Tensor | None]) -> list[Tensor | None]:
    """What the tile sees of each input, apart from the graph that it came from."""
    return [None if x is None else tile.cut(x).detach() for x in inputs]


def _gradients(
    part: Part, tile: Tile, cuts: Sequence[Tensor | None], parameters: Sequence[Tensor | None], gradient: Tensor
) -> dict[int, Tensor]:
    """What a tile adds to the gradients of the cuts and parameters, by their place among them."""
    with torch.enable_grad():
        views = [None if x is None else x.view_as(x) for x in cuts]  # torch's module trackers do not take leaves here
        piece = tile.inner(part.compute(*views))
    asked = {index: x for index, x in enumerate([*cuts, *parameters]) if x is not None and x.requires_grad}
    outer = tile.kept(gradient).to(piece.dtype)
    found = torch.autograd.grad(piece, list(asked.values()), outer, allow_unused=True)
    return {index: new for index, new in zip(asked, found, strict=True) if new is not None}
