"""Square neighbourhoods of points: events in them, and how scores over them are named."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import torch
from pydantic import PositiveFloat, PositiveInt
from torch import Tensor

from weatherml.fields import Fields
from weatherml.metrics.base import Metric
from weatherml.metrics.events import EventMetric, Side, events, number_name, occurs
from weatherml.metrics.once import once
from weatherml.variables import Variable

Array = npt.NDArray[Any]
EVERY = slice(None)
WHOLE_IN_FLOAT32 = 1 << 24
"""Whole numbers up to here are exact in float32."""


class NeighbourhoodMetric(EventMetric):
    """A score of an event in square neighbourhoods.

    Attributes:
        widths: that are worth having, in cells.
        width: the neighbourhood's side in cells, odd.
        spacing_km: of the grid, for the name; None names the width in cells.
    """

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
    return found.double() / (members(values, mask) * width**2)


def counts(values: Fields, mask: Tensor, threshold: float, side: Side, width: int, *, rows: slice = EVERY) -> Array:
    """Points of the neighbourhoods with the event, (L, H, W), whole numbers; of (L, M, H, W) all members' together.

    Not remembered: memory that is new each time costs more than the sums.

    Args:
        values: (L, H, W), or (L, M, H, W).
        mask: (L, H, W).
        threshold: of the event.
        side: of the event.
        width: of the neighbourhoods, odd.
        rows: of the points; all of them, unless who asks has use for some at a time.
    """
    sums, reach = integral(values, mask, threshold, side).numpy(), width // 2
    start, stop, _ = rows.indices(sums.shape[-2] - 1)
    beyond, first = (_rows(sums, start + shift, stop + shift) for shift in (reach + 1, -reach))
    return window_sum(beyond - first, reach)


def _rows(sums: Array, start: int, stop: int) -> Array:
    """Rows of (L, H, W), the first and the last again beyond the ends; not copied where there are none beyond."""
    height = sums.shape[-2]
    if start >= 0 and stop <= height:
        return sums[:, start:stop]
    return sums[:, np.arange(start, stop).clip(0, height - 1)]


def members(values: Fields, mask: Tensor) -> int:
    """M of (L, M, H, W) values; 1 of a field (L, H, W) like the mask."""
    return 1 if values.ndim == mask.ndim else values.shape[1]


@once
def known_fractions(mask: Tensor, width: int) -> Tensor:
    """Share of each point's neighbourhood that is known and inside the grid, (L, H, W) float64."""
    return fractions(mask.float(), mask, 1.0, "above", width)


@once
def anywhere(values: Fields, mask: Tensor, threshold: float, side: Side, width: int) -> Tensor:
    """Share of members with the event anywhere in each point's neighbourhood, (L, H, W); of a field, whether."""
    event = occurring(values, mask, threshold, side)
    near = dilate(dilate(event, -2, width), -1, width).float()
    return near if values.ndim == mask.ndim else near.mean(1)


def dilate(event: Tensor, axis: int, width: int) -> Tensor:
    """Whether any cell of a window of odd `width` along `axis` is True."""
    reach = width // 2
    edge = torch.zeros_like(event.narrow(axis, 0, 1)).repeat_interleave(reach, axis)
    near, seen = torch.cat([edge, event, edge], axis), 1
    while seen < width:  # the cells that each one has seen double
        step = min(seen, width - seen)
        size = near.shape[axis] - step
        near = near.narrow(axis, 0, size) | near.narrow(axis, step, size)
        seen += step
    return near


@once
def integral(values: Fields, mask: Tensor, threshold: float, side: Side) -> Tensor:
    """The event's counts over all rows and columns before each: (L, H + 1, W + 1), exact."""
    event = occurring(values, mask, threshold, side)
    count = event if event.ndim == mask.ndim else event[:, 0] if event.shape[1] == 1 else event.sum(1)
    precise = torch.float32 if event[0].numel() < WHOLE_IN_FLOAT32 else torch.float64
    return torch.nn.functional.pad(count.cumsum(-1, dtype=precise).cumsum(-2), (1, 0, 1, 0))


def occurring(values: Fields, mask: Tensor, threshold: float, side: Side) -> Tensor:
    """Where the event is and the point known: bool, of the shape of the values."""
    return occurs(values, threshold, side) & (mask if values.ndim == mask.ndim else mask.unsqueeze(1))


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
