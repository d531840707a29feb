"""Times of any calendar as UTC."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from weatherml.errors import BadDataError, reason

if TYPE_CHECKING:
    import xarray as xr

Array = npt.NDArray[Any]


def read_times(path: Path, dataset: xr.Dataset, dim: str) -> Array:
    """Times as datetime64[s] UTC, rounded from the file's precision.

    Raises:
        BadDataError: no units, a calendar whose dates do not exist, or an order that is not increasing.
    """
    if dim not in dataset.variables or " since " not in str(dataset[dim].attrs.get("units")):
        raise BadDataError(f"{path}: {dim} has no units like 'hours since 2024-01-01'; write them")
    try:
        times = _decoded(dataset, dim)
    except (ValueError, OverflowError) as error:
        calendar = dataset[dim].attrs.get("calendar", "standard")
        what = f"{dim} in calendar {calendar!r} has no UTC times ({reason(error)})"
        raise BadDataError(f"{path}: {what}; convert it") from None
    _check_order(path, times)
    return times


def _decoded(dataset: xr.Dataset, dim: str) -> Array:
    import xarray as xr  # noqa: PLC0415 - slow to import

    decoded = xr.decode_cf(dataset[[dim]])[dim].values
    if decoded.dtype == object:  # cftime: calendars other than the standard one
        decoded = np.array([time.isoformat() for time in decoded], "datetime64[ms]")
    return np.asarray((decoded.astype("datetime64[ms]") + np.timedelta64(500, "ms")).astype("datetime64[s]"))


def _check_order(path: Path, times: Array) -> None:
    steps = np.diff(times).astype(np.int64)
    if (steps <= 0).any():
        at = int(np.argmax(steps <= 0)) + 1
        what = "stands twice" if steps[at - 1] == 0 else "comes after a later time"
        raise BadDataError(f"{path}: {times[at]}Z {what}; write each time once, in order")
