"""Whether a dataset is as it was written: everything in it is read, against its checksums."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import zarr

from weatherml.data.chunks import EVERY, read_array
from weatherml.data.rows import read_rows
from weatherml.data.store import Dataset, open_dataset


def verify(path: str | Path) -> Dataset:
    """Open a dataset and read all of it, a shard at a time.

    Raises:
        MissingInputError: nothing there.
        BadDataError: a bit has changed or a file is lost; names the file, or the array and the time.
    """
    dataset = open_dataset(path)
    for name, array in sorted(dataset.group.members(max_depth=None)):
        if isinstance(array, zarr.Array):
            for rows in _spans(array):
                if _over_time(array):
                    read_rows(dataset.path, dataset.group, name, dataset.times, rows)
                else:
                    read_array(dataset.path, dataset.group, name, rows)
    return dataset


def _over_time(array: zarr.Array[Any]) -> bool:
    dims = getattr(array.metadata, "dimension_names", None) or ("",)
    return array.ndim > 1 and dims[0] == "time"


def _spans(array: zarr.Array[Any]) -> Iterator[slice]:
    """The first axis, file by file."""
    if array.ndim == 0:
        yield EVERY
        return
    length = (array.shards or array.chunks)[0]
    yield from (slice(start, min(start + length, array.shape[0])) for start in range(0, array.shape[0], length))
