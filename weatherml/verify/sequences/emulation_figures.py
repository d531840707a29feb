"""Figures of emulated fields: maps in the mean over time, and the course of their means."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from weatherml.page.charts import Chart, Series, line_chart, linear_axis
from weatherml.variables import Variable
from weatherml.verify.colors import error_scale, field_scale
from weatherml.verify.report.maps import MapFrame
from weatherml.verify.report.words import bar
from weatherml.verify.sequences.emulation import area_mean
from weatherml.verify.sequences.results import Results

Array = npt.NDArray[Any]
YEARS = 3
"""From so many on, a year is one point of a curve: its seasons would hide its trend."""
DAYS_A_YEAR = 365.2425


def global_mean_charts(results: Results, target: str, look: dict[str, str]) -> list[Chart]:
    """The area mean against time, a chart for each series."""
    cases, rows = results.cases, results.truth.grid.row_weights
    fields = {"truth": cases.truth[target]} | {name: cases.forecasts[name][target] for name in look}
    means = {name: area_mean(values, rows) for name, values in fields.items()}
    return [
        Chart(
            name=results.truth.series[number],
            units=_units(results, target),
            svg=_curves({n: mean[chosen] for n, mean in means.items()}, cases.times[chosen], look | {"truth": "truth"}),
        )
        for number, chosen in _series(results)
    ]


def _units(results: Results, target: str) -> str:
    return next(each.units for each in results.truth.targets if each.name == target)


def _series(results: Results) -> list[tuple[int, Array]]:
    return [(int(number), results.cases.of_series(number)) for number in np.unique(results.cases.samples[:, 0])]


def _curves(means: dict[str, Array], times: Array, look: dict[str, str]) -> Any:
    years, label = by_year(times)
    places, group = np.unique(years, return_inverse=True)
    count = np.bincount(group)
    lines = [
        Series(name=name, style=look[name], x=places, y=np.bincount(group, mean) / count)
        for name, mean in means.items()
    ]
    reach = np.concatenate([line.y for line in lines])
    return line_chart(lines, linear_axis(places, whole=len(places) > YEARS), linear_axis(reach), x_label=label)


def by_year(times: Array) -> tuple[Array, str]:
    """Where each time stands on the axis, and the axis' label: whole years of long series, else days."""
    years = 1970 + times.astype("datetime64[Y]").astype(int)
    if len(np.unique(years)) >= YEARS:
        return years.astype(float), "year"
    days = (times - times.min()) / np.timedelta64(1, "D")
    return days, f"days since {np.datetime_as_string(times.min(), unit='D')}"


def map_groups(results: Results, variable: Variable, frame: MapFrame) -> list[dict[str, Any]]:
    """Maps of each series in the mean over the scored time: truth, and each forecast with its difference."""
    names = [name for name in results.scores if name != results.baseline]
    cases, target = results.cases, variable.name
    fields = [cases.truth[target], *(cases.forecasts[name][target] for name in names)]
    means = {
        results.truth.series[number]: [values[chosen].mean(axis=0) for values in fields]
        for number, chosen in _series(results)
    }
    scale = field_scale(variable, np.array(list(means.values())))
    differences = error_scale(np.array([each - maps[0] for maps in means.values() for each in maps[1:]]))
    return [
        {
            "title": "Mean over the scored time",
            "titles": ["truth", *(title for name in names for title in (name, f"{name} {MINUS} truth"))],
            "rows": [
                (series, [frame.png(maps[0], scale), *_pairs(maps, frame, scale, differences)])
                for series, maps in means.items()
            ],
            "bars": [(variable.name, bar(scale, variable.units)), ("difference", bar(differences, variable.units))],
        }
    ]


MINUS = "\N{MINUS SIGN}"


def _pairs(maps: list[Array], frame: MapFrame, scale: Any, differences: Any) -> list[str]:
    return [
        picture for each in maps[1:] for picture in (frame.png(each, scale), frame.png(each - maps[0], differences))
    ]
