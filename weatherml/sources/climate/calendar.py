"""Months and years of any calendar, as the first day of each."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from weatherml.errors import BadDataError, reason

if TYPE_CHECKING:
    import xarray as xr

Array = npt.NDArray[Any]
YEAR = np.timedelta64(12, "M")


def read_months(path: Path, dataset: xr.Dataset, dim: str) -> Array:
    """The months of a file's times, (T,) datetime64[M]; of annual means January.

    A calendar of 360 days, or without leap days, has dates that do not exist; its months all do.

    Raises:
        BadDataError: no times, or one that stands twice or after a later one.
    """
    months = _months(path, dataset, dim)
    require_order(months, str(path))
    return months.astype("datetime64[Y]").astype("datetime64[M]") if is_annual(months) else months


def is_annual(months: Array) -> bool:
    """Whether months are those of annual means: a year or more from each to the next."""
    return len(months) > 1 and bool((np.diff(months) >= YEAR - np.timedelta64(1, "M")).all())


def require_order(months: Array, at: str) -> None:
    """Raise BadDataError unless each month is later than the one before; names the first that is not."""
    steps = np.diff(months).astype(int)
    if (steps <= 0).any():
        first = int(np.argmax(steps <= 0))
        what = "stands twice" if steps[first] == 0 else f"comes after {months[first]}"
        raise BadDataError(f"{at}: {months[first + 1]} {what}; write each date once, in order")


def _months(path: Path, dataset: xr.Dataset, dim: str) -> Array:
    if dim not in dataset.variables:
        raise BadDataError(f"{path}: {dim} has no coordinate; write its dates")
    values = dataset[dim].values
    if " since " in str(dataset[dim].attrs.get("units")):
        return _decoded(path, dataset, dim)
    if values.dtype.kind in "iuf" and (values == values.round()).all() and ((values > 0) & (values < 10_000)).all():
        return _month(values, 1)  # bare years
    raise BadDataError(f"{path}: {dim} has no units like 'days since 1850-01-01'; write them")


def _decoded(path: Path, dataset: xr.Dataset, dim: str) -> Array:
    import xarray as xr  # noqa: PLC0415 - slow to import

    try:
        decoded = xr.decode_cf(dataset[[dim]])[dim]
    except (ValueError, OverflowError) as error:
        raise BadDataError(f"{path}: {dim}: {reason(error)}; mend its units") from None
    return _month(decoded.dt.year.values, decoded.dt.month.values)


def _month(year: Array, month: Array | int) -> Array:
    """The datetime64[M] of years and months, 1 to 12."""
    return ((np.asarray(year, np.int64) - 1970) * 12 + month - 1).astype("datetime64[M]")
