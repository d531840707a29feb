"""Scenarios in memory, and what makes sequences of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from weatherml.errors import BadDataError
from weatherml.grid import Grid
from weatherml.sources.climate.calendar import YEAR, is_annual
from weatherml.sources.climate.variables import LATITUDE, LOG_CO2, MONTH_COS, MONTH_SIN
from weatherml.sources.sequences import Sequences, complete_samples
from weatherml.variables import Variable

Array = npt.NDArray[Any]


@dataclass(frozen=True, kw_only=True)
class Scenario:
    """One course of the climate: a scenario, or a member of it.

    Attributes:
        name: of the series.
        months: (T,) datetime64[M].
        values: by variable, (T,) of the world or (T, H, W).
        part: (T,) int8, see `Sequences.part`; the targets that a sequence does not reach included.
    """

    name: str
    months: Array
    values: Mapping[str, Array]
    part: Array


@dataclass(frozen=True, kw_only=True)
class Archive:
    """What a source has read.

    Attributes:
        grid: of all maps.
        scenarios: each of the same variables.
        inputs: the forcings, in order.
        targets: the fields to learn, in order.
        files: every file read, with its size in bytes.
        notes: in words, what was left out and why.
    """

    grid: Grid
    scenarios: Sequence[Scenario]
    inputs: tuple[Variable, ...]
    targets: tuple[Variable, ...]
    files: Mapping[str, int]
    notes: tuple[str, ...] = ()


def with_log_co2(archive: Archive) -> Archive:
    """The archive with the logarithm of CO2, to which its forcing is proportional (Myhre et al. 1998).

    Raises:
        BadDataError: CO2 that is not above 0.
    """
    for scenario in archive.scenarios:
        if "co2" in scenario.values and not (scenario.values["co2"] > 0).all():
            raise BadDataError(f"{scenario.name}: CO2 is not above 0 everywhere; set log_co2=false")
    return replace(
        archive,
        inputs=tuple(LOG_CO2 if variable.name == "co2" else variable for variable in archive.inputs),
        scenarios=[
            replace(each, values={k: np.log(v) if k == "co2" else v for k, v in each.values.items()})
            for each in archive.scenarios
        ],
    )


def sequences(archive: Archive, length: int) -> Sequences:
    """Sequences of `length` steps, none of which crosses from one scenario to another.

    Raises:
        BadDataError: a scenario shorter than a sequence, or one annual and another monthly.
    """
    annual = _common_period(archive.scenarios)
    for scenario in archive.scenarios:
        if len(scenario.months) < length:
            raise BadDataError(
                f"{scenario.name}: {len(scenario.months)} dates, a sequence has {length}; set a shorter length"
            )
    months = _padded([scenario.months for scenario in archive.scenarios], np.datetime64("NaT", "M"))
    calendar = () if annual else (MONTH_SIN, MONTH_COS)
    features = {LATITUDE.name: archive.grid.y[:, None] / 90.0, **({} if annual else _seasons(months))}
    known = complete_samples(months, length=length, lead=0, step=YEAR if annual else np.timedelta64(1, "M"))
    part = _padded([scenario.part for scenario in archive.scenarios], -1)
    notes = ("month_sin, month_cos: the data are annual, left out",) if annual else ()
    return Sequences(
        task="emulate",
        length=length,
        lead=0,
        grid=archive.grid,
        series=tuple(scenario.name for scenario in archive.scenarios),
        times=months.astype("datetime64[s]"),
        inputs=(*archive.inputs, *calendar, LATITUDE),
        targets=archive.targets,
        values=_values(archive) | {name: _maps(values, months, archive.grid) for name, values in features.items()},
        part=np.where(known, part, -1).astype(np.int8),
        files=dict(archive.files),
        notes=(*archive.notes, *notes),
    )


def _common_period(scenarios: Sequence[Scenario]) -> bool:
    """Whether the scenarios are annual."""
    annual = [is_annual(scenario.months) for scenario in scenarios]
    if len(set(annual)) > 1:
        other = scenarios[annual.index(not annual[0])]
        raise BadDataError(f"{other.name}: annual where another scenario is monthly, or the reverse; give one of them")
    return annual[0]


def _seasons(months: Array) -> dict[str, Array]:
    """Sine and cosine of the month, (N, T, 1, 1)."""
    angle = 2 * np.pi * (months.astype(int) % 12)[..., None, None] / 12
    return {MONTH_SIN.name: np.sin(angle), MONTH_COS.name: np.cos(angle)}


def _values(archive: Archive) -> dict[str, Array]:
    """Inputs and targets, (N, T, H, W) float32, those of the world at every point."""
    values = {}
    for variable in (*archive.inputs, *archive.targets):
        courses = [np.asarray(scenario.values[variable.name], np.float32) for scenario in archive.scenarios]
        maps = [course if course.ndim == 3 else course[:, None, None] for course in courses]
        sized = [np.broadcast_to(course, (len(course), *archive.grid.shape)) for course in maps]
        values[variable.name] = _padded(sized, np.nan)
    return values


def _maps(values: Array, months: Array, grid: Grid) -> Array:
    """(N, T, H, W) float32 of values that broadcast to it, NaN beyond a series' end."""
    there = ~np.isnat(months)[..., None, None]
    return np.where(there, np.broadcast_to(values, (*months.shape, *grid.shape)), np.nan).astype(np.float32)


def _padded(rows: Sequence[Array], fill: Any) -> Array:
    """Rows of different length as one array."""
    whole = np.full((len(rows), max(map(len, rows)), *rows[0].shape[1:]), fill, rows[0].dtype)
    for row, values in zip(whole, rows, strict=True):
        row[: len(values)] = values
    return whole
