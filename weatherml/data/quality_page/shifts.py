"""Sudden shifts: days at which a variable's level or spread is another than before, for a fortnight at least."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from numpy.lib.stride_tricks import sliding_window_view

from weatherml.data.quality_page.numbers import grouped, mean_from
from weatherml.data.statistics import ROW
from weatherml.data.summary import Summary

Array = npt.NDArray[Any]
WINDOW = 14  # days on each side
FEWEST = 7  # of them known
EDGE = 3  # days on each side between which most of a sudden change lies
SUDDEN = 0.5
RARE = 4.0  # times the usual change between such days
SHARPEST = 6.0  # a steady slope without noise reaches 2.7: 14 days' rise over the spread that it makes itself
MAD_TO_STD = 1.4826  # of a normal distribution
LEAST_SPREAD = 0.05  # of the whole record's: calm seasons shall not make weak changes large
MEAN, RANGE = "mean", "range"


@dataclass(frozen=True, kw_only=True)
class Shift:
    """A day from which on a variable is another.

    Attributes:
        variable: its name.
        measure: the daily `mean` (of transformed values), or `range`: the logarithm of largest less smallest value.
        day: the first one after the change.
        before: median of the fortnight before.
        after: median of the fortnight from `day` on.
        sharpness: the difference over the robust spread within the fortnights.
    """

    variable: str
    measure: str
    day: np.datetime64
    before: float
    after: float
    sharpness: float


def shifts(summary: Summary, names: Sequence[str], steps: Sequence[float]) -> list[Shift]:
    """All shifts of C variables with these packing steps, by variable and day."""
    days, starts = grouped(summary.times, "D")
    means = mean_from(summary.moments[:, :, ROW.index("state_mean")], starts)
    known = np.log(np.maximum(summary.maximum - summary.minimum, 0) + np.asarray(steps))
    spans = mean_from(known, starts)
    return [
        Shift(variable=name, measure=measure, day=days[day], before=before, after=after, sharpness=sharpness)
        for c, name in enumerate(names)
        for measure, daily in ((MEAN, means[:, c]), (RANGE, spans[:, c]))
        for day, before, after, sharpness in changes(days, daily)
    ]


def changes(days: Array, daily: Array) -> list[tuple[int, float, float, float]]:
    """Index of each day at which (D,) values change, the levels before and after, and the sharpness.

    Medians of a fortnight before and from the day on, over the median absolute deviation from them; most of their
    difference has to lie between the three days before and those from the day on, far more than usual. So neither a
    storm nor a change of season is a shift. Days that are absent count as unknown.
    """
    calendar, windows = _windows(days, daily)
    known = np.flatnonzero(_enough(windows))
    if len(known) == 0:
        return []
    windows = windows[known]
    levels = np.nanmedian(windows, axis=2)
    whole = np.nanmedian(np.abs(daily - np.nanmedian(daily)))
    sharpness, misfit = _sharpness(windows, levels, least=LEAST_SPREAD * whole)
    return [
        (
            int(np.searchsorted(days, calendar[known[at]])),
            float(levels[at, 0]),
            float(levels[at, 1]),
            float(sharpness[at]),
        )
        for at in _peaks(known, sharpness, misfit)
    ]


def _windows(days: Array, daily: Array) -> tuple[Array, Array]:
    """(D,) all days from the first to the last, and (D, 2, WINDOW) values before each and from it on; NaN unknown."""
    calendar = np.arange(days[0], days[-1] + 1)
    values = np.full(len(calendar) + 2 * WINDOW, np.nan)
    values[WINDOW + np.searchsorted(calendar, days)] = daily
    return calendar, sliding_window_view(values, 2 * WINDOW)[:-1].reshape(len(calendar), 2, WINDOW)


def _enough(windows: Array) -> Array:
    """(D,) where both sides are known well enough, the day itself and one just before it too."""
    known = np.isfinite(windows)
    both = (known.sum(axis=2) >= FEWEST).all(axis=1)
    return np.asarray(both & known[:, 1, 0] & known[:, 0, -EDGE:].any(axis=1))


def _sharpness(windows: Array, levels: Array, *, least: float) -> tuple[Array, Array]:
    """(K,) differences of (K, 2) levels over the spread within the windows, and the mean deviation over them.

    The spread is at `least` so large; what is not sudden has no sharpness.
    """
    deviations = np.abs(windows - levels[:, :, None]).reshape(len(windows), -1)
    spread = MAD_TO_STD * np.maximum(np.nanmedian(deviations, axis=1), least)
    jump = levels[:, 1] - levels[:, 0]
    edge = np.nanmedian(windows[:, 1, :EDGE], axis=1) - np.nanmedian(windows[:, 0, -EDGE:], axis=1)
    usual = MAD_TO_STD * float(np.median(np.abs(edge)))
    sudden = (jump != 0) & (edge * np.sign(jump) >= np.maximum(SUDDEN * np.abs(jump), RARE * usual))
    sharpness = np.divide(np.abs(jump), spread, out=np.full(len(jump), np.inf), where=spread > 0)
    misfit = np.divide(np.nanmean(deviations, axis=1), np.abs(jump), out=np.full(len(jump), np.inf), where=jump != 0)
    return np.where(sudden, sharpness, 0.0), misfit


def _peaks(days: Array, sharpness: Array, misfit: Array) -> list[int]:
    """Of each run of increasing `days` beyond `SHARPEST` the one that parts it best; positions."""
    beyond = np.flatnonzero(sharpness > SHARPEST)
    runs = np.split(beyond, np.flatnonzero(np.diff(days[beyond]) > WINDOW // 2) + 1)
    return [int(run[np.argmin(misfit[run])]) for run in runs if len(run)]
