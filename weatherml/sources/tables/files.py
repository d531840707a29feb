"""One table file, whatever its layout, as a frame of numbers by place and date."""

from __future__ import annotations

import re
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from weatherml.errors import BadDataError, UnavailableError, reason
from weatherml.sources.tables.format import TableFormat

PLACE, DATE = "__place__", "__date__"
NETCDF, PARQUET = (".nc", ".nc4", ".cdf"), (".parquet", ".pq")


def read_table(path: Path, layout: TableFormat) -> pd.DataFrame:
    """The numeric columns of a file as float32, and `PLACE` and, unless static, `DATE`, each pair of them once.

    Raises:
        BadDataError: it cannot be read, lacks a column, or its dates are unsorted or stand twice in a place.
        UnavailableError: parquet without pyarrow.
    """
    frame = _read(path, layout)
    used = [name for name in (layout.place, *layout.date_columns) if name is not None]
    if absent := [name for name in used if name not in frame]:
        found = ", ".join(map(str, frame.columns[:8]))
        raise BadDataError(f"{path}: no column {absent[0]!r} among {found}; set the source's place and date")
    numbers = frame.drop(columns=used).select_dtypes("number").astype(np.float32)
    numbers = numbers.mask(numbers.isin(layout.missing) | ~np.isfinite(numbers))
    numbers[PLACE] = re.split(r"[_.]", path.name)[0] if layout.place is None else _text(frame[layout.place])
    if layout.date is not None:
        numbers[DATE] = _dates(path, frame, layout)
    _check_order(path, numbers)
    return numbers


def _read(path: Path, layout: TableFormat) -> pd.DataFrame:
    if path.suffix in PARQUET and find_spec("pyarrow") is None:
        raise UnavailableError(f"{path}: parquet needs pyarrow, which is not installed; install it, or give CSV")
    try:
        if path.suffix in PARQUET:
            frame: pd.DataFrame = pd.read_parquet(path)
            return frame
        return _read_netcdf(path) if path.suffix in NETCDF else _read_text(path, layout)
    except (OSError, ValueError) as error:  # pandas' parser errors and UnicodeDecodeError are ValueErrors
        raise BadDataError(f"{path}: cannot be read ({reason(error)}); see the source's formats") from None


def _read_text(path: Path, layout: TableFormat) -> pd.DataFrame:
    as_text = {name: str for name in (layout.place, *layout.date_columns) if name is not None}
    names: dict[str, Any] = {"names": list(layout.columns), "header": None} if layout.columns else {}
    separator = r"\s+" if layout.separator == "whitespace" else layout.separator
    frame: pd.DataFrame = pd.read_csv(path, sep=separator, skiprows=layout.skip_lines, dtype=as_text, **names)
    return frame


def _read_netcdf(path: Path) -> pd.DataFrame:
    import xarray as xr  # noqa: PLC0415 - slow to import, and only for these files

    with xr.open_dataset(path, engine="netcdf4") as dataset:
        frame: pd.DataFrame = dataset.to_dataframe().reset_index()
    return frame


def _text(column: pd.Series[Any]) -> pd.Series[str]:
    return column.astype(str).str.strip()


def _dates(path: Path, frame: pd.DataFrame, layout: TableFormat) -> pd.Series[Any]:
    """Days, datetime64[s]."""
    parts = [_text(frame[name]) for name in layout.date_columns]
    text = parts[0]
    for part in parts[1:]:
        text = text + "-" + part.str.zfill(2)
    dates = pd.to_datetime(text, errors="coerce", format="ISO8601")
    if dates.isna().any():
        row = int(np.flatnonzero(dates.isna())[0])
        raise BadDataError(f"{path}: row {row + 1}: {text.iloc[row]!r} is no date; write YYYY-MM-DD, or set date")
    return dates.dt.tz_localize(None).dt.floor("D").astype("datetime64[s]")


def _check_order(path: Path, frame: pd.DataFrame) -> None:
    """Refuse a place twice at one date, and dates that go back."""
    keys = [name for name in (PLACE, DATE) if name in frame]
    if (twice := frame.duplicated(keys)).any():
        row = frame[twice].iloc[0]
        when = f" at {row[DATE]:%Y-%m-%d}" if DATE in frame else ""
        raise BadDataError(f"{path}: place {row[PLACE]}{when} stands twice; keep one row")
    if DATE in frame:
        back = frame.groupby(PLACE, sort=False)[DATE].diff() < pd.Timedelta(0)
        if back.any():
            row = frame[back].iloc[0]
            raise BadDataError(
                f"{path}: place {row[PLACE]}: {row[DATE]:%Y-%m-%d} stands after a later date; sort the rows"
            )
