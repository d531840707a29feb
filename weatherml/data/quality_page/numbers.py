"""The numbers of the page: what was found by period, and the extremes and means of each."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from weatherml.data.consumed import unstamp
from weatherml.data.summary import Summary

Array = npt.NDArray[Any]
PERIODS = (("m", 3 * 3600), ("h", 48 * 3600), ("D", 62 * 86400), ("M", 15 * 366 * 86400))
"""Unit of a period, and the longest record in seconds that is told in it; beyond, years."""
FINDINGS = ("masked", "constant", "repeated")
COUNTED = ("present", "missing", "quarantined", *FINDINGS)


@dataclass(frozen=True, kw_only=True)
class Ranges:
    """Physical values by period, each (P, C); NaN where a period has none."""

    minimum: Array
    mean: Array
    maximum: Array


def period_unit(times: Array) -> str:
    """The numpy unit in which a record is told: about ten to two hundred periods."""
    seconds = (times[-1] - times[0]).astype("timedelta64[s]").astype(np.int64)
    return next((unit for unit, longest in PERIODS if seconds <= longest), "Y")


def grouped(times: Array, unit: str) -> tuple[Array, Array]:
    """(P,) periods of increasing times, and the index at which each begins."""
    periods, starts = np.unique(times.astype(f"datetime64[{unit}]"), return_index=True)
    return periods, starts


def ranges(summary: Summary, starts: Array) -> Ranges:
    """Smallest, mean and largest value of each period that begins at `starts`."""
    return Ranges(
        minimum=np.fmin.reduceat(summary.minimum, starts),
        mean=mean_from(summary.mean, starts),
        maximum=np.fmax.reduceat(summary.maximum, starts),
    )


def mean_from(values: Array, starts: Array) -> Array:
    """(P, ...) means of the known ones of (N, ...) values, NaN where there is none."""
    known = np.isfinite(values)
    total = np.add.reduceat(np.where(known, values, 0.0), starts, dtype=np.float64)
    count = np.add.reduceat(known, starts, dtype=np.int64)
    return np.asarray(np.divide(total, count, out=np.full(total.shape, np.nan), where=count > 0))


def mean_by(values: Array, group: Array, groups: int) -> Array:
    """(groups,) means of the known ones of (N,) values by their group's number, NaN where there is none."""
    known = np.isfinite(values)
    total = np.bincount(group[known], weights=values[known], minlength=groups)
    count = np.bincount(group[known], minlength=groups)
    return np.asarray(np.divide(total, count, out=np.full(groups, np.nan), where=count > 0))


def hour_of_day(times: Array) -> Array:
    """(N,) 0 to 23, UTC."""
    return times.astype("datetime64[h]").astype(np.int64) % 24


def month_of_year(times: Array) -> Array:
    """(N,) 0 to 11."""
    return times.astype("datetime64[M]").astype(np.int64) % 12


def counts(times: Array, quality: Mapping[str, Any], unit: str) -> dict[str, list[int]]:
    """By period, how many times or findings of each of `COUNTED`."""
    found: dict[str, Iterable[str]] = {"missing": quality["missing"], "quarantined": quality["quarantined"]}
    found |= {kind: [each["time"] for each in quality["findings"] if each["finding"] == kind] for kind in FINDINGS}
    tallies = {"present": _tally(times, unit)}
    tallies |= {kind: _tally(np.array([*map(unstamp, at)], "datetime64[s]"), unit) for kind, at in found.items()}
    periods = sorted(set().union(*tallies.values()))
    return {period: [tallies[kind][period] for kind in COUNTED] for period in periods}


def _tally(times: Array, unit: str) -> Counter[str]:
    return Counter(map(str, times.astype(f"datetime64[{unit}]")))
