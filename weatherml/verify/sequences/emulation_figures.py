"""Figures of emulated fields: maps in the mean over time, and the course of their means."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from weatherml.page.charts import Chart, Series, chart, linear_axis
from weatherml.variables import Variable
from weatherml.verify.colors import error_scale, field_scale
from weatherml.verify.report.maps import MapFrame
from weatherml.verify.report.words import MINUS, bar
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
    variable = next(each for each in results.truth.targets if each.name == target)
    return [
        _mean_chart(
            results.truth.series[number],
            variable,
            {name: mean[chosen] for name, mean in means.items()},
            cases.times[chosen],
            look=look | {"truth": "truth"},
        )
        for number, chosen in _series(results)
    ]


def _series(results: Results) -> list[tuple[int, Array]]:
    return [(int(number), results.cases.of_series(number)) for number in np.unique(results.cases.samples[:, 0])]


def _mean_chart(
    series: str, variable: Variable, means: dict[str, Array], times: Array, *, look: dict[str, str]
) -> Chart:
    years, label = by_year(times)
    places, group = np.unique(years, return_inverse=True)
    count = np.bincount(group)
    lines = [
        Series(name=name, style=look[name], x=places, y=np.bincount(group, mean) / count)
        for name, mean in means.items()
    ]
    reach = np.concatenate([line.y for line in lines])
    x, y = linear_axis(places, whole=len(places) > YEARS), linear_axis(reach)
    return chart(series, variable.units, lines, x, y, x_label=label, y_label=variable.name)


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
    titles = ["truth", *(title for name in names for title in (name, f"{name} {MINUS} truth"))]

    def pictures(maps: list[Array]) -> Iterator[str]:
        yield frame.png(maps[0], scale)
        for each in maps[1:]:
            yield frame.png(each, scale)
            yield frame.png(each - maps[0], differences)

    return [
        {
            "title": "Mean over the scored time",
            "titles": titles,
            "rows": [
                {"label": series, "pictures": list(zip(titles, pictures(maps), strict=True))}
                for series, maps in means.items()
            ],
            "bars": [(variable.name, bar(scale, variable.units)), ("difference", bar(differences, variable.units))],
        }
    ]
