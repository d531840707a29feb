"""The report of predictions: tables, curves and maps by target."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from weatherml.data.sequences.store import BINARY
from weatherml.verify.report.maps import MapFrame
from weatherml.verify.report.styles import STYLES
from weatherml.verify.report.words import number
from weatherml.verify.sequences.bootstrap import BLOCK_DAYS, Score
from weatherml.verify.sequences.emulation_figures import global_mean_charts, map_groups
from weatherml.verify.sequences.event_figures import attention_chart, event_charts, mask_groups
from weatherml.verify.sequences.results import ByMetric, Results

Array = npt.NDArray[Any]
Context = dict[str, Any]
TRUTH = "truth"


@dataclass(frozen=True, kw_only=True)
class Table:
    """Scores as text: a row a forecast, each cell the value and its interval."""

    title: str
    columns: list[str]
    rows: list[tuple[str, list[tuple[str, str]]]]
    remark: str = ""


def page_context(results: Results, glossary: dict[str, str], frame: MapFrame, attention: dict[str, Array]) -> Context:
    """Everything that the template shows; attention (S, S) by forecast."""
    truth = results.truth
    return {
        "title": truth.path.name,
        "forecasts": [name for name in results.scores if name != results.baseline],
        "facts": facts(results),
        "notes": results.notes,
        "frame": frame,
        "attention": [attention_chart(name, weights) for name, weights in attention.items()],
        "tables": _each_series("CSE151B", results.competition),
        "sections": [section(results, target.name, frame) for target in truth.targets],
        "glossary": list(glossary.items()),
    }


def facts(results: Results) -> list[tuple[str, str]]:
    """What was scored: label and value."""
    truth, cases = results.truth, results.cases
    first, last = (str(np.datetime_as_string(end, unit="D")) for end in (cases.times.min(), cases.times.max()))
    rows, columns = truth.grid.shape
    return [
        ("Task", truth.task),
        ("Test samples", f"{len(cases.times)}, of {len(np.unique(cases.samples[:, 0]))} series"),
        ("Times", f"{first} to {last}"),
        ("Grid", f"{rows} x {columns}"),
        ("Baseline", results.baseline),
        ("Intervals", f"5 to 95 %, blocks of {BLOCK_DAYS[truth.task]} days and series resampled"),
    ]


def section(results: Results, target: str, frame: MapFrame) -> Context:
    """All that is shown of one target."""
    variable = next(each for each in results.truth.targets if each.name == target)
    binary = results.truth.task in BINARY
    look = styles(results)
    drawn = [(name, style) for name, style in look.items() if name != results.baseline]
    groups = mask_groups if binary else map_groups
    return {
        "name": target,
        "label": variable.long_name or target,
        "units": variable.units,
        "tables": [score_table(results, target), *series_tables(results, target)],
        "charts_title": "Precision and recall, reliability" if binary else "Means over the grid",
        "legend": drawn if binary else [(TRUTH, TRUTH), *look.items()],
        "charts": (event_charts if binary else global_mean_charts)(results, target, look),
        "maps": groups(results, variable, frame) if min(results.truth.grid.shape) > 1 else [],
    }


def styles(results: Results) -> dict[str, str]:
    """The style-sheet classes of each forecast's lines."""
    ours = [name for name in results.scores if name != results.baseline]
    return {name: f"f{index % STYLES}" for index, name in enumerate(ours)} | {results.baseline: "b0"}


def score_table(results: Results, target: str) -> Table:
    """Every metric of each forecast; of events with what a constant answer would reach."""
    scores = {name: by_target[target] for name, by_target in results.scores.items()}
    rate = next(iter(scores.values())).get("base_rate")
    remark = "" if rate is None else (
        f"{rate.value:.2%} of the scored values are positive: always to say no would be right in {1 - rate.value:.2%}."
    )  # fmt: skip
    return table(target, scores, remark)


def series_tables(results: Results, target: str) -> list[Table]:
    """The same of each series, where they are scored apart."""
    return _each_series(target, {name: by_target[target] for name, by_target in results.by_series.items()})


def _each_series(title: str, scores: dict[str, dict[str, ByMetric]]) -> list[Table]:
    """A table a series, from scores by forecast and series."""
    found: dict[str, dict[str, ByMetric]] = {}
    for name, by_series in scores.items():
        for series, by_metric in by_series.items():
            found.setdefault(series, {})[name] = by_metric
    return [table(f"{title}, {series}", each) for series, each in found.items()]


def table(title: str, scores: dict[str, ByMetric], remark: str = "") -> Table:
    """A row each forecast, a column each metric."""
    columns = list(next(iter(scores.values())))
    rows = [(name, [cell(by_metric[column]) for column in columns]) for name, by_metric in scores.items()]
    return Table(title=title, columns=columns, rows=rows, remark=remark)


def cell(score: Score) -> tuple[str, str]:
    """A value and its interval as text."""
    known = np.isfinite([score.low, score.high]).all()
    return number(score.value), f"{number(score.low)} to {number(score.high)}" if known else ""
