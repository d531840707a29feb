"""Packed windows of a dataset: from memory where it fits, else chunk by chunk."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import zarr

from weatherml.data.chunks import WHOLE, Box, PackedArray, extent
from weatherml.data.store import Dataset
from weatherml.errors import BadDataError

Array = npt.NDArray[Any]


class WindowReader:
    """Reads (n, C, H, W) packed int16 windows; threads may share it.

    Args:
        dataset: narrowed to the wanted channels.
        cache_bytes: a dataset up to this size is read once and kept; a larger one is read as needed.
    """

    def __init__(self, dataset: Dataset, *, cache_bytes: int) -> None:
        self.dataset = dataset
        self._arrays = [_packed(dataset, name) for name in dataset.names]
        self._cache: Array | None = None
        H, W = dataset.grid.shape
        if len(dataset.times) * len(dataset.variables) * H * W * 2 <= cache_bytes:
            self._cache = self.window(0, len(dataset.times))

    def window(self, first: int, length: int, box: Box = WHOLE, *, out: Array | None = None) -> Array:
        """(length, C, h, w) int16 fields from time index `first` on, cut to `box`; in `out` where it is given.

        Raises:
            BadDataError: a chunk is missing or damaged; names variable and time.
        """
        shape = (length, len(self._arrays), *extent(box, self.dataset.grid.shape))
        window = np.empty(shape, np.int16) if out is None else out
        if self._cache is not None:
            window[...] = self._cache[first : first + length, :, box[0], box[1]]
            return window
        for time, state in enumerate(window, first):
            for name, array, field in zip(self.dataset.names, self._arrays, state, strict=True):
                try:
                    array.read(time, box, field)
                except BadDataError as error:
                    raise BadDataError(f"{name} at {self.dataset.times[time]}Z: {error}") from None
        return window


def _packed(dataset: Dataset, name: str) -> PackedArray:
    array = dataset.group[name]
    assert isinstance(array, zarr.Array)
    return PackedArray(dataset.path, array)
