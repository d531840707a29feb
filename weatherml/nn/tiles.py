"""A network over a domain piece by piece: tiles with halos, one in memory at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import product

import torch
from torch import Tensor

from weatherml.nn.padding import Padding

Network = Callable[[Tensor, Tensor | None], Tensor]


@dataclass(frozen=True, kw_only=True)
class Tiling:
    """How a domain is cut.

    What a network computes at a point is the same in a tile and in the whole domain, as long as the halo
    covers what the point sees and nothing pools over the grid. Noise is part of the input: it is drawn for the
    whole domain, and a tile takes its piece.

    Attributes:
        size: rows and columns of the largest tile without its halo; the tiles of an axis are as even as can be.
        halo: points around a tile that are computed and thrown away.
        multiple: tiles begin and end at multiples of it.
    """

    size: int
    halo: int
    multiple: int = 1

    def aligned(self, multiple: int) -> Tiling:
        """The tiling whose tiles begin and end where coarse points do."""
        return Tiling(size=_up(self.size, multiple), halo=_up(self.halo, multiple), multiple=multiple)

    def tiles(self, height: int, width: int, padding: Padding) -> Iterator[Tile]:
        """The tiles of a domain; across a circular axis the halo goes round."""
        sizes = (height, width)
        axes = [self._spans(size, mode == "circular") for size, (_, mode) in zip(sizes, padding.axes, strict=True)]
        for rows, columns in product(*map(list, axes)):
            yield Tile(rows=rows, columns=columns)

    def run(self, network: Network, x: Tensor, condition: Tensor | None, padding: Padding) -> Tensor:
        """The network's output on (B, C, H, W), fused from tiles.

        Args:
            network: from (B, C, h, w) and a condition to (B, outputs, h, w), of any size.
            x: the input.
            condition: (B, E, 1, 1), or (B, E, H, W), which is cut as `x` is.
            padding: what lies beyond the domain's edges.
        """
        height, width = x.shape[-2:]
        pieces = (
            (tile, network(tile.cut(x), None if condition is None else tile.cut(condition)))
            for tile in self.tiles(height, width, padding)
        )
        return fused(pieces)

    def _spans(self, size: int, circular: bool) -> Iterator[Span]:
        step = _up(-(-size // -(-size // self.size)), self.multiple)
        for start in range(0, size, step):
            stop = min(start + step, size)
            first, last = start - self.halo, stop + self.halo
            if not circular:
                first, last = max(first, 0), min(last, size)
            elif last - first >= size:  # the whole axis, so that it closes on itself as it does without tiles
                first, last = 0, size
            yield Span(first=first, last=last, start=start, stop=stop, size=size)


@dataclass(frozen=True, kw_only=True)
class Span:
    """One axis of a tile: computed from `first` to `last`, kept from `start` to `stop`, of `size` points."""

    first: int
    last: int
    start: int
    stop: int
    size: int

    def at(self, size: int) -> Span:
        """The same on an axis of `size` points, a fraction of this one's."""
        coarse = self.size // size
        places = {name: place // coarse for name, place in vars(self).items()}
        return Span(**places)

    @property
    def pieces(self) -> list[tuple[int, int]]:
        """Start and length of what is computed; beyond an edge it goes on at the other one."""
        if self.first < 0:
            return [(self.size + self.first, -self.first), (0, self.last)]
        if self.last > self.size:
            return [(self.first, self.size - self.first), (0, self.last - self.size)]
        return [(self.first, self.last - self.first)]

    def take(self, x: Tensor, dim: int) -> Tensor:
        """The computed part of `x`."""
        parts = [x.narrow(dim, start, length) for start, length in self.pieces]
        return parts[0] if len(parts) == 1 else torch.cat(parts, dim)


@dataclass(frozen=True, kw_only=True)
class Tile:
    """A tile of a domain; every tensor of it may have a coarser grid, whose sizes divide the domain's."""

    rows: Span
    columns: Span

    def cut(self, x: Tensor) -> Tensor:
        """What the tile sees of (B, C, H, W); (B, C, 1, 1) it sees whole."""
        if x.shape[-2:] == (1, 1):
            return x
        rows, columns = self._at(*x.shape[-2:])
        return rows.take(columns.take(x, -1), -2)

    def add(self, whole: Tensor, piece: Tensor) -> None:
        """Add to `whole` what was computed for a cut of it: the adjoint of `cut`."""
        if whole.shape[-2:] == (1, 1):
            whole.add_(piece)
            return
        rows, columns = self._at(*whole.shape[-2:])
        y = 0
        for top, height in rows.pieces:
            x = 0
            for left, width in columns.pieces:
                whole[..., top : top + height, left : left + width] += piece[..., y : y + height, x : x + width]
                x += width
            y += height

    def inner(self, piece: Tensor) -> Tensor:
        """What is kept of an output computed from a cut."""
        rows, columns = self._at(*self.grid_of(piece))
        return piece[..., rows.start - rows.first : rows.stop - rows.first, :][
            ..., columns.start - columns.first : columns.stop - columns.first
        ]

    def kept(self, whole: Tensor) -> Tensor:
        """Where it belongs."""
        rows, columns = self._at(*whole.shape[-2:])
        return whole[..., rows.start : rows.stop, columns.start : columns.stop]

    def grid_of(self, piece: Tensor) -> tuple[int, int]:
        """The rows and columns of the whole that an output computed from a cut is a piece of."""
        coarse = (self.rows.last - self.rows.first) // piece.shape[-2]
        return self.rows.size // coarse, self.columns.size // coarse

    def _at(self, height: int, width: int) -> tuple[Span, Span]:
        return self.rows.at(height), self.columns.at(width)


def fused(pieces: Iterable[tuple[Tile, Tensor]]) -> Tensor:
    """The whole of what was computed from the cuts of its tiles."""
    whole: Tensor | None = None
    for tile, piece in pieces:
        if whole is None:
            size, form = (*piece.shape[:2], *tile.grid_of(piece)), _order(piece)
            whole = torch.empty(size, dtype=piece.dtype, device=piece.device, memory_format=form)
        tile.kept(whole).copy_(tile.inner(piece))
    assert whole is not None
    return whole


def _order(x: Tensor) -> torch.memory_format:
    """The order in which the numbers of `x` lie."""
    last = x.is_contiguous(memory_format=torch.channels_last) and not x.is_contiguous()
    return torch.channels_last if last else torch.contiguous_format


def _up(size: int, multiple: int) -> int:
    return -(-size // multiple) * multiple


def seam_score(field: Tensor, size: int) -> float:
    """How visible the seams of tiles are: the mean squared step across them over that elsewhere; 1 where unseen.

    Args:
        field: (..., H, W).
        size: rows and columns of a tile.
    """
    across, elsewhere = [], []
    for dim in (-2, -1):
        steps = field.diff(dim=dim).square().transpose(dim, -1)  # step i is between i and i + 1
        seam = torch.arange(steps.shape[-1], device=field.device) % size == size - 1
        across.append(steps[..., seam].flatten())
        elsewhere.append(steps[..., ~seam].flatten())
    return float(torch.cat(across).mean() / torch.cat(elsewhere).mean())
