"""Whether a store is as it was written: everything in it is read, against its checksums."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import zarr

from weatherml.data.chunks import Part, read_array, read_part, require_part
from weatherml.data.store import Dataset, open_dataset, open_group
from weatherml.errors import BadDataError

Array = npt.NDArray[Any]
LABELS: dict[str, Callable[[Any], str]] = {
    "time": lambda seconds: f"{np.datetime64(int(seconds), 's')}Z",
    "init_time": lambda seconds: f"{np.datetime64(int(seconds), 's')}Z",
    "lead_time": lambda seconds: f"+ {seconds / 3600:g} h",
    "member": "member {}".format,
    "series": "series {}".format,
}
"""How a place along a dimension is named; others are not."""


def verify(path: str | Path) -> Dataset:
    """Open a dataset and read all of it, a shard at a time.

    Raises:
        MissingInputError: nothing there.
        BadDataError: a bit has changed or a file is lost; names the file, or the array and the time.
    """
    dataset = open_dataset(path)
    require_sound(dataset.path)
    return dataset


def require_sound(path: Path) -> None:
    """Raise BadDataError for the first array of a store, of any kind, of which a bit has changed or a file is lost."""
    for fault in faults(path):
        raise fault


def faults(path: Path, *, read: bool = True) -> Iterator[BadDataError]:
    """What is wrong with the arrays of a store, one for each of its files.

    Args:
        path: of a store whose marker was verified.
        read: every chunk, against its checksum; else only look whether the files are there.
    """
    group = open_group(path)
    for _, array in sorted(group.members(max_depth=None)):
        if isinstance(array, zarr.Array):
            whole = tuple(slice(0, size) for size in array.shape)
            for part in _cut(whole, array.shards or array.chunks):
                fault = _fault(path, group, array, part, read_part if read else require_part)
                if fault is not None:
                    yield fault


def _fault(
    path: Path, group: zarr.Group, array: zarr.Array[Any], part: Part, look: Callable[..., object]
) -> BadDataError | None:
    """What is wrong with a part, told of the first of its chunks that is broken."""
    try:
        look(path, array, part)
    except BadDataError as error:
        chunks = list(_cut(part, array.chunks))
        inner = (_fault(path, group, array, chunk, look) for chunk in chunks if len(chunks) > 1)
        where = _label(path, group, array, part)
        named = BadDataError(f"{array.path} at {where}: {error}") if where else error
        return next((fault for fault in inner if fault is not None), named)
    return None


def _cut(part: Part, lengths: tuple[int, ...]) -> Iterator[Part]:
    """A part in pieces of at most these lengths, from its start."""
    starts = (range(span.start, span.stop, length) for span, length in zip(part, lengths, strict=True))
    for place in product(*starts):
        yield tuple(
            slice(start, min(start + length, span.stop))
            for start, length, span in zip(place, lengths, part, strict=True)
        )


def _label(path: Path, group: zarr.Group, array: zarr.Array[Any], part: Part) -> str:
    """In words, where a part begins; empty for what is small and whole."""
    dims = getattr(array.metadata, "dimension_names", None)
    if array.ndim < 2 or not dims:
        return ""
    places = [(dim, span.start) for dim, span in zip(dims, part, strict=True) if dim in LABELS]
    return " ".join(LABELS[dim](_coordinate(path, group, dim, start)) for dim, start in places)


def _coordinate(path: Path, group: zarr.Group, dim: str, index: int) -> Any:
    """The value at a place; its number where there are no values, or those are damaged themselves."""
    try:
        return read_array(path, group, dim)[index]
    except BadDataError:
        return index
