"""The report's diagrams of ensembles: rank histograms, reliability and ROC, at a few leads."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from weatherml.metrics.base import Diagram, Metric
from weatherml.page.charts import Chart, Series, line_chart, linear_axis, unit_axis
from weatherml.verify.report.styles import styles
from weatherml.verify.scores import Scores

Array = npt.NDArray[Any]
RELIABILITY_BINS = 10
RARE = 1e-4  # a probability that fewer forecasts than this share have shows nothing but noise


def diagram_charts(scores: Scores, variable: str, metric: Metric) -> list[Chart]:
    """The diagrams of a metric at the headline leads; none of metrics that are one number."""
    if metric.kind not in DRAWINGS:
        return []
    found = {name: scores.diagrams.get(name, {}).get(variable, {}).get(metric.name) for name in scores.names}
    diagrams = {name: diagram for name, diagram in found.items() if diagram is not None}
    title, draw = DRAWINGS[metric.kind]
    return [draw(scores, diagrams, lead, f"{title} at {scores.cases.lead_hours[lead]:g} h") for lead in _leads(scores)]


def _leads(scores: Scores) -> list[int]:
    """First, middle and last of the headline leads."""
    leads = scores.headline_leads
    return sorted({leads[0], leads[len(leads) // 2], leads[-1]})


def rank_chart(scores: Scores, diagrams: dict[str, Diagram], lead: int, title: str) -> Chart:
    """Frequencies times the number of ranks, so that ensembles of any size lie at 1 where they are flat."""
    look, series = styles(scores), []
    for name, diagram in diagrams.items():
        frequency = diagram.arrays["frequency"][lead].numpy()
        edges = np.linspace(0, 1, len(frequency) + 1)
        steps = np.repeat(edges, 2)[1:-1], np.repeat(frequency * len(frequency), 2)
        series.append(Series(name=name, style=look[name], x=steps[0], y=steps[1]))
    y = linear_axis(np.concatenate([line.y for line in series]), include=(0.0, 1.0))
    svg = line_chart(series, unit_axis(), y, x_label="share of members below the truth", mark=1.0)
    chances = [float(diagrams[name].arrays["p_value"][lead]) for name in scores.forecasts if name in diagrams]
    return Chart(name=title, units=f"flat: p = {', '.join(f'{chance:.2g}' for chance in chances)}", svg=svg)


def reliability_chart(scores: Scores, diagrams: dict[str, Diagram], lead: int, title: str) -> Chart:
    """How often the event came after each probability."""
    look = styles(scores)
    lines = {name: reliability_line(diagram, lead) for name, diagram in diagrams.items()}
    series = [Series(name=name, style=look[name], x=line[0], y=line[1]) for name, line in lines.items()]
    label = "forecast probability; observed frequency upwards"
    return Chart(name=title, units="", svg=line_chart(series, unit_axis(), unit_axis(), x_label=label, diagonal=True))


def reliability_line(diagram: Diagram, lead: int) -> tuple[Array, Array]:
    """Mean probability and observed frequency in bins of a tenth round 0, 0.1, ..., 1."""
    share = diagram.arrays["share"][lead].nan_to_num().numpy()
    came = share * diagram.arrays["observed_frequency"][lead].nan_to_num().numpy()
    probability = diagram.bins.numpy()
    bins = np.round(probability * RELIABILITY_BINS).astype(int)
    weight, meant, seen = (np.bincount(bins, part) for part in (share, share * probability, came))
    often = weight > RARE
    return meant[often] / weight[often], seen[often] / weight[often]


def roc_chart(scores: Scores, diagrams: dict[str, Diagram], lead: int, title: str) -> Chart:
    """Hit rate against false alarm rate; from a yes everywhere to a yes nowhere."""
    look, series = styles(scores), []
    for name, diagram in diagrams.items():
        x, y = (np.append(diagram.arrays[rate][lead].numpy(), 0.0) for rate in ("false_alarm_rate", "hit_rate"))
        series.append(Series(name=name, style=look[name], x=x, y=np.where(np.isfinite(y[0]), y, np.nan)))
    label = "false alarm rate; hit rate upwards"
    return Chart(name=title, units="", svg=line_chart(series, unit_axis(), unit_axis(), x_label=label, diagonal=True))


Draw = Callable[[Scores, dict[str, Diagram], int, str], Chart]
DRAWINGS: dict[str, tuple[str, Draw]] = {
    "rank_histogram": ("rank histogram", rank_chart),
    "brier": ("reliability", reliability_chart),
    "roc_auc": ("ROC", roc_chart),
}
"""By kind of metric: title and drawing of its diagram."""
