"""The charts of the page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from weatherml.data.quality_page.numbers import Ranges, hour_of_day, mean_by, month_of_year
from weatherml.page.charts import Axis, Chart, Series, chart, linear_axis, seconds
from weatherml.variables import Variable

Array = npt.NDArray[Any]
MOST_TICKS = 6
TICKS = {"m": (5, 15, 30), "h": (1, 3, 6, 12), "D": (1, 2, 7), "M": (1, 3), "Y": (1, 5, 20, 100)}
WRITTEN = {"m": slice(11, 16), "h": slice(11, 16), "D": slice(5, 10), "M": slice(0, 7), "Y": slice(0, 4)}
"""The part of an ISO time that a tick says."""
MEANS = {"m": "minute's", "h": "hourly", "D": "daily"}
TIME = "time (UTC)"
VOID = "nothing known"


def time_axis(times: Array) -> Axis:
    """An axis over the record, with at most `MOST_TICKS` ticks at whole hours, days, months or years."""
    times = times.astype("datetime64[s]")
    first, last = times[0], times[-1]
    choices = ((unit, _ticks(first, last, unit, every)) for unit, multiples in TICKS.items() for every in multiples)
    unit, ticks = next((choice for choice in choices if len(choice[1]) <= MOST_TICKS), ("Y", times[:1]))
    low, high = seconds(times[[0, -1]])
    labels = [(at, str(tick)[WRITTEN[unit]]) for at, tick in zip(seconds(ticks), ticks, strict=True)]
    return Axis(low=low, high=max(high, low + 1), ticks=labels)


def _ticks(first: np.datetime64, last: np.datetime64, unit: str, every: int) -> Array:
    """Times from `first` to `last` at multiples of `every` units."""
    low, high = (int(end.astype(f"datetime64[{unit}]").astype(np.int64)) for end in (first, last))
    numbers = np.arange(-(-low // every) * every, high + 1, every)
    ticks = numbers.astype(f"datetime64[{unit}]").astype("datetime64[s]")
    return ticks[(ticks >= first) & (ticks <= last)]


def range_chart(variable: Variable, ranges: Ranges, c: int, periods: Array) -> Chart:
    """Smallest to largest value of each period as a band, its mean as a line, and the valid range."""
    low, high, mean = ranges.minimum[:, c], ranges.maximum[:, c], ranges.mean[:, c]
    bounds = [bound for bound in (variable.valid_min, variable.valid_max) if bound is not None]
    edges = [
        Series(name="smallest", style="thin f0", x=periods, y=low),
        Series(name="largest", style="thin f0", x=periods, y=high),
        *(Series(name=f"valid to {b:g}", style="bound", x=periods[[0, -1]], y=np.full(2, b)) for b in bounds),
    ]
    return chart(
        "smallest, mean and largest value",
        variable.units,
        [Series(name="mean", style="f0", x=periods, y=mean, low=low, high=high)],
        time_axis(periods),
        linear_axis(np.concatenate([low, high]), include=bounds),
        x_label=TIME,
        y_label=variable.label,
        behind=edges,
        text=f"{variable.label}: {np.nanmin(low):.4g} to {np.nanmax(high):.4g}, mean {np.nanmean(mean):.4g}",
        void=VOID,
    )


def mean_chart(variable: Variable, periods: Array, means: Array, shifted: Sequence[np.datetime64]) -> Chart:
    """The mean of each day or hour, and the days from which on it is another."""
    y, name = linear_axis(means), f"{MEANS[np.datetime_data(periods.dtype)[0]]} mean"
    return chart(
        name,
        variable.units,
        [Series(name=name, style="f0 fine", x=periods, y=means)],
        time_axis(periods),
        y,
        x_label=TIME,
        y_label=variable.label,
        behind=[
            Series(name=f"shift at {day}", style="shift", x=np.repeat(day, 2), y=np.array([y.low, y.high]))
            for day in shifted
        ],
        text=f"{variable.label}, {name}; " + (f"shifts at {', '.join(map(str, shifted))}" if shifted else "no shift"),
        void=VOID,
    )


def missing_chart(variable: Variable, periods: Array, share: Array) -> Chart:
    """The share of missing points of each day or hour."""
    percent = 100 * share
    most = float(np.nanmax(percent, initial=0.0))
    return chart(
        "missing points",
        "%",
        [Series(name="missing", style="f1 fine", x=periods, y=percent)],
        time_axis(periods),
        linear_axis(percent, include=(0.0,) if most else (0.0, 1.0)),
        x_label=TIME,
        y_label="missing points (%)",
        text=f"{variable.label}: missing points, at most {most:.3g} %",
        void=VOID,
    )


def activity_charts(times: Array, shares: Mapping[float, Array], variable: Variable) -> list[Chart]:
    """The mean share of the area beyond each threshold, by hour of the day and by month, where there are several."""
    cycles = (
        ("by hour of the day", hour_of_day(times), np.arange(24), "hour, UTC"),
        ("by month", month_of_year(times), np.arange(1, 13), "month"),
    )
    return [
        _cycle_chart(name, variable, shares, group, numbers=numbers, x_label=x_label)
        for name, group, numbers, x_label in cycles
        if len(np.unique(group)) > 1
    ]


def _cycle_chart(
    name: str, variable: Variable, shares: Mapping[float, Array], group: Array, *, numbers: Array, x_label: str
) -> Chart:
    means = {at: 100 * mean_by(share, group, len(numbers)) for at, share in shares.items()}
    peaks = [f"{at:g}: most at {numbers[np.nanargmax(mean)]}" for at, mean in means.items() if np.isfinite(mean).any()]
    return chart(
        name,
        "% of the area",
        [
            Series(name=f"{at:g} {variable.units}", style=f"f{i}", x=numbers.astype(float), y=mean)
            for i, (at, mean) in enumerate(means.items())
        ],
        linear_axis(numbers, ticks=8, whole=True),
        linear_axis(np.concatenate(list(means.values())), include=(0.0,)),
        x_label=x_label,
        y_label="area (%)",
        text=f"{variable.label}, area beyond a threshold by {x_label}; " + "; ".join(peaks),
        void=VOID,
    )
