"""Annual forcings of the world from CSV: a row with a column for each year, or a column beside the years."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from weatherml.errors import BadDataError, reason
from weatherml.registry import suggest
from weatherml.sources.climate.calendar import is_annual

if TYPE_CHECKING:
    import pandas as pd

Array = npt.NDArray[Any]


def read_annual(path: Path, column: str, where: Mapping[str, str]) -> tuple[Array, Array]:
    """Years and values, each (Y,); blank years are left out.

    Args:
        path: the table.
        column: of the values, beside a column of years that comes first; asked for only without `where`.
        where: the values that identify a row whose columns are years, by column.

    Raises:
        BadDataError: no such row or column, more than one row, years twice or unsorted, or no number.
    """
    import pandas as pd  # noqa: PLC0415 - slow to import

    try:
        table = pd.read_csv(path)
    except (ValueError, OSError) as error:  # pandas' own errors are ValueErrors
        raise BadDataError(f"{path}: not readable ({reason(error)}); give CSV") from None
    series = _row(path, table, where) if where else _column(path, table, column)
    years, values = (pd.to_numeric(part, errors="coerce").to_numpy(np.float64) for part in series)
    known = np.isfinite(years) & np.isfinite(values)
    if not known.any():
        raise BadDataError(f"{path}: {dict(where) or column} holds no number; give another")
    years, values = years[known], values[known]
    if (np.diff(years) <= 0).any():
        wrong = years[1:][np.diff(years) <= 0][0]
        raise BadDataError(f"{path}: {wrong:g} stands twice or after a later year; write each year once, in order")
    return years, values


def at_months(years: Array, values: Array, months: Array, at: str) -> Array:
    """Annual means at the middle of months, linear between the middles of years; at annual dates the means.

    Raises:
        BadDataError: months outside the years.
    """
    wanted = months.astype("datetime64[Y]").astype(int) + 1970
    if wanted[0] < years[0] or wanted[-1] > years[-1]:
        raise BadDataError(
            f"{at}: {years[0]:g} to {years[-1]:g}, its targets are of {wanted[0]} to {wanted[-1]}; give the same years"
        )
    within = 0.5 if is_annual(months) else (months.astype(int) % 12 + 0.5) / 12
    return np.interp(wanted + within, years + 0.5, values)


def _row(path: Path, table: pd.DataFrame, where: Mapping[str, str]) -> tuple[pd.Series, pd.Series]:
    import pandas as pd  # noqa: PLC0415

    for name in where:
        _require(path, table, name)
    chosen = table.loc[(table[list(where)] == pd.Series(dict(where))).all(axis=1)]
    if len(chosen) != 1:
        what = ", ".join(f"{name} = {value}" for name, value in where.items())
        raise BadDataError(f"{path}: {len(chosen)} rows with {what}; one is needed, set where")
    years = pd.Series([name for name in table.columns if str(name).isdigit()], dtype=object)
    return years, chosen.iloc[0][years]


def _column(path: Path, table: pd.DataFrame, column: str) -> tuple[pd.Series, pd.Series]:
    _require(path, table, column)
    return table.iloc[:, 0], table[column]


def _require(path: Path, table: pd.DataFrame, column: str) -> None:
    if column not in table.columns:
        raise BadDataError(f"{path}: no column {column}; {suggest(column, map(str, table.columns))}")
