"""Part of some fields, from the chunks that hold it, all of them fetched together."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from weatherml.errors import BadDataError
from weatherml.sources.remote import in_threads
from weatherml.sources.zarr2.archive import Archive
from weatherml.sources.zarr2.array import METADATA, MOST_CHUNK, MOST_METADATA, StoredArray, stored_array
from weatherml.sources.zarr2.box import Box, Place

Array = npt.NDArray[Any]
Piece = tuple[str, tuple[int, int], Place, Place]
"""Of which array, which chunk, where in it, and where in the box."""


def read_fields(
    archive: Archive, folders: Mapping[str, str], box: Box, *, shape: tuple[int, int], index: int
) -> dict[str, Array]:
    """The `box` of the field at `index` of each array, (H, W) float32 by name, NaN where missing.

    Args:
        archive: where the arrays lie.
        folders: the arrays' keys by name.
        box: the rows and columns wanted.
        shape: of the whole fields.
        index: along the first dimension of arrays that hold several fields.

    Raises:
        BadDataError: an array or a chunk that is absent, damaged, or not what is expected.
    """
    opened = partial(_array, archive, shape=shape, index=index)
    arrays = dict(zip(folders, in_threads(opened, folders.values()), strict=True))
    pieces = [(name, *piece) for name, array in arrays.items() for piece in box.pieces(array.chunk)]
    fields = {name: np.empty(box.shape, np.float32) for name in folders}

    def fetch(piece: Piece) -> Array:
        name, chunk, *_ = piece
        return _chunk(archive, arrays[name], f"{folders[name]}/{arrays[name].key(index, chunk)}", index)

    for (name, _, inside, target), chunk in zip(pieces, in_threads(fetch, pieces), strict=True):
        fields[name][np.ix_(*target)] = chunk[np.ix_(*inside)]
    return fields


def _array(archive: Archive, folder: str, *, shape: tuple[int, int], index: int) -> StoredArray:
    array = stored_array(_get(archive, f"{folder}/{METADATA}", MOST_METADATA), shape, at=archive.at(folder))
    if index >= array.length:
        raise BadDataError(f"{archive.at(folder)}: {array.length} fields, none at {index}; choose a shorter lead")
    return array


def _chunk(archive: Archive, array: StoredArray, key: str, index: int) -> Array:
    """(rows, columns) float32 of a chunk."""
    try:
        return array.decode(_get(archive, key, MOST_CHUNK), index)
    except ValueError as error:
        raise BadDataError(f"{archive.at(key)}: {error}; the time is left out") from None


def _get(archive: Archive, key: str, most: int) -> bytes:
    """What lies under a key.

    Raises:
        BadDataError: nothing. Zarr lets a writer drop chunks of fill values alone, but one that was lost looks the
            same, so it is not read as such.
    """
    content = archive.get(key, most=most)
    if content is None:
        raise BadDataError(f"{archive.at(key)}: not there; the time is left out")
    return content
