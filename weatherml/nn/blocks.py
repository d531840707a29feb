"""The building blocks of convolutional networks on (B, C, H, W) fields of any size."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, Literal, TypeAlias

import torch
from torch import Tensor, nn
from torch.nn import functional

from weatherml.errors import ConfigError
from weatherml.nn.padding import Padding, extend
from weatherml.nn.recompute import Checkpointing, Recomputing

NormKind: TypeAlias = Literal["group", "point", "none"]


class Conv(nn.Conv2d):
    """A convolution that keeps the grid's size, with its own padding for each axis.

    Args:
        inputs: channels in.
        outputs: channels out.
        kernel: odd width.
        padding: what lies beyond the edges.
        zero: begin with zero weights, for the last layer of a residual branch.
        bias: with a constant for each output.
    """

    def __init__(
        self, inputs: int, outputs: int, kernel: int = 3, *, padding: Padding, zero: bool = False, bias: bool = True
    ) -> None:
        reach = kernel // 2
        y, x = (reach if mode == "zeros" else 0 for _, mode in padding.axes)
        super().__init__(inputs, outputs, kernel, padding=(y, x), bias=bias)
        self.reach, self.edges = reach, padding
        if zero:
            for parameter in self.parameters():
                nn.init.zeros_(parameter)

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 - the name in nn.Conv2d
        """Convolve (B, inputs, H, W) to (B, outputs, H, W)."""
        return self.convolve(input, self.weight)

    def convolve(self, x: Tensor, weight: Tensor) -> Tensor:
        """The same with other weights, (outputs, C, kernel, kernel) for (B, C, H, W)."""
        for dim, mode in self.edges.axes:
            if mode != "zeros":
                x = extend(x, self.reach, self.reach, dim=dim, mode=mode)
        out: Tensor = self._conv_forward(x, weight, self.bias)
        return out


class Norm(nn.GroupNorm):
    """GroupNorm with as many groups, up to 8, as divide the channels.

    It stays in its input's precision: autocast would take it to float32 and keep twice the bytes for the
    backward pass, though its sums are float32 inside either way.
    """

    def __init__(self, channels: int) -> None:
        super().__init__(math.gcd(channels, 8), channels)

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 - the name in nn.GroupNorm
        """Normalise (B, C, H, W) over each group of channels."""
        with torch.autocast(input.device.type, enabled=False):
            weight, bias = self.weight.to(input.dtype), self.bias.to(input.dtype)
            return functional.group_norm(input, self.num_groups, weight, bias, self.eps)


class PointNorm(nn.Module):
    """Root-mean-square norm over the channels of each point (Zhang & Sennrich 2019, arXiv 1910.07467).

    Nothing is pooled over the grid, so a tile with a halo gives what the whole domain gives.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.full((channels, 1, 1), math.sqrt(channels)))

    def forward(self, x: Tensor) -> Tensor:
        """Normalise (B, C, H, W) over C; sums are float32 in any precision."""
        power = (x * x).sum(1, keepdim=True, dtype=torch.float32)  # vector_norm over an outer dimension is slow
        return x * (power + 1e-4).rsqrt().to(x.dtype) * self.weight.to(x.dtype)


def no_norm(channels: int) -> nn.Module:  # noqa: ARG001 - the form of a norm
    """Leave activations as they are: shallow networks on normalised fields keep the amplitudes that a norm hides."""
    return nn.Identity()


NORMS: dict[NormKind, Callable[[int], nn.Module]] = {"group": Norm, "point": PointNorm, "none": no_norm}


class Block(Recomputing, ABC):
    """A part of a network that can forget its activations and compute them again in the backward pass."""

    def forward(self, x: Tensor, condition: Tensor | None = None) -> Tensor:
        """The block's output, of the input's shape."""
        if self.checkpointing == "blocks":
            return self.recomputed(self.compute, x, condition)
        return self.compute(x, condition)

    def set_checkpointing(self, level: Checkpointing) -> None:
        """Choose what is kept; tiles are for a network to choose.

        Raises:
            ConfigError: `tiles`, from a network that does not know them.
        """
        if level == "tiles":
            raise ConfigError("train.checkpointing: tiles are for U-Nets; take blocks")
        super().set_checkpointing(level)

    @abstractmethod
    def compute(self, x: Tensor, condition: Tensor | None) -> Tensor:
        """The computation that `forward` may run twice."""


class Activated(Recomputing, nn.Sequential):
    """Layers, mostly norm, SiLU and a convolution, of which nothing but the last is kept where memory is asked for."""

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 - the name in nn.Sequential
        """The output of the last layer."""
        return self._through(input) if self.checkpointing == "none" else self.recomputed(self._through, input)

    def _through(self, x: Tensor) -> Tensor:
        for layer in self:
            x = layer(x)
        return x


