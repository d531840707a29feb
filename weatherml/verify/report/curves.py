"""The report's curves of scores against lead time, and its spectra."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from markupsafe import Markup
from torch import Tensor

from weatherml.metrics.base import Metric
from weatherml.metrics.events import EventMetric
from weatherml.page.charts import Axis, Chart, Series, line_chart, linear_axis, power_axis
from weatherml.verify.report.diagrams import diagram_charts
from weatherml.verify.report.styles import styles
from weatherml.verify.scores import TRUTH, Scores

Array = npt.NDArray[Any]
HEADLINE = "rmse"
ALL_VALUES, ENSEMBLE = "All values", "Ensemble"
DISTRIBUTION = ("crps",)  # of deterministic forecasts too, but made for ensembles


@dataclass(frozen=True, kw_only=True)
class Group:
    """Charts that belong together: the continuous scores, those of ensembles, those of one event.

    Attributes:
        title: in words.
        unfolded: shown without being asked for.
        charts: in their order.
    """

    title: str
    unfolded: bool
    charts: list[Chart]


def score_groups(scores: Scores, variable: str) -> list[Group]:
    """All curves and diagrams of a variable, the headline's first; a metric that nobody has is left out."""
    ensembles = any(scores.metadata["members"][name] > 1 for name in scores.names)
    groups: dict[str, list[Chart]] = {}
    for metric in sorted(scores.cards[variable].values(), key=_place):
        if any(metric.name in scores.curves[name][variable] for name in scores.names):
            charts = [score_chart(scores, variable, metric), *diagram_charts(scores, variable, metric)]
            groups.setdefault(group_title(metric, ensembles=ensembles), []).extend(charts)
    return [
        Group(title=title, unfolded=title in (ALL_VALUES, ENSEMBLE), charts=charts) for title, charts in groups.items()
    ]


def _place(metric: Metric) -> tuple[bool, ...]:
    return metric.kind != HEADLINE, isinstance(metric, EventMetric), metric.needs_members


def group_title(metric: Metric, *, ensembles: bool) -> str:
    """All values or the ensemble as a distribution; or the event in words."""
    if not isinstance(metric, EventMetric):
        return ENSEMBLE if metric.needs_members or (ensembles and metric.kind in DISTRIBUTION) else ALL_VALUES
    sign = "≥" if metric.side == "above" else "≤"
    of = "Probability of" if metric.needs_members else "Events"
    return f"{of} {sign} {metric.threshold:g} {metric.units_of_threshold}"


def score_chart(scores: Scores, variable: str, metric: Metric) -> Chart:
    """One metric against lead time, with intervals."""
    hours = np.array(scores.cases.lead_hours)
    look = styles(scores)
    found = {name: scores.curves[name][variable].get(metric.name) for name in scores.names}
    series = [
        Series(name=name, style=look[name], x=hours, y=_np(c.value), low=_np(c.low), high=_np(c.high))
        for name, c in found.items()
        if c is not None
    ]
    reach = np.concatenate([part for line in series for part in (line.y, line.low, line.high) if part is not None])
    units = metric.units or scores.variables[variable].units
    svg = line_chart(
        series, hour_axis(hours), linear_axis(reach, include=(0.0, metric.perfect)),
        x_label="lead time (h)", mark=metric.perfect,
    )  # fmt: skip
    return Chart(name=metric.name, units="" if units == "1" else units, svg=svg)


def spectrum_charts(scores: Scores, variable: str, spacing_km: float | None, cells: int) -> list[Chart]:
    """Power against wavelength at the first and the last lead that were scored."""
    spectra = {name: _np(power[variable]) for name, power in scores.spectra.items() if variable in power}
    if TRUTH not in spectra:
        return []
    known = np.flatnonzero(np.isfinite(spectra[TRUTH]).all(axis=-1) & (spectra[TRUTH] > 0).any(axis=-1))
    return [
        Chart(
            name=f"spectrum at {scores.cases.lead_hours[lead]:g} h",
            units=f"power, {scores.variables[variable].units} squared",
            svg=_spectrum_chart(scores, {name: power[lead] for name, power in spectra.items()}, spacing_km, cells),
        )
        for lead in sorted({known[0], known[-1]} if len(known) else ())
    ]


def _spectrum_chart(scores: Scores, spectra: dict[str, Array], spacing_km: float | None, cells: int) -> Markup:
    look = styles(scores) | {TRUTH: "truth"}
    wavenumber = np.arange(1, len(spectra[TRUTH]) + 1)
    series = [
        Series(name=name, style=look[name], x=wavenumber, y=spectra[name])
        for name in (*scores.names, TRUTH)
        if name in spectra
    ]
    reach = np.concatenate([line.y for line in series])
    largest = np.nanmax(reach, initial=0.0)
    y = power_axis(np.where(reach > 1e-8 * largest, reach, np.nan))  # the floor of rounding is no science
    label = "wavelength (km)" if spacing_km else "wavelength (cells)"
    return line_chart(series, wavelength_axis(len(wavenumber), cells * (spacing_km or 1.0)), y, x_label=label)


def hour_axis(hours: Array) -> Axis:
    """Lead times, from the initial time on."""
    return linear_axis(hours, include=(0.0,), ticks=8, whole=bool(hours.max() >= 4))


def wavelength_axis(bins: int, longest: float) -> Axis:
    """Wavenumbers 1 .. bins on a logarithmic axis, labelled with their wavelengths; `longest` is that of 1."""
    numbers = [number for number in (1, 2, 4, 8, 16, 32, 64, 128, 256, 512) if number <= bins]
    ticks = [(float(number), f"{longest / number:.3g}") for number in numbers]
    return Axis(low=1.0, high=float(max(bins, 2)), ticks=ticks, log=True)


def _np(values: Tensor) -> Array:
    return values.numpy()
