"""Tables of several files side by side: every column by place and day."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from weatherml.errors import BadDataError
from weatherml.sources.tables.files import DATE, PLACE

Array = npt.NDArray[Any]
UNITS = re.compile(r"\s*(.*?)\s*(?:[(\[](.*)[)\]])?\s*")
"""`prcp(mm/day)` or `prcp [mm/day]`."""


@dataclass(frozen=True, kw_only=True)
class Days:
    """What N places tell of up to T days each.

    Attributes:
        series: (N,) places.
        times: (N, T) datetime64[s], increasing; NaT beyond a place's end.
        columns: by name, (N, T) float32, NaN where missing; what does not change in a place stands at every day.
        units: of the columns that state them.
    """

    series: tuple[str, ...]
    times: Array
    columns: dict[str, Array]
    units: dict[str, str]


def join(tables: Sequence[Sequence[pd.DataFrame]], at: str) -> Days:
    """The tables of each format one below the other, the formats side by side by place and day.

    Args:
        tables: of each format, the tables of its files.
        at: the inputs in words.

    Raises:
        BadDataError: no table has dates, a column stands in two formats, or a place and day in two files of one.
    """
    units: dict[str, str] = {}
    whole = [_below(frames, units, at) for frames in tables if frames]
    dated = [frame for frame in whole if frame.index.nlevels == 2]
    if not dated:
        raise BadDataError(f"{at}: no table with dates; set the date column of a format")
    daily = pd.concat(dated, axis=1, join="outer").sort_index()
    for static in (frame for frame in whole if frame.index.nlevels == 1):
        daily = daily.join(static, on=PLACE)
    if (twice := daily.columns[daily.columns.duplicated()]).size:
        raise BadDataError(f"{at}: column {twice[0]!r} stands in two formats; drop one by its format's columns")
    return _padded(daily, units)


def _below(frames: Sequence[pd.DataFrame], units: dict[str, str], at: str) -> pd.DataFrame:
    """The tables of one format, indexed by place or by place and date; notes the units."""
    keys = [name for name in (PLACE, DATE) if name in frames[0]]
    frame = pd.concat(frames, ignore_index=True).set_index(keys)
    named = [_name_and_units(str(column)) for column in frame.columns]
    units.update({name: unit for name, unit in named if unit})
    frame.columns = pd.Index([name for name, _ in named])
    if (twice := frame.index.duplicated()).any():
        place, *date = np.atleast_1d(np.array(frame.index[twice][0], dtype=object))
        when = f" at {date[0]:%Y-%m-%d}" if date else ""
        raise BadDataError(f"{at}: place {place}{when} stands in two files; keep one")
    return frame


def _name_and_units(column: str) -> tuple[str, str]:
    match = UNITS.fullmatch(column)
    name, unit = match.groups() if match else (column, None)
    return re.sub(r"\W+", "_", name).strip("_").lower(), unit or ""


def _padded(daily: pd.DataFrame, units: dict[str, str]) -> Days:
    place, series = pd.factorize(daily.index.get_level_values(PLACE))
    day = daily.groupby(level=PLACE).cumcount().to_numpy()
    shape = (len(series), int(day.max()) + 1)
    times = np.full(shape, np.datetime64("NaT"), "datetime64[s]")
    times[place, day] = daily.index.get_level_values(DATE).to_numpy().astype("datetime64[s]")
    columns = {}
    for name in daily.columns:
        columns[name] = np.full(shape, np.nan, np.float32)
        columns[name][place, day] = daily[name].to_numpy()
    return Days(series=tuple(map(str, series)), times=times, columns=columns, units=units)
