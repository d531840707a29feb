"""What stands on the page, in plain values for the template."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from weatherml.data.chunks import read_array
from weatherml.data.quality_page.calendar import STATES, blocks, calendar_csv, calendar_svg
from weatherml.data.quality_page.drawings import activity_charts, mean_chart, missing_chart, range_chart
from weatherml.data.quality_page.numbers import COUNTED, counts, grouped, mean_from, period_unit, ranges
from weatherml.data.quality_page.shifts import RANGE, Shift, shifts
from weatherml.data.store import open_group
from weatherml.data.summary import Summary, read_summary
from weatherml.files import read_json, write_text
from weatherml.page import fill
from weatherml.variables import Variable

Array = npt.NDArray[Any]
Context = dict[str, Any]
PAGE = "quality.html"
PACKAGE, TEMPLATE = "weatherml.data.quality_page", "page.html.j2"
MOST_LISTED = 50
PERIOD_NAMES = {"m": "Minute", "h": "Hour", "D": "Day", "M": "Month", "Y": "Year"}
FEWEST_DAYS = 14
UNITS = {"day": 86400, "hour": 3600, "minute": 60}


def write_page(path: Path) -> None:
    """Write `quality.html` into the store at `path`, finished but for its marker or wholly; a function of its data.

    Raises:
        MissingInputError: the dataset was made by a version that kept no summary.
        BadDataError: damaged.
    """
    group = open_group(path)
    attributes: dict[str, Any] = dict(group.attrs)
    variables = [Variable(**settings) for settings in attributes["variable_table"].values()]
    times = read_array(path, group, "time").astype("datetime64[s]")
    summary = read_summary(path, group, times, [variable.name for variable in variables])
    step = np.timedelta64(int(attributes["time_step_seconds"]), "s")
    quality = read_json(path / "quality.json")
    write_text(path / PAGE, page(str(attributes["title"]), variables, summary, quality, step))


def page(
    title: str, variables: Sequence[Variable], summary: Summary, quality: Mapping[str, Any], step: np.timedelta64
) -> str:
    """The report as HTML."""
    found = shifts(summary, [v.name for v in variables], [v.packing_step or 0.0 for v in variables])
    pictures = blocks(summary.times, quality["missing"], quality["quarantined"], step)
    unit = period_unit(summary.times)
    context = {
        "title": title,
        "facts": facts(summary.times, quality, found, step),
        "notes": quality["notes"],
        "states": STATES,
        "calendar": {
            "caption": reach(summary.times),
            "csv": calendar_csv(pictures),
            "pictures": [(block.label, calendar_svg(block)) for block in pictures],
        },
        "counts": {
            "period": PERIOD_NAMES[unit],
            "columns": COUNTED,
            "rows": list(counts(summary.times, quality, unit).items()),
        },
        "shifts": [shift_row(shift) for shift in found],
        "short": len(np.unique(summary.times.astype("datetime64[D]"))) < FEWEST_DAYS,
        "quarantined": listed([*quality["quarantined"].items()]),
        "findings": listed([finding_row(finding) for finding in quality["findings"]]),
        "sections": sections(variables, summary, found, Counter(f["variable"] for f in quality["findings"])),
    }
    return fill(PACKAGE, TEMPLATE, context)


def facts(
    times: Array, quality: Mapping[str, Any], found: Sequence[Shift], step: np.timedelta64
) -> list[tuple[str, str]]:
    """Label and value of what is told first."""
    kinds = Counter(finding["finding"] for finding in quality["findings"])
    return [
        ("Times", f"{len(times):,}"),
        ("Record", reach(times)),
        ("Step", span(step)),
        ("Missing", f"{len(quality['missing']):,}"),
        ("Quarantined", f"{len(quality['quarantined']):,}"),
        ("Findings", ", ".join(f"{count} {kind}" for kind, count in sorted(kinds.items())) or "none"),
        ("Sudden shifts", f"{len(found)}"),
    ]


def sections(
    variables: Sequence[Variable], summary: Summary, found: Sequence[Shift], findings: Mapping[str, int]
) -> list[Context]:
    """All that is shown of each variable."""
    unit = period_unit(summary.times)
    periods, period_starts = grouped(summary.times, unit)
    days, day_starts = grouped(summary.times, unit if unit in ("m", "h") else "D")
    values, daily = ranges(summary, period_starts), mean_from(summary.mean, day_starts)
    missing = mean_from(summary.missing, day_starts)
    made = []
    for c, variable in enumerate(variables):
        shifted = [shift.day for shift in found if shift.variable == variable.name]
        shares = {at: summary.activity(variable.name, at) for at in variable.thresholds}
        made.append(
            {
                "name": variable.name,
                "label": capital(variable.long_name or variable.name),
                "units": variable.units,
                "findings": findings.get(variable.name, 0),
                "shifts": len(shifted),
                "charts": [
                    range_chart(variable, values, c, periods),
                    mean_chart(variable, days, daily[:, c], shifted),
                    missing_chart(variable, days, missing[:, c]),
                ],
                "activity": activity_charts(summary.times, shares, variable) if shares else [],
                "events": [(event(variable, at), f"f{i}") for i, at in enumerate(shares)],
            }
        )
    return made


def capital(label: str) -> str:
    """With its first letter large, abbreviations as they are."""
    return label[:1].upper() + label[1:]


def event(variable: Variable, threshold: float) -> str:
    """A threshold in words."""
    return f"{'≥' if variable.event == 'above' else '≤'} {threshold:g} {variable.units}"


def shift_row(shift: Shift) -> tuple[str, ...]:
    """Variable, day, and what changed, in words."""
    if shift.measure == RANGE:
        change = f"largest less smallest value, {np.exp(shift.after - shift.before):.3g} times as before"
    else:
        change = f"daily mean (transformed) {shift.before:.4g} to {shift.after:.4g}"
    return shift.variable, str(shift.day), change, f"{min(shift.sharpness, 999):.0f}"


def finding_row(finding: Mapping[str, Any]) -> tuple[str, ...]:
    """Time, variable, kind and details of an entry of quality.json."""
    known = ("time", "variable", "finding")
    details = ", ".join(f"{key} {value}" for key, value in finding.items() if key not in known)
    return (*(str(finding[key]) for key in known), details)


def listed(rows: Sequence[Any]) -> Context:
    """The first rows of a table that may be long."""
    return {"rows": rows[:MOST_LISTED], "more": max(len(rows) - MOST_LISTED, 0)}


def reach(times: Array) -> str:
    """From the first to the last."""
    return f"{minute(times[0])} to {minute(times[-1])} UTC"


def minute(time: np.datetime64) -> str:
    """`2018-07-22 01:00`."""
    return str(time.astype("datetime64[m]")).replace("T", " ")


def span(step: np.timedelta64) -> str:
    """A step in the largest unit that is not above it."""
    seconds = int(step / np.timedelta64(1, "s"))
    name = next((name for name, size in UNITS.items() if seconds >= size), "second")
    count = seconds / UNITS.get(name, 1)
    return f"{count:g} {name}" + ("s" if count != 1 else "")
