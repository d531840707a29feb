"""The charts of the page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from markupsafe import Markup

from weatherml.data.quality_page.numbers import Ranges, hour_of_day, mean_by, month_of_year
from weatherml.page.charts import Axis, Chart, Series, line_chart, linear_axis
from weatherml.variables import Variable

Array = npt.NDArray[Any]
MOST_TICKS = 6
TICKS = {"m": (5, 15, 30), "h": (1, 3, 6, 12), "D": (1, 2, 7), "M": (1, 3), "Y": (1, 5, 20, 100)}
WRITTEN = {"m": slice(11, 16), "h": slice(11, 16), "D": slice(5, 10), "M": slice(0, 7), "Y": slice(0, 4)}
"""The part of an ISO time that a tick says."""
MEANS = {"m": "minute's", "h": "hourly", "D": "daily"}
VOID = "nothing known"


def time_axis(times: Array) -> Axis:
    """Seconds since 1970 over the record, with at most `MOST_TICKS` ticks at whole hours, days, months or years."""
    first, last = times[0], times[-1]
    choices = ((unit, _ticks(first, last, unit, every)) for unit, multiples in TICKS.items() for every in multiples)
    unit, ticks = next((choice for choice in choices if len(choice[1]) <= MOST_TICKS), ("Y", times[:1]))
    low, high = (float(_seconds(end)) for end in (first, last))
    labels = [(float(_seconds(tick)), str(tick)[WRITTEN[unit]]) for tick in ticks]
    return Axis(low=low, high=max(high, low + 1), ticks=labels)


def _ticks(first: np.datetime64, last: np.datetime64, unit: str, every: int) -> Array:
    """Times from `first` to `last` at multiples of `every` units."""
    low, high = (int(end.astype(f"datetime64[{unit}]").astype(np.int64)) for end in (first, last))
    numbers = np.arange(-(-low // every) * every, high + 1, every)
    ticks = numbers.astype(f"datetime64[{unit}]").astype("datetime64[s]")
    return ticks[(ticks >= first) & (ticks <= last)]


def _seconds(time: Any) -> Any:
    return time.astype("datetime64[s]").astype(np.int64)


def range_chart(variable: Variable, ranges: Ranges, c: int, periods: Array) -> Chart:
    """Smallest to largest value of each period as a band, its mean as a line, and the valid range."""
    times = periods.astype("datetime64[s]")
    x, axis = _seconds(times).astype(float), time_axis(times)
    low, high = ranges.minimum[:, c], ranges.maximum[:, c]
    bounds = [bound for bound in (variable.valid_min, variable.valid_max) if bound is not None]
    ends = np.array([axis.low, axis.high])
    series = [
        Series(name="mean", style="f0", x=x, y=ranges.mean[:, c], low=low, high=high),
        Series(name="smallest", style="thin f0", x=x, y=low),
        Series(name="largest", style="thin f0", x=x, y=high),
        *(Series(name=f"valid to {bound:g}", style="bound", x=ends, y=np.full(2, bound)) for bound in bounds),
    ]
    text = f"{variable.label}: {np.nanmin(low):.4g} to {np.nanmax(high):.4g}, mean {np.nanmean(ranges.mean[:, c]):.4g}"
    y = linear_axis(np.concatenate([low, high]), include=bounds)
    svg = line_chart(series, axis, y, x_label="UTC", text=text, void=VOID)
    return Chart(name="smallest, mean and largest value", units=variable.units, svg=svg)


def mean_chart(variable: Variable, periods: Array, means: Array, shifted: Sequence[np.datetime64]) -> Chart:
    """The mean of each day or hour, and the days from which on it is another."""
    times, axis, y = periods.astype("datetime64[s]"), time_axis(periods.astype("datetime64[s]")), linear_axis(means)
    lines = [
        Series(name=f"shift at {day}", style="shift", x=np.full(2, float(_seconds(day))), y=np.array([y.low, y.high]))
        for day in shifted
    ]
    name = f"{MEANS[np.datetime_data(periods.dtype)[0]]} mean"
    text = f"{variable.label}, {name}; " + (f"shifts at {', '.join(map(str, shifted))}" if shifted else "no shift")
    series = [Series(name=name, style="f0 fine", x=_seconds(times).astype(float), y=means), *lines]
    return Chart(name=name, units=variable.units, svg=line_chart(series, axis, y, x_label="UTC", text=text, void=VOID))


def missing_chart(variable: Variable, periods: Array, share: Array) -> Chart:
    """The share of missing points of each day or hour."""
    times, percent = periods.astype("datetime64[s]"), 100 * share
    most = float(np.nanmax(percent, initial=0.0))
    series = [Series(name="missing", style="f1 fine", x=_seconds(times).astype(float), y=percent)]
    y = linear_axis(percent, include=(0.0,) if most else (0.0, 1.0))
    text = f"{variable.label}: missing points, at most {most:.3g} %"
    svg = line_chart(series, time_axis(times), y, x_label="UTC", text=text, void=VOID)
    return Chart(name="missing points", units="%", svg=svg)


def activity_charts(times: Array, shares: Mapping[float, Array], variable: Variable) -> list[Chart]:
    """The mean share of the area beyond each threshold, by hour of the day and by month, where there are several."""
    cycles = (
        ("by hour of the day", hour_of_day(times), np.arange(24), "hour, UTC"),
        ("by month", month_of_year(times), np.arange(1, 13), "month"),
    )
    return [
        Chart(name=name, units="% of the area", svg=_cycle_svg(variable, shares, group, numbers, x_label))
        for name, group, numbers, x_label in cycles
        if len(np.unique(group)) > 1
    ]


def _cycle_svg(variable: Variable, shares: Mapping[float, Array], group: Array, numbers: Array, x_label: str) -> Markup:
    means = {at: 100 * mean_by(share, group, len(numbers)) for at, share in shares.items()}
    series = [
        Series(name=f"{at:g} {variable.units}", style=f"f{i}", x=numbers.astype(float), y=mean)
        for i, (at, mean) in enumerate(means.items())
    ]
    peaks = [f"{at:g}: most at {numbers[np.nanargmax(mean)]}" for at, mean in means.items() if np.isfinite(mean).any()]
    y = linear_axis(np.concatenate(list(means.values())), include=(0.0,))
    x = linear_axis(numbers, ticks=8, whole=True)
    text = f"{variable.label}, area beyond a threshold by {x_label}; " + "; ".join(peaks)
    return line_chart(series, x, y, x_label=x_label, text=text, void=VOID)
