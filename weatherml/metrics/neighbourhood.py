"""Square neighbourhoods of points: events in them, and how scores over them are named."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import torch
from pydantic import PositiveFloat, PositiveInt
from torch import Tensor

from weatherml.fields import Fields
from weatherml.metrics.base import Metric
from weatherml.metrics.events import EventMetric, Side, event_bits, event_count, events, number_name
from weatherml.metrics.once import once
from weatherml.metrics.reduce import complete, members
from weatherml.variables import Variable

Array = npt.NDArray[Any]
EVERY = slice(None)
STRIP = 1 << 15
"""Points of a strip of rows."""
WHOLE_IN_FLOAT32 = 1 << 24
"""Whole numbers up to here are exact in float32."""


class NeighbourhoodMetric(EventMetric):
    """A score of an event in square neighbourhoods.

    Attributes:
        widths: that are worth having, in cells.
        width: the neighbourhood's side in cells, odd.
        spacing_km: of the grid, for the name; None names the width in cells.
    """

    by_condition: ClassVar[bool] = False
    widths: ClassVar[tuple[int, ...]] = (3, 9, 27)
    width: PositiveInt
    spacing_km: PositiveFloat | None = None

    @property
    def name(self) -> str:
        """`fss_30dbz_27km`, or `fss_30dbz_9cells`."""
        return f"{self.kind}_{self.event}_{scale_name(self.width, self.spacing_km)}"

    @classmethod
    def score_card(cls, variable: Variable, spacing_km: float | None) -> list[Metric]:
        """One for each threshold and width."""
        return [
            cls.model_validate({**event, "width": width, "spacing_km": spacing_km})
            for event in events(variable)
            for width in cls.widths
        ]


def scale_name(width: int, spacing_km: float | None) -> str:
    """A neighbourhood's width as part of a name: to the km, under 10 km to a tenth."""
    if spacing_km is None:
        return f"{width}cells"
    km = width * spacing_km
    return f"{number_name(round(km, 1 if km < 10 else 0))}km"


def fractions(values: Fields, mask: Tensor, threshold: float, side: Side, width: int) -> Tensor:
    """Share of each point's neighbourhood with the event, (L, H, W) float64; of (L, M, H, W) the members' mean.

    Beyond the edge, and at unknown points, no event occurs.
    """
    found = torch.from_numpy(counts(values, mask, threshold, side, width))
    return found.double() / (members(values).shape[1] * width**2)


def counts(values: Fields, mask: Tensor, threshold: float, side: Side, width: int, *, rows: slice = EVERY) -> Array:
    """Points of the neighbourhoods with the event, (L, H, W) float32; of (L, M, H, W) all members' together.

    Not remembered: memory that is new each time costs more than the sums.

    Args:
        values: (L, H, W), or (L, M, H, W).
        mask: (L, H, W).
        threshold: of the event.
        side: of the event.
        width: of the neighbourhoods, odd.
        rows: of the points; all of them, unless who asks has use for some at a time.
    """
    sums, reach = integral(values, mask, threshold, side), width // 2
    start, stop, _ = rows.indices(sums.shape[-2] - 1)
    beyond, first = (_rows(sums, start + shift, stop + shift) for shift in (reach + 1, -reach))
    return window_sum(beyond - first, reach).astype(np.float32, copy=False)


def strips(height: int, width: int) -> Iterator[slice]:
    """Stretches of a grid's rows that stay in a core's cache from the sums to the squares."""
    step = max(1, STRIP // width)
    return (slice(start, min(start + step, height)) for start in range(0, height, step))


def _rows(sums: Array, start: int, stop: int) -> Array:
    """Rows of (L, H, W), the first and the last again beyond the ends; not copied where there are none beyond."""
    height = sums.shape[-2]
    if start >= 0 and stop <= height:
        return sums[:, start:stop]
    return sums[:, np.arange(start, stop).clip(0, height - 1)]


@once
def known_fractions(mask: Tensor, width: int) -> Tensor:
    """Share of each point's neighbourhood that is known and inside the grid, (L, H, W) float64."""
    return fractions(mask.float(), mask, 1.0, "above", width)


def anywhere(values: Fields, mask: Tensor, threshold: float, side: Side, width: int) -> Fields:
    """Share of members, or whether a field, has the event anywhere in the neighbourhood: (L, H, W) float32."""
    bits = event_bits(values, threshold, side)
    if not complete(mask):
        bits = bits * mask.unsqueeze(1).numpy()
    near = np.bitwise_count(dilate(dilate(bits, -2, width), -1, width)).sum(1, dtype=np.float32)
    return torch.from_numpy(near) / members(values).shape[1]


def dilate(bits: Array, axis: int, width: int) -> Array:
    """Each bit wherever a window of odd `width` along `axis` has it: all members in one pass."""
    near, seen = np.pad(bits, [(width // 2 if at == axis % bits.ndim else 0,) * 2 for at in range(bits.ndim)]), 1
    while seen < width:  # the cells that each one has seen double
        step = min(seen, width - seen)
        near = _along(near, axis, 0, -step) | _along(near, axis, step, None)
        seen += step
    return near


def _along(values: Array, axis: int, start: int, stop: int | None) -> Array:
    return values[(..., slice(start, stop), *[EVERY] * (-1 - axis))]


@once
def integral(values: Fields, mask: Tensor, threshold: float, side: Side) -> Array:
    """The event's counts over all rows and columns before each: (L, H + 1, W + 1), float32 where that is exact."""
    count = event_count(values, mask, threshold, side)
    leads, height, width = count.shape
    sums = np.zeros((leads, height + 1, width + 1), np.int32)
    np.cumsum(count, -1, dtype=np.int32, out=sums[:, 1:, 1:])
    for row in range(1, height):  # five times faster than numpy's cumsum along columns
        sums[:, row + 1] += sums[:, row]
    return sums.astype(np.float32) if sums[:, -1, -1].max() < WHOLE_IN_FLOAT32 else sums


def window_sum(sums: Array, reach: int) -> Array:
    """Sums over `reach` places to either side along the last axis, of which `sums` are cumulative with a leading 0.

    (..., W + 1) to (..., W); beyond the edges there is nothing.
    """
    size = sums.shape[-1] - 1
    if 2 * reach >= size:  # some windows reach over both ends
        places = np.arange(size)
        return np.asarray(sums[..., (places + reach + 1).clip(max=size)] - sums[..., (places - reach).clip(min=0)])
    windows = np.empty((*sums.shape[:-1], size), sums.dtype)
    windows[..., :reach] = sums[..., reach + 1 : 2 * reach + 1]
    np.subtract(sums[..., 2 * reach + 1 :], sums[..., : size - 2 * reach], out=windows[..., reach : size - reach])
    windows[..., size - reach :] = sums[..., -1:] - sums[..., size - 2 * reach : size - reach]
    return windows
