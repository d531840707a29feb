"""Packed windows of a dataset: from memory where it fits, else chunk by chunk."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from weatherml.data.store import Dataset

Array = npt.NDArray[Any]
Box = tuple[slice, slice]
WHOLE: Box = (slice(None), slice(None))


class WindowReader:
    """Reads (n, C, H, W) packed int16 windows.

    Args:
        dataset: narrowed to the wanted channels.
        cache_bytes: a dataset up to this size is read once and kept; a larger one is read as needed.
    """

    def __init__(self, dataset: Dataset, *, cache_bytes: int) -> None:
        self.dataset = dataset
        H, W = dataset.grid.shape
        fits = len(dataset.times) * len(dataset.variables) * H * W * 2 <= cache_bytes
        self._cache = self._read(slice(0, len(dataset.times))) if fits else None

    def window(self, first: int, length: int, box: Box = WHOLE) -> Array:
        """(length, C, H, W) int16 fields from time index `first` on, cut to `box`."""
        times = slice(first, first + length)
        fields = self._read(times) if self._cache is None else self._cache[times]
        return fields[:, :, box[0], box[1]]

    def _read(self, times: slice) -> Array:
        return np.stack([self.dataset.read(times, name) for name in self.dataset.names], axis=1)
