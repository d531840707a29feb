"""Reading arrays over time so that what is damaged is named by its time."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import zarr

from weatherml.data.chunks import EVERY, read_array
from weatherml.errors import BadDataError

Array = npt.NDArray[Any]


def read_rows(store: Path, group: zarr.Group, name: str, times: Array, rows: slice = EVERY) -> Array:
    """Entries `rows` of the array `name`, whose first axis is that of `times`.

    Raises:
        BadDataError: a chunk is corrupt or missing; names array and time.
    """
    try:
        return read_array(store, group, name, rows)
    except BadDataError as error:
        start, stop, _ = rows.indices(len(times))
        if stop - start > 1:
            for time in range(start, stop):  # until the broken one, which is to be named
                read_rows(store, group, name, times, slice(time, time + 1))
        raise BadDataError(f"{name} at {np.datetime_as_string(times[start])}Z: {error}") from None
