"""Padding for each axis apart, and the fitting of any grid to a multiple of 2^depth."""

from __future__ import annotations

from typing import Any, Literal

import torch
from pydantic import model_validator
from torch import Tensor
from torch.nn import functional

from weatherml.config import Config

Mode = Literal["zeros", "reflect", "circular"]


class Padding(Config):
    """What lies beyond the grid's edges: one word for both axes, or one for each.

    Attributes:
        y: beyond the first and last row.
        x: beyond the first and last column; `circular` where the columns go round the globe.
    """

    y: Mode = "zeros"
    x: Mode = "zeros"

    @model_validator(mode="before")
    @classmethod
    def _one_word(cls, value: Any) -> Any:
        return {"y": value, "x": value} if isinstance(value, str) else value

    @property
    def axes(self) -> tuple[tuple[int, Mode], tuple[int, Mode]]:
        """The two spatial dimensions, counted from the last, with their modes."""
        return (-2, self.y), (-1, self.x)


def extend(x: Tensor, before: int, after: int, *, dim: int, mode: Mode) -> Tensor:
    """Add `before` and `after` rows at the ends of `dim`; any number, on any size."""
    if before == after == 0:
        return x
    if mode == "zeros":
        return functional.pad(x, (before, after) if dim == -1 else (0, 0, before, after))
    size = x.shape[dim]
    sources = [_source(position, size, mode) for position in (*range(-before, 0), *range(size, size + after))]
    extended: Tensor = _Extended.apply(x, dim, before, sources)  # type: ignore[no-untyped-call]
    return extended


class _Extended(torch.autograd.Function):
    """Copies of rows at the ends of an axis.

    The ends are joined by `cat`, which is deterministic on every device and keeps channels-last, as
    `functional.pad` does not. Autograd's own gradient of it would fill the whole size with zeros for each row.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, dim: int, before: int, sources: list[int]) -> Tensor:
        ctx.dim, ctx.before, ctx.size, ctx.sources = dim, before, x.shape[dim], sources
        rows = [x.narrow(dim, source, 1) for source in sources]
        return torch.cat([*rows[:before], x, *rows[before:]], dim)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None, None]:
        (gradient,) = gradients
        inner = gradient.narrow(ctx.dim, ctx.before, ctx.size).clone()
        places = (*range(ctx.before), *range(ctx.before + ctx.size, gradient.shape[ctx.dim]))
        for place, source in zip(places, ctx.sources, strict=True):
            inner.narrow(ctx.dim, source, 1).add_(gradient.narrow(ctx.dim, place, 1))
        return inner, None, None, None


def pad_to_multiple(x: Tensor, multiple: int, padding: Padding) -> Tensor:
    """Append rows and columns to (..., H, W) until both divide by `multiple`.

    A circular axis stays exactly periodic only where its size divides already.
    """
    for dim, mode in padding.axes:
        x = extend(x, 0, -x.shape[dim] % multiple, dim=dim, mode=mode)
    return x


def _source(position: int, size: int, mode: Mode) -> int:
    """The row that stands at a position outside 0..size-1."""
    if mode == "circular":
        return position % size
    period = max(2 * size - 2, 1)  # the edge is not repeated; a single row reflects onto itself
    return min(position % period, period - position % period)
