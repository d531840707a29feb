"""The report's curves of scores against lead time, over all cases and by condition."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from weatherml.metrics.base import Metric
from weatherml.metrics.events import EventMetric
from weatherml.page.charts import Axis, Chart, Series, chart, linear_axis
from weatherml.verify.report.choice import chosen_metrics
from weatherml.verify.report.diagrams import diagram_charts
from weatherml.verify.report.styles import styles
from weatherml.verify.report.words import event, metric_label
from weatherml.verify.scores.scores import Curves, Scores

Array = npt.NDArray[Any]
HEADLINE = "rmse"
ALL_VALUES, ENSEMBLE = "All values", "Ensemble"
DISTRIBUTION = ("crps",)  # of deterministic forecasts too, but made for ensembles
BY_CONDITION = ("rmse", "crps", "csi")
CONDITIONS = {
    "hour_of_day": "By hour of the day (valid time, UTC)",
    "regime": "By regime (area of the event in the truth)",
    "region": "By region",
}
"""Titles; of a condition that is not named here, its own name."""


@dataclass(frozen=True, kw_only=True)
class Group:
    """Charts that belong together: the continuous scores, those of ensembles, those of one event.

    Attributes:
        title: in words.
        unfolded: shown without being asked for.
        charts: against lead time, in their order.
        diagrams: of single leads.
    """

    title: str
    unfolded: bool
    charts: list[Chart] = field(default_factory=list)
    diagrams: list[Chart] = field(default_factory=list)


def score_groups(scores: Scores, variable: str) -> list[Group]:
    """All curves and diagrams of a variable, the headline's first; a metric that nobody has is left out."""
    ensembles = any(scores.metadata["members"][name] > 1 for name in scores.names)
    groups: dict[str, Group] = {}
    for metric in sorted(scores.cards[variable].values(), key=_place):
        series = score_series(scores, scores.curves, variable, metric)
        if series:
            title = group_title(metric, ensembles=ensembles)
            group = groups.setdefault(title, Group(title=title, unfolded=title in (ALL_VALUES, ENSEMBLE)))
            group.charts.append(score_chart(scores, variable, metric, series))
            group.diagrams.extend(diagram_charts(scores, variable, metric))
    return list(groups.values())


def _place(metric: Metric) -> tuple[bool, ...]:
    return metric.kind != HEADLINE, isinstance(metric, EventMetric), metric.needs_members


def group_title(metric: Metric, *, ensembles: bool) -> str:
    """All values or the ensemble as a distribution; or the event in words."""
    if not isinstance(metric, EventMetric):
        return ENSEMBLE if metric.needs_members or (ensembles and metric.kind in DISTRIBUTION) else ALL_VALUES
    of = "Probability of" if metric.needs_members else "Events"
    return f"{of} {event(metric.threshold, metric.units_of_threshold, metric.side)}"


def condition_groups(scores: Scores, variable: str) -> list[Group]:
    """A few scores by hour of the day, regime and region: a chart each label, on one scale."""
    found = {
        condition: [
            each
            for metric in chosen_metrics(scores, variable, BY_CONDITION)
            for each in _small_multiples(scores, labels, variable, metric)
        ]
        for condition, labels in scores.conditions.items()
    }
    return [
        Group(title=CONDITIONS.get(condition, condition), unfolded=False, charts=charts)
        for condition, charts in found.items()
        if charts
    ]


def _small_multiples(scores: Scores, labels: dict[str, Curves], variable: str, metric: Metric) -> list[Chart]:
    drawn = {label: score_series(scores, curves, variable, metric) for label, curves in labels.items()}
    drawn = {label: series for label, series in drawn.items() if series}
    axis = value_axis([line for series in drawn.values() for line in series], metric)
    return [
        score_chart(scores, variable, metric, series, name=f"{metric_label(metric)}, {label}", y=axis)
        for label, series in drawn.items()
    ]


def score_series(scores: Scores, curves: Curves, variable: str, metric: Metric) -> list[Series]:
    """A line with its interval for each forecast and baseline that has the score."""
    look, hours = styles(scores), np.array(scores.cases.lead_hours)
    found = {name: curves.get(name, {}).get(variable, {}).get(metric.name) for name in scores.names}
    return [
        Series(name=name, style=look[name], x=hours, y=c.value.numpy(), low=c.low.numpy(), high=c.high.numpy())
        for name, c in found.items()
        if c is not None
    ]


def value_axis(series: list[Series], metric: Metric) -> Axis:
    """Over all values and intervals, zero and a perfect score."""
    reach = [part for line in series for part in (line.y, line.low, line.high) if part is not None]
    return linear_axis(np.concatenate(reach) if reach else np.array([]), include=(0.0, metric.perfect))


def score_chart(
    scores: Scores, variable: str, metric: Metric, series: list[Series], *, name: str = "", y: Axis | None = None
) -> Chart:
    """One metric against lead time; named and scaled by itself where nothing else is said."""
    units = metric.units or scores.variables[variable].units
    return chart(
        name or metric.name, "" if units == "1" else units, series,
        hour_axis(np.array(scores.cases.lead_hours)), y or value_axis(series, metric),
        x_label="lead time (h)", mark=metric.perfect,
    )  # fmt: skip


def hour_axis(hours: Array) -> Axis:
    """Lead times, from the initial time on."""
    return linear_axis(hours, include=(0.0,), ticks=8, whole=bool(hours.max() >= 4))