class FiLM(nn.Module):
    """A vector scales and shifts every channel everywhere (Perez et al. 2018, arXiv 1709.07871); nothing at first."""

    def __init__(self, width: int, vector: int) -> None:
        super().__init__()
        self.affine = Conv(vector, 2 * width, 1, padding=Padding(), zero=True)

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        """(B, width, H, W) by a condition (B, vector, 1, 1)."""
        scale, shift = self.affine(condition).chunk(2, dim=1)
        return torch.addcmul(x + shift, x, scale)


class NoiseMaps(nn.Module):
    """Maps of noise are mixed and added (Karras et al. 2019, arXiv 1812.04948); nothing at first.

    Added, not multiplied: the activation that follows gates it by what stands there, at a third of the cost.
    """

    def __init__(self, width: int, maps: int) -> None:
        super().__init__()
        self.mix = nn.Conv2d(maps, width, 1, bias=False)
        nn.init.zeros_(self.mix.weight)

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        """(B, width, H, W) and a condition (B, maps, H, W)."""
        mixed: Tensor = self.mix(condition)
        return x + mixed


class ResidualBlock(Block):
    """x + f(x), f two convolutions after norm and SiLU (He et al. 2016, arXiv 1603.05027), f = 0 at first.

    Args:
        width: channels.
        padding: beyond the edges.
        dropout: share of activations dropped.
        norm: over groups of channels and the whole grid, over the channels of each point, or none.
        condition: makes, for a width, the layer by which a condition acts on the second norm's output.
    """

    def __init__(
        self,
        width: int,
        *,
        padding: Padding,
        dropout: float = 0.0,
        norm: NormKind = "group",
        condition: Callable[[int], nn.Module] | None = None,
    ) -> None:
        super().__init__()
        self.inward = Activated(NORMS[norm](width), nn.SiLU(), Conv(width, width, padding=padding))
        self.norm = NORMS[norm](width)
        self.outward = nn.Sequential(nn.SiLU(), nn.Dropout(dropout), Conv(width, width, padding=padding, zero=True))
        self.condition = condition(width) if condition else None

    def compute(self, x: Tensor, condition: Tensor | None) -> Tensor:
        """Add the branch to its input."""
        branch = self.inward(x)
        if self.checkpointing == "none":
            return x + self.activate(branch, condition)
        return x + self.recomputed(self.activate, branch, condition)

    def activate(self, branch: Tensor, condition: Tensor | None) -> Tensor:
        """The second half of the branch."""
        branch = self.norm(branch)
        if self.condition is not None:
            branch = self.condition(branch, condition)
        out: Tensor = self.outward(branch)
        return out


class Stage(nn.Module):
    """Blocks one after another, all with the same condition."""

    def __init__(self, *blocks: Block) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(blocks)

    def forward(self, x: Tensor, condition: Tensor | None = None) -> Tensor:
        """The output of the last block, of the input's shape."""
        for block in self.blocks:
            x = block(x, condition)
        return x


class Down(nn.Module):
    """Half the resolution: the mean of 2 x 2 points, then a convolution to the new width."""

    def __init__(self, inputs: int, outputs: int, *, padding: Padding) -> None:
        super().__init__()
        self.conv = Conv(inputs, outputs, padding=padding)

    def forward(self, x: Tensor) -> Tensor:
        """From (B, inputs, H, W) to (B, outputs, H/2, W/2)."""
        coarse: Tensor = self.conv(_Halved.apply(x))  # type: ignore[no-untyped-call]
        return coarse


class _Halved(torch.autograd.Function):
    """The mean of 2 x 2 points; torch's own keeps its input, of which the backward pass asks nothing."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:  # noqa: ARG004 - the form of a Function
        return functional.avg_pool2d(x, 2)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:  # noqa: ARG004
        return functional.interpolate(gradients[0] / 4, scale_factor=2, mode="nearest")


class Up(nn.Module):
    """Twice the resolution, bilinear: unlike a transposed convolution it has no checkerboard to unlearn.

    The width is reduced first, on the coarse grid, where it is cheap.
    """

    def __init__(self, inputs: int, outputs: int, *, padding: Padding) -> None:
        super().__init__()
        self.edges = padding
        self.conv = Conv(inputs, outputs, 1, padding=padding)

    def forward(self, x: Tensor) -> Tensor:
        """From (B, inputs, H, W) to (B, outputs, 2 H, 2 W)."""
        x = self.conv(x)
        around = [dim for dim, mode in self.edges.axes if mode == "circular"]  # bounded edges are held constant
        for dim in around:
            x = extend(x, 1, 1, dim=dim, mode="circular")
        fine = functional.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)
        for dim in around:
            fine = fine.narrow(dim, 2, fine.shape[dim] - 4)
        return fine
