"""The cases that every forecast and baseline has, so that all are scored on the same ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from weatherml.errors import BadDataError
from weatherml.verify.baselines.base import Baseline
from weatherml.verify.files.forecasts import ForecastFile
from weatherml.verify.files.truth import Truth

Array = npt.NDArray[Any]
Reference: TypeAlias = Baseline | ForecastFile
"""What forecasts are held against: a baseline, or the file of another forecast that serves as one."""


@dataclass(frozen=True, kw_only=True)
class Cases:
    """What is scored.

    Attributes:
        init_times: (I,) datetime64[s], increasing; each has truth at one lead at least.
        lead_times: (L,) timedelta64[s], increasing.
        variables: names, in the truth's order.
        notes: in words, what was left out.
    """

    init_times: Array
    lead_times: Array
    variables: list[str]
    notes: tuple[str, ...]

    @property
    def lead_hours(self) -> list[float]:
        """The lead times in hours."""
        return [float(hours) for hours in self.lead_times / np.timedelta64(1, "h")]


def common_cases(truth: Truth, forecasts: Sequence[ForecastFile], baselines: Sequence[Reference]) -> Cases:
    """The initial times, lead times and variables that all have; of a baseline's variables as many as it has.

    Raises:
        BadDataError: nothing is common; the message says what each holds.
    """
    files = [*forecasts, *(baseline for baseline in baselines if isinstance(baseline, ForecastFile))]
    leads = np.unique(reduce(np.intersect1d, [file.lead_times for file in files]))  # of one file, they are unsorted
    variables = [name for name in truth.variables if all(name in forecast.variables for forecast in forecasts)]
    shared = np.unique(reduce(np.intersect1d, [file.init_times for file in files]))
    inits = np.array([init for init in shared if truth.has(init + leads).any()], dtype="datetime64[s]")
    for baseline in baselines:
        inits = inits[baseline.available(inits)]
    _require(truth, files, baselines, [len(leads), len(variables), len(inits)])
    notes = [note for file in files for note in _notes(file, inits, leads, variables)]
    notes += [_lacking(baseline, variables) for baseline in baselines if not set(variables) <= {*baseline.variables}]
    notes += _beyond(truth, inits, leads)
    return Cases(init_times=inits, lead_times=leads, variables=variables, notes=tuple(notes))


def _lacking(baseline: Reference, variables: list[str]) -> str:
    missing = [name for name in variables if name not in baseline.variables]
    return f"{baseline.name}: does not forecast {', '.join(missing)}; no baseline there"


def _beyond(truth: Truth, inits: Array, leads: Array) -> list[str]:
    """In words, how many leads of the cases the truth does not hold."""
    seen = truth.has(inits[:, None] + leads)
    ends = f"which ends {truth.times[-1]}Z" if (inits[-1] + leads[-1]) > truth.times[-1] else "which has gaps"
    left = f"{int((~seen).sum())} of {seen.size} forecasts (initial and lead time) are not in the truth, {ends}; "
    return [] if seen.all() else [f"{left}{int(seen.sum())} are scored"]


def _require(
    truth: Truth, forecasts: Sequence[ForecastFile], baselines: Sequence[Reference], counts: list[int]
) -> None:
    missing = [what for what, count in zip(("lead time", "variable", "case"), counts, strict=True) if not count]
    if missing:
        held = "; ".join(f"{forecast.name} {_extent(forecast)}" for forecast in forecasts)
        others = [baseline.name for baseline in baselines if isinstance(baseline, Baseline)]
        beside = f" (with {', '.join(others)})" if others else ""
        raise BadDataError(
            f"{truth.path}: no {missing[0]} in common{beside}: truth {_span(truth.times)}; {held}; "
            "give forecasts and a truth of the same time"
        )


def _extent(forecast: ForecastFile) -> str:
    leads = forecast.lead_times / np.timedelta64(1, "h")
    names = ", ".join(forecast.variables)
    return f"{_span(forecast.init_times)}, leads {leads.min():g} to {leads.max():g} h, variables {names}"


def _span(times: Array) -> str:
    return f"{times.min()}Z to {times.max()}Z" if len(times) else "empty"


def _notes(forecast: ForecastFile, inits: Array, leads: Array, variables: list[str]) -> list[str]:
    """What the reader of the scores has to know of this file."""
    means = [name for name in variables if forecast.arrays.get(name, name) != name]
    taken = [f"{forecast.name}: {', '.join(means)}: no members, so the ensemble mean is scored"] if means else []
    return [*_left_out(forecast, inits, leads, variables), *taken]


def _left_out(forecast: ForecastFile, inits: Array, leads: Array, variables: list[str]) -> list[str]:
    """One line for each kind of thing that this file has and the others, or the truth, lack."""
    kinds = (
        ("initial times", forecast.init_times, inits),
        ("lead times", forecast.lead_times, leads),
        ("variables", np.array(forecast.variables), np.array(variables)),
    )
    lost = [(what, int((~np.isin(has, kept)).sum()), len(has)) for what, has, kept in kinds]
    return [
        f"{forecast.name}: {left} of {held} {what} left out: not in every forecast and the truth"
        for what, left, held in lost
        if left
    ]
