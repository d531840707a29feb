"""Reading zarr arrays so that a lost or damaged chunk is an error, never a fill value."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import zarr

from weatherml.errors import BadDataError

Array = npt.NDArray[Any]
EVERY = slice(None)


def read_array(store: Path, group: zarr.Group, name: str, rows: slice = EVERY) -> Array:
    """Entries `rows` of the first axis of the array `name`, verified by their checksums.

    Files divide the arrays of a store along their first axis only (see `layout`).

    Raises:
        BadDataError: a file is missing or damaged.
    """
    try:
        array = group[name]
        assert isinstance(array, zarr.Array)
        for key in _keys(array, rows):
            _require(store / array.path / key)
        return np.asarray(array[rows] if array.ndim else array[...])
    except BadDataError:
        raise
    except Exception as error:  # noqa: BLE001 - codecs raise ValueError, RuntimeError and their own
        reason = " ".join(str(error).split())[:200]
        raise BadDataError(f"{store}/{name}: damaged ({reason}); prepare it again") from None


def _require(file: Path) -> None:
    """Raise BadDataError for a file that zarr would take for fill values: none, or an empty one."""
    if not file.is_file() or file.stat().st_size == 0:
        raise BadDataError(f"{file}: missing or empty; prepare it again")


def _keys(array: zarr.Array[Any], rows: slice) -> list[str]:
    """The files that hold these rows."""
    if array.ndim == 0:
        return ["c"]
    start, stop, _ = rows.indices(array.shape[0])
    length = (array.shards or array.chunks)[0]
    rest = "/0" * (array.ndim - 1)
    return [f"c/{number}{rest}" for number in range(start // length, -(-stop // length))]
