"""A network over a domain piece by piece: tiles with halos, one in memory at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
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
        size: rows and columns of a tile without its halo.
        halo: points around a tile that are computed and thrown away.
    """

    size: int
    halo: int

    def aligned(self, multiple: int) -> Tiling:
        """The tiling whose tiles begin and end where coarse points do."""
        return Tiling(size=_up(self.size, multiple), halo=_up(self.halo, multiple))

    def run(self, network: Network, x: Tensor, condition: Tensor | None, padding: Padding) -> Tensor:
        """The network's output on (B, C, H, W), fused from tiles.

        Args:
            network: from (B, C, h, w) and a condition to (B, outputs, h, w), of any size.
            x: the input.
            condition: (B, E, 1, 1), or (B, E, H, W), which is cut as `x` is.
            padding: what lies beyond the domain's edges; across a circular axis the halo goes round.
        """
        out: Tensor | None = None
        for rows, columns in product(*(self._spans(x.shape[dim], mode == "circular") for dim, mode in padding.axes)):
            part = network(rows.take(columns.take(x, -1), -2), _cut(condition, rows, columns))
            inner = part[..., rows.inner, columns.inner]
            if out is None:
                out = x.new_empty(*part.shape[:2], *x.shape[-2:], dtype=part.dtype)
            out[..., rows.target, columns.target] = inner
        assert out is not None
        return out

    def _spans(self, size: int, circular: bool) -> Iterator[Span]:
        for start in range(0, size, self.size):
            stop = min(start + self.size, size)
            first, last = start - self.halo, stop + self.halo
            if not circular:
                first, last = max(first, 0), min(last, size)
            elif last - first >= size:  # the whole axis, so that it closes on itself as it does without tiles
                first, last = 0, size
            yield Span(first=first, last=last, start=start, stop=stop)


@dataclass(frozen=True, kw_only=True)
class Span:
    """One axis of a tile: computed from `first` to `last`, kept from `start` to `stop`."""

    first: int
    last: int
    start: int
    stop: int

    @property
    def inner(self) -> slice:
        """What is kept, counted from `first`."""
        return slice(self.start - self.first, self.stop - self.first)

    @property
    def target(self) -> slice:
        """Where it belongs."""
        return slice(self.start, self.stop)

    def take(self, x: Tensor, dim: int) -> Tensor:
        """The computed part of `x`; beyond an edge it goes on at the other one."""
        size = x.shape[dim]
        if self.first >= 0 and self.last <= size:
            return x.narrow(dim, self.first, self.last - self.first)
        return x.index_select(dim, torch.arange(self.first, self.last, device=x.device) % size)


def _cut(condition: Tensor | None, rows: Span, columns: Span) -> Tensor | None:
    if condition is None or condition.shape[-2:] == (1, 1):
        return condition
    return rows.take(columns.take(condition, -1), -2)


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
