"""Passes over an ensemble in pieces that stay in a core's cache, where a pass over memory would rule."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from typing import Any

import numpy as np
import numpy.typing as npt

from weatherml.fields import Fields

Array = npt.NDArray[Any]
BLOCK = 1 << 14
"""Points at once: of twenty members a megabyte."""


def by_points(
    function: Callable[..., Array],
    forecast: Fields,
    *fields: Fields,
    dtype: npt.DTypeLike,
    planes: tuple[int, ...] = (),
) -> Array:
    """`function(members, *fields)` of some points of a lead after the other, put together: (L, *planes, H, W).

    Args:
        function: of members (M, N) and of each field (N,), which are views; its result is (*planes, N).
        forecast: (L, M, H, W).
        fields: each (L, H, W).
        dtype: of the result.
        planes: its leading dimensions.
    """
    leads, members, *grid = forecast.shape
    states = forecast.reshape(leads, members, -1).numpy()
    others = [field.reshape(leads, -1).numpy() for field in fields]
    size = states.shape[-1]
    found = np.empty((leads, *planes, size), dtype)
    with np.errstate(over="ignore", invalid="ignore"):  # at unknown points
        for lead, start in product(range(leads), range(0, size, BLOCK)):
            points = slice(start, start + BLOCK)
            found[lead, ..., points] = function(states[lead, :, points], *(other[lead, points] for other in others))
    return found.reshape(leads, *planes, *grid)
