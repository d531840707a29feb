"""The report's diagrams: rank histograms, reliability, ROC and sizes of objects, at a few leads."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from weatherml.metrics.base import Diagram, Metric
from weatherml.page.charts import (
    BOTTOM,
    SQUARE,
    Axis,
    Chart,
    Panel,
    Series,
    chart,
    grid,
    linear_axis,
    lines,
    numbers,
    picture,
    slope,
    unit_axis,
)
from weatherml.verify.report.choice import few_leads
from weatherml.verify.report.styles import styles
from weatherml.verify.scores.scores import TRUTH, Scores

Array = npt.NDArray[Any]
RELIABILITY_BINS = 10
RARE = 1e-4  # a probability that fewer forecasts than this share have shows nothing but noise
SHARES = Axis(low=RARE, high=1.0, ticks=[(1e-4, "1e-4"), (1e-2, "1e-2"), (1.0, "1")], log=True)
COUNTS_HEIGHT, BETWEEN = 52, 14
MOST_SIZES = 7  # labels of sizes


def diagram_charts(scores: Scores, variable: str, metric: Metric) -> list[Chart]:
    """The diagrams of a metric at the headline leads; none of metrics that are one number."""
    if metric.kind not in DRAWINGS:
        return []
    found = {name: scores.diagrams.get(name, {}).get(variable, {}).get(metric.name) for name in scores.names}
    diagrams = {name: diagram for name, diagram in found.items() if diagram is not None}
    title, draw = DRAWINGS[metric.kind]
    return [
        draw(scores, diagrams, lead, f"{title} at {scores.cases.lead_hours[lead]:g} h") for lead in few_leads(scores)
    ]


def rank_chart(scores: Scores, diagrams: dict[str, Diagram], lead: int, title: str) -> Chart:
    """Frequencies times the number of ranks, so that ensembles of any size lie at 1 where they are flat."""
    look, series = styles(scores), []
    for name, diagram in diagrams.items():
        frequency = diagram.arrays["frequency"][lead].numpy()
        edges = np.linspace(0, 1, len(frequency) + 1)
        steps = np.repeat(edges, 2)[1:-1], np.repeat(frequency * len(frequency), 2)
        series.append(Series(name=name, style=look[name], x=steps[0], y=steps[1]))
    y = linear_axis(np.concatenate([line.y for line in series]), include=(0.0, 1.0))
    chances = [float(diagrams[name].arrays["p_value"][lead]) for name in scores.forecasts if name in diagrams]
    flat = f"flat: p = {', '.join(f'{chance:.2g}' for chance in chances)}"
    label = "share of members below the truth"
    return chart(
        title, flat, series, unit_axis(), y, x_label=label, y_label="relative frequency", mark=1.0, height=SQUARE
    )


def reliability_chart(scores: Scores, diagrams: dict[str, Diagram], lead: int, title: str) -> Chart:
    """How often the event came after each probability, and below it how often that was said."""
    look = styles(scores)
    found = {name: reliability_line(diagram, lead) for name, diagram in diagrams.items()}
    observed = [Series(name=name, style=look[name], x=line[0], y=line[1]) for name, line in found.items()]
    said = [Series(name=f"{name}, share", style=look[name], x=line[0], y=line[2]) for name, line in found.items()]
    lower = Panel(x=unit_axis(), y=SHARES, top=SQUARE - BOTTOM - COUNTS_HEIGHT, bottom=SQUARE - BOTTOM)
    upper = Panel(x=Axis(low=0.0, high=1.0, ticks=[]), y=unit_axis(), bottom=lower.top - BETWEEN)
    label = "forecast probability"
    parts = [*grid(upper, ""), slope(upper), *lines(observed, upper), *grid(lower, label), *lines(said, lower)]
    text = f"{title}: observed frequency against {label}, and below it the share of forecasts: {', '.join(found)}"
    return Chart(
        name=title,
        units="how often below",
        svg=picture(parts, SQUARE, text),
        csv=numbers([*observed, *said], label, "observed frequency"),
    )


def reliability_line(diagram: Diagram, lead: int) -> tuple[Array, Array, Array]:
    """Mean probability, observed frequency and share of forecasts in bins of a tenth round 0, 0.1, ..., 1."""
    share = diagram.arrays["share"][lead].nan_to_num().numpy()
    came = share * diagram.arrays["observed_frequency"][lead].nan_to_num().numpy()
    probability = diagram.bins.numpy()
    bins = np.round(probability * RELIABILITY_BINS).astype(int)
    weight, meant, seen = (np.bincount(bins, part) for part in (share, share * probability, came))
    often = weight > RARE
    return meant[often] / weight[often], seen[often] / weight[often], weight[often]


def roc_chart(scores: Scores, diagrams: dict[str, Diagram], lead: int, title: str) -> Chart:
    """Hit rate against false alarm rate; from a yes everywhere to a yes nowhere."""
    look, series = styles(scores), []
    for name, diagram in diagrams.items():
        x, y = (np.append(diagram.arrays[rate][lead].numpy(), 0.0) for rate in ("false_alarm_rate", "hit_rate"))
        series.append(Series(name=name, style=look[name], x=x, y=np.where(np.isfinite(y[0]), y, np.nan)))
    label = "false alarm rate; hit rate upwards"
    axes = unit_axis(), unit_axis()
    return chart(title, "", series, *axes, x_label=label, y_label="hit rate", diagonal=True, height=SQUARE)


def size_chart(scores: Scores, diagrams: dict[str, Diagram], lead: int, title: str) -> Chart:
    """Share of objects by their size, of the forecasts and of the truth."""
    look, first = styles(scores), next(iter(diagrams.values()))
    shares = {name: diagram.arrays["forecast_share"][lead].numpy() for name, diagram in diagrams.items()}
    shares[TRUTH] = first.arrays["truth_share"][lead].numpy()
    largest = max((int(np.flatnonzero(share > 0)[-1]) for share in shares.values() if (share > 0).any()), default=1)
    sizes = first.bins.numpy()[: largest + 1]
    series = [
        Series(name=name, style=look.get(name, TRUTH), x=sizes, y=share[: largest + 1])
        for name, share in shares.items()
    ]
    ticks = [(float(size), f"{size:g}") for size in sizes[:: -(-len(sizes) // MOST_SIZES)]]
    x = Axis(low=1.0, high=float(max(sizes[-1], 2.0)), ticks=ticks, log=True)
    y = linear_axis(np.concatenate([line.y for line in series]), include=(0.0,))
    return chart(
        title, "thin line: truth", series, x, y, x_label="cells of an object, from", y_label="share of objects"
    )


Draw = Callable[[Scores, dict[str, Diagram], int, str], Chart]
DRAWINGS: dict[str, tuple[str, Draw]] = {
    "rank_histogram": ("rank histogram", rank_chart),
    "brier": ("reliability", reliability_chart),
    "roc_auc": ("ROC", roc_chart),
    "object_size_ratio": ("object sizes", size_chart),
}
"""By kind of metric: title and drawing of its diagram."""
